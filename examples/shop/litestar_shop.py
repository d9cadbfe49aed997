"""The shop on Litestar: `python -m examples.shop.litestar_shop`."""

from __future__ import annotations

import asyncio

import uvicorn
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery

from dualcache import Cache
from dualcache.integrations.litestar import DualCachePlugin
from examples.shop.goods import Goods, UnknownItem, port

# The server: DUALCACHE_URL; without it, the memory of this process.
cache = Cache(namespace="litestar-shop", ttl="5m", front=1_000, max_staleness=1)
goods = Goods()


# The item and the list are made of prices. They would outlive the copy of a price, so prices are
# read from the server: front=False.
@cache(key="price:{item_id}", tags=["item:{item_id}"], front=False)
async def price(item_id: int) -> int:
    return await goods.price_async(item_id)


async def item(item_id: int, name: str) -> dict[str, int | str]:
    return {"id": item_id, "name": name, "price": await price(item_id)}


@get("/goods")
@cache(key="goods", tags=["goods"])
async def list_goods() -> list[dict[str, int | str]]:
    names = await asyncio.to_thread(goods.names)
    return [await item(item_id, name) for item_id, name in names.items()]


@get("/goods/{item_id:int}")
@cache(key="item:{item_id}", tags=["item:{item_id}"])
async def read_item(item_id: FromPath[int]) -> dict[str, int | str]:
    try:
        return await item(item_id, await asyncio.to_thread(goods.name, item_id))
    except UnknownItem as error:
        raise NotFoundException from error


@post("/goods/{item_id:int}/buy", status_code=200)
@cache.invalidates(tags=["item:{item_id}", "goods"])
async def buy(item_id: FromPath[int]) -> dict[str, int]:
    return {"price": await asyncio.to_thread(goods.buy, item_id)}


@post("/goods/{item_id:int}/rename", status_code=200)
@cache.invalidates(tags=["item:{item_id}", "goods"])
async def rename(item_id: FromPath[int], name: FromQuery[str]) -> dict[str, str]:
    await asyncio.to_thread(goods.rename, item_id, name)
    return {"name": name}


@post("/fence", status_code=204)
async def fence(dualcache: NamedDependency[Cache]) -> None:
    """After this, this worker shows every change that any worker has acknowledged before."""
    await dualcache.aio.fence()


# The plugin opens and closes the cache, and keeps sessions and Litestar's own stores in it.
app = Litestar([list_goods, read_item, buy, rename, fence], plugins=[DualCachePlugin(cache)])

if __name__ == "__main__":
    uvicorn.run(app, port=port(), log_level="warning")
