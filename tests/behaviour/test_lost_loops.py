"""What becomes of a load whose task, coroutine or event loop goes away while it runs."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.drivers.flights import led
from tests.front.tiers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache import Cache
    from tests.colours import SyncColour


class Quiet(asyncio.SelectorEventLoop):
    """A loop that does not tell of tasks that are destroyed while they are pending."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        assert "pending" in context["message"]


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = Quiet()
    yield made
    if not made.is_closed():
        made.close()


def hanging(cache: Cache) -> tuple[Any, list[bool]]:
    """Return a function whose first run never ends."""
    runs: list[bool] = []

    @cache(key="k", tags=["t"])
    async def load() -> str:
        runs.append(True)
        if len(runs) == 1:
            await asyncio.get_running_loop().create_future()
        return "value"

    return load, runs


async def begun(load: Any, runs: list[bool]) -> asyncio.Task[Any]:
    task = asyncio.create_task(load())
    while not runs:  # noqa: ASYNC110  the body is the user's, and knows no event
        await asyncio.sleep(0.001)
    return task


def is_stored(cache: Cache) -> bool:
    """Load in this thread; tell whether that was stored, as it is once the lease is back."""
    assert cache.get_or_load("k", lambda: "value", tags=["t"]) == "value"
    return bool(cache.get("k") == "value")


def test_a_load_whose_task_is_collected_gives_back_its_flight_and_its_lease(
    threads: SyncColour, backend_url: str, loop: asyncio.AbstractEventLoop
) -> None:
    cache = threads.cache(backend_url)
    load, runs = hanging(cache)
    task = loop.run_until_complete(begun(load, runs))
    assert len(cache._runtime.backend.flights) == 1
    del task
    gc.collect()
    assert len(cache._runtime.backend.flights) == 0
    assert not led.get()
    eventually(lambda: is_stored(cache), "a load that is stored")
    assert loop.run_until_complete(load()) == "value"
    loop.run_until_complete(cache.aio.aclose())
    assert len(runs) == 1


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_load_on_a_loop_that_stopped_is_waited_for_by_nobody(
    threads: SyncColour, backend_url: str, loop: asyncio.AbstractEventLoop, is_closed: bool
) -> None:
    # A loop that is closed over an open connection has warnings of its own.
    cache = threads.cache("memory://" if is_closed else backend_url)
    load, runs = hanging(cache)
    task = loop.run_until_complete(begun(load, runs))
    if is_closed:
        loop.close()
    began = time.monotonic()
    assert threads.start(lambda: is_stored(cache)).result()
    assert time.monotonic() - began < 5
    if is_closed:
        del task
        gc.collect()
    else:  # it goes on one day, and must not store over what came since
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
        assert cache.get("k") == "value"
        loop.run_until_complete(cache.aio.aclose())


@pytest.mark.parametrize("kind", [GeneratorExit, KeyboardInterrupt])
def test_a_body_that_raises_what_ends_coroutines_gives_everything_back(
    threads: SyncColour, backend_url: str, kind: type[BaseException]
) -> None:
    cache = threads.cache(backend_url)

    @cache(key="k", tags=["t"])
    async def load() -> str:
        await asyncio.sleep(0)
        raise kind

    async def main() -> None:
        with pytest.raises(kind):
            await load()
        await cache.aio.aclose()

    asyncio.run(main())
    assert len(cache._runtime.backend.flights) == 0
    eventually(lambda: is_stored(cache), "a load that is stored")
