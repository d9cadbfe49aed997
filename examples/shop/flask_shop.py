"""The shop on Flask: `python -m examples.shop.flask_shop`."""

from __future__ import annotations

from flask import Flask, abort, request

from dualcache.integrations.flask import DualCache
from examples.shop.goods import Goods, UnknownItem, port

app = Flask(__name__)
app.config["DUALCACHE_NAMESPACE"] = "flask-shop"
app.config["DUALCACHE_TTL"] = "5m"
app.config["DUALCACHE_FRONT"] = 1_000
app.config["DUALCACHE_MAX_STALENESS"] = 1
cache = DualCache(app)  # the server: DUALCACHE_URL; without it, the memory of this process
goods = Goods()


# The item and the list are made of prices. They would outlive the copy of a price, so prices are
# read from the server: front=False.
@cache(key="price:{item_id}", tags=["item:{item_id}"], front=False)
def price(item_id: int) -> int:
    return goods.price(item_id)


def item(item_id: int, name: str) -> dict[str, int | str]:
    return {"id": item_id, "name": name, "price": price(item_id)}


@app.get("/goods")
@cache.http(tags=["goods"])  # the whole response is kept
def list_goods() -> list[dict[str, int | str]]:
    return [item(item_id, name) for item_id, name in goods.names().items()]


@app.get("/goods/<int:item_id>")
@cache(key_prefix="item", tags=["item:{item_id}"])  # what the function returns is kept
def read_item(item_id: int) -> dict[str, int | str]:
    try:
        return item(item_id, goods.name(item_id))
    except UnknownItem:
        abort(404)


@app.post("/goods/<int:item_id>/buy")
@cache.http(invalidates=["item:{item_id}", "goods"])
def buy(item_id: int) -> dict[str, int]:
    return {"price": goods.buy(item_id)}


@app.post("/goods/<int:item_id>/rename")
@cache.http(invalidates=["item:{item_id}", "goods"])
def rename(item_id: int) -> dict[str, str]:
    goods.rename(item_id, request.args["name"])
    return {"name": request.args["name"]}


@app.post("/fence")
def fence() -> str:
    """After this, this worker shows every change that any worker has acknowledged before."""
    cache.fence()
    return ""


if __name__ == "__main__":
    app.run(port=port(), threaded=True)
