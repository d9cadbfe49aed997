"""The shop on FastAPI: `python -m examples.shop.fastapi_shop`."""

from __future__ import annotations

import asyncio

import uvicorn
from fastapi import FastAPI, HTTPException, Request

from dualcache import Cache
from examples.shop.goods import Goods, UnknownItem, port

# The server: DUALCACHE_URL; without it, the memory of this process.
cache = Cache(namespace="fastapi-shop", ttl="5m", front=1_000, max_staleness=1)
app = FastAPI(lifespan=cache.lifespan)
goods = Goods()


# The item and the list are made of prices. They would outlive the copy of a price, so prices are
# read from the server: front=False.
@cache(key="price:{item_id}", tags=["item:{item_id}"], front=False)
async def price(item_id: int) -> int:
    return await goods.price_async(item_id)


async def item(item_id: int, name: str) -> dict[str, int | str]:
    return {"id": item_id, "name": name, "price": await price(item_id)}


@app.get("/goods")
@cache.http(tags=["goods"])  # the whole response is kept
async def list_goods() -> list[dict[str, int | str]]:
    names = await asyncio.to_thread(goods.names)
    return [await item(item_id, name) for item_id, name in names.items()]


@app.get("/goods/{item_id}")
@cache(key_prefix="item", tags=["item:{item_id}"])  # what the function returns is kept
async def read_item(request: Request, item_id: int) -> dict[str, int | str]:
    try:
        return await item(item_id, await asyncio.to_thread(goods.name, item_id))
    except UnknownItem as error:
        raise HTTPException(404) from error


@app.post("/goods/{item_id}/buy")
@cache.http(invalidates=["item:{item_id}", "goods"])
def buy(item_id: int) -> dict[str, int]:
    return {"price": goods.buy(item_id)}


@app.post("/goods/{item_id}/rename")
@cache.http(invalidates=["item:{item_id}", "goods"])
def rename(item_id: int, name: str) -> dict[str, str]:
    goods.rename(item_id, name)
    return {"name": name}


@app.post("/fence")
async def fence() -> None:
    """After this, this worker shows every change that any worker has acknowledged before."""
    await cache.aio.fence()


if __name__ == "__main__":
    uvicorn.run(app, port=port(), log_level="warning")
