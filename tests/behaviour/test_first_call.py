"""What the first async call imports: in a thread, or before."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from dualcache.backends.redis.warmup import WarmUp
from tests.behaviour.seen import run_script
from tests.bodies import WAIT_SECONDS
from tests.patience import patient

if TYPE_CHECKING:
    from tests.servers import Server

WHO_IMPORTS = """
import asyncio, sys, threading
from dualcache import Cache

imported_by = {}

class Watch:
    def find_spec(self, name, path=None, target=None):
        imported_by.setdefault(name, threading.current_thread().name)

cache = Cache(sys.argv[1], front=10)

@cache(key="k:{n}")
async def load(n):
    return n

async def call():
    assert await asyncio.gather(*[load(n) for n in range(20)]) == list(range(20))
    await asyncio.gather(*[cache.aio.invalidate(f"k:{n}") for n in range(20)])

async def main():
    way = sys.argv[2]
    if way == "warm":
        cache.warm()
    if way == "lifespan":
        async with cache.lifespan():
            sys.meta_path.insert(0, Watch())
            await call()
    else:
        sys.meta_path.insert(0, Watch())
        await call()
        await cache.aio.aclose()

asyncio.run(main())
heavy = {name: who for name, who in imported_by.items() if name.startswith(("redis", "ssl"))}
print(*sorted(set(heavy.values())))
"""


@pytest.mark.parametrize(
    ("way", "by_whom"),
    [("nothing", {"dualcache-warm-up"}), ("warm", set()), ("lifespan", set())],
)
def test_the_first_async_call_imports_redis_py_beside_the_loop(
    redis_server: Server, way: str, by_whom: set[str]
) -> None:
    assert set(run_script(WHO_IMPORTS, patient(redis_server.url), way).split()) <= by_whom


def test_an_import_that_fails_is_raised_and_tried_again() -> None:
    needed = WarmUp("no_such_module_of_ours")

    async def need() -> None:
        await asyncio.gather(*[needed.wait() for _ in range(3)])

    for _ in range(2):
        with pytest.raises(ModuleNotFoundError):
            asyncio.run(need())
    assert not needed.is_done


def test_a_caller_that_is_cancelled_leaves_the_import_to_the_others() -> None:
    needed = WarmUp("json")

    async def need() -> None:
        cancelled = asyncio.ensure_future(needed.wait())
        other = asyncio.ensure_future(needed.wait())
        await asyncio.sleep(0)
        cancelled.cancel()
        await other
        assert cancelled.cancelled() or cancelled.done()

    asyncio.run(need())
    assert needed.is_done
    for each in threading.enumerate():
        if each.name == "dualcache-warm-up":  # it has told the result, and ends
            each.join(WAIT_SECONDS)
            assert not each.is_alive()
