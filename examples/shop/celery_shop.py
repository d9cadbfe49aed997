"""The shop with Celery: jobs change the goods, a small web process shows them.

`python -m examples.shop.celery_shop` starts both. SHOP_BROKER is the URL of the broker; without it,
jobs run in the web process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from celery import Celery
from flask import Flask, abort, request

from dualcache import Cache
from examples.shop.goods import Goods, UnknownItem, port

BROKER = os.environ.get("SHOP_BROKER")
jobs = Celery("examples.shop.celery_shop", broker=BROKER, backend=BROKER)
jobs.conf.task_always_eager = not BROKER
web = Flask(__name__)
goods = Goods()
# One cache for the web process and the worker. With strict=True a job fails that cannot invalidate:
# nobody is told of a change that another process cannot see. Its invalidation is delivered later.
cache = Cache(namespace="celery-shop", ttl="5m", front=1_000, max_staleness=1, strict=True)


@jobs.task
@cache.invalidates(tags=["item:{item_id}", "goods"])
def buy_one(item_id: int) -> dict[str, int]:
    return {"price": goods.buy(item_id)}


@jobs.task
@cache.invalidates(tags=["item:{item_id}", "goods"])
def give_name(item_id: int, name: str) -> dict[str, str]:
    goods.rename(item_id, name)
    return {"name": name}


@jobs.task
def hello() -> None:
    """Show that there is a worker."""


def done(job: Any) -> Any:
    """Wait for a job, and for what it has invalidated: this process shows it from now on."""
    # Without a broker, another thread may run a job at this moment: Celery would take this call for
    # one from within that job.
    answer = job.get(timeout=20, disable_sync_subtasks=False)
    cache.fence()
    return answer


# The item and the list are made of prices. They would outlive the copy of a price, so prices are
# read from the server: front=False.
@cache(key="price:{item_id}", tags=["item:{item_id}"], front=False)
def price(item_id: int) -> int:
    return goods.price(item_id)


def item(item_id: int, name: str) -> dict[str, int | str]:
    return {"id": item_id, "name": name, "price": price(item_id)}


@web.get("/goods")
@cache(key="goods", tags=["goods"])
def list_goods() -> list[dict[str, int | str]]:
    return [item(item_id, name) for item_id, name in goods.names().items()]


@web.get("/goods/<int:item_id>")
@cache(key="item:{item_id}", tags=["item:{item_id}"])
def read_item(item_id: int) -> dict[str, int | str]:
    try:
        return item(item_id, goods.name(item_id))
    except UnknownItem:
        abort(404)


@web.post("/goods/<int:item_id>/buy")
def buy(item_id: int) -> Any:
    return done(buy_one.delay(item_id))


@web.post("/goods/<int:item_id>/rename")
def rename(item_id: int) -> Any:
    return done(give_name.delay(item_id, request.args["name"]))


@web.post("/fence")
def fence() -> str:
    """After this, this worker shows every change that any worker has acknowledged before."""
    cache.fence()
    return ""


def main() -> None:
    """Serve the web, with a worker of Celery beside it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    command = [sys.executable, "-m", "celery", "-A", "examples.shop.celery_shop", "worker"]
    command += ["--pool", "threads", "--concurrency", "4", "--without-mingle", "--without-gossip"]
    names = os.environ | {"SHOP_DATABASE": goods.path}
    worker = subprocess.Popen(command, env=names) if BROKER else None
    try:
        hello.delay().get(timeout=60)
        web.run(port=port(), threaded=True)
    finally:
        if worker is not None:
            worker.terminate()
            worker.wait()


if __name__ == "__main__":
    main()
