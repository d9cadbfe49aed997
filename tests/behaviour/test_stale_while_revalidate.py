"""Stale values that are served at once, while one load in the background replaces them."""

from __future__ import annotations

import asyncio
import os
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, Loaded, LoadFailed, RefreshRefused, StaleHit
from dualcache.drivers import async_background, background
from tests.behaviour.seen import Seen
from tests.behaviour.test_outages import Clock
from tests.behaviour.test_processes import workers
from tests.front.tiers import eventually
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bodies import Gate
    from tests.colours import AsyncColour, Colour, SyncColour
    from tests.servers import Server

WINDOW: dict[str, Any] = {"ttl": 10, "stale_while_revalidate": 50, "jitter": 0}
STALE_AFTER = 15
who: ContextVar[str] = ContextVar("who", default="nobody")


class Aging:
    """A cache whose clock is moved by hand, and a source whose later reads wait at a gate."""

    def __init__(self, colour: Colour, url: str, **options: Any) -> None:
        self.colour = colour
        self.clock = Clock()
        self.cache = colour.cache(url, clock=self.clock, **options)
        self.seen = Seen(self.cache)
        self.gate: Gate = colour.gate()
        self.values = ["new", "old"]
        self.readers: list[str] = []

    def body(self) -> Callable[..., Any]:
        async def read() -> str:
            return await self._value()

        return self.colour.function(read)

    def body_of(self) -> Callable[..., Any]:
        async def read(n: int) -> str:
            del n
            return await self._value()

        return self.colour.function(read)

    async def _value(self) -> str:
        self.readers.append(who.get())
        if len(self.readers) > 1:
            await self.gate.passed()
        return self.values.pop()

    def made_stale(self, load: Callable[..., Any], *args: Any) -> None:
        assert self.colour.start(lambda: load(*args)).result() == "old"
        self.clock.advance(STALE_AFTER)

    def stored_anew(self) -> None:
        """Let the load in the background end, and wait for that."""
        self.gate.wait_until_entered()
        self.gate.open()
        self.seen.wait_for(Loaded, 2)


@pytest.fixture(params=[None, 100], ids=["one tier", "front"])
def aging(request: pytest.FixtureRequest, colour: Colour, backend_url: str) -> Aging:
    return Aging(colour, backend_url, front=request.param)


def spelled(aging: Aging) -> dict[str, Callable[..., Any]]:
    """Return every way to read through the cache."""
    cache = aging.cache
    return {
        "decorated": cache(key="k", **WINDOW)(aging.body()),
        "endpoint": cache(key_prefix="e", **WINDOW)(aging.body()),
        "direct": lambda: aging.colour.face(cache).get_or_load("d", aging.body(), **WINDOW),
    }


@pytest.mark.parametrize("spelling", ["decorated", "endpoint", "direct"])
def test_twenty_callers_get_the_stale_value_and_one_load_replaces_it(
    colour: Colour, aging: Aging, spelling: str
) -> None:
    load = spelled(aging)[spelling]
    aging.made_stale(load)
    assert colour.gather(*[load] * 20) == ["old"] * 20
    assert colour.start(load).result() == "old"
    assert aging.cache.stats().running == 1
    aging.stored_anew()
    assert colour.start(load).result() == "new"
    assert len(aging.readers) == 2
    assert aging.seen.count(StaleHit) == 21
    stats = aging.cache.stats()
    assert (stats.stale_hits, stats.misses, stats.loads) == (21, 1, 2)


def test_a_cache_may_serve_stale_values_of_all_its_functions(colour: Colour) -> None:
    aging = Aging(colour, "memory://", **WINDOW)
    load = aging.cache(key="k")(aging.body())
    aging.made_stale(load)
    assert colour.run(load) == "old"
    aging.stored_anew()
    assert colour.run(load) == "new"


def test_beyond_the_window_the_caller_waits_for_the_load(colour: Colour, aging: Aging) -> None:
    load = aging.cache(key="k", **WINDOW, stale_if_error=600)(aging.body())
    aging.made_stale(load)
    aging.clock.advance(50)
    caller = colour.start(load)
    aging.gate.wait_until_entered()
    assert not caller.done
    aging.gate.open()
    assert caller.result() == "new"


@pytest.mark.parametrize("way", ["key", "tag", "pattern", "clear", "set"])
def test_what_was_invalidated_is_never_served(colour: Colour, aging: Aging, way: str) -> None:
    load = aging.cache(key="user:{n}", tags=["users"], **WINDOW)(aging.body_of())
    aging.made_stale(load, 1)
    assert colour.run(load, 1) == "old"
    aging.gate.wait_until_entered()
    aging.values.append("later")
    revoke: dict[str, Callable[[], Any]] = {
        "key": lambda: colour.call(aging.cache, "invalidate", "user:1"),
        "tag": lambda: colour.call(aging.cache, "invalidate", tags=["users"]),
        "pattern": lambda: colour.call(aging.cache, "invalidate", patterns=["user:*"]),
        "clear": lambda: colour.call(aging.cache, "clear", everything=True),
        "set": lambda: colour.call(aging.cache, "set", "user:1", "set"),
    }
    revoke[way]()
    caller = colour.start(lambda: load(1))
    if way != "set":
        aging.gate.wait_until_entered(2)
    aging.gate.open()
    expected = "set" if way == "set" else caller.result()
    assert expected != "old"
    aging.seen.wait_for(Loaded, 2 if way == "set" else 3)
    assert colour.run(load, 1) == expected


def test_a_load_in_the_background_that_fails_leaves_the_stale_value(
    colour: Colour, backend_url: str
) -> None:
    clock, fails = Clock(), [False]
    cache = colour.cache(backend_url, clock=clock)
    seen = Seen(cache)

    def read() -> str:
        if fails[0]:
            raise ConnectionError
        return "old"

    load = cache(key="k", **WINDOW)(colour.function(read))
    colour.run(load)
    fails[0] = True
    clock.advance(STALE_AFTER)
    assert colour.run(load) == "old"
    seen.wait_for(LoadFailed)
    assert colour.run(load) == "old"


def test_the_load_runs_in_a_copy_of_the_callers_context(colour: Colour, aging: Aging) -> None:
    load = aging.cache(key="k", **WINDOW)(aging.body())
    aging.made_stale(load)

    def named() -> Any:
        who.set("somebody")
        return load()

    def in_task() -> Any:
        async def call() -> Any:
            return await named()

        return call()

    assert colour.start(in_task if colour.is_async else named).result() == "old"
    aging.stored_anew()
    assert aging.readers == ["nobody", "somebody"]


def test_a_cache_that_is_off_serves_nothing_stale(colour: Colour, aging: Aging) -> None:
    load = aging.cache(key="k", **WINDOW)(aging.body())
    aging.made_stale(load)
    aging.gate.open()

    def off() -> Any:
        with aging.cache.disabled():
            return load()

    async def aoff() -> Any:
        with aging.cache.disabled():
            return await load()

    assert colour.start(aoff if colour.is_async else off).result() == "new"
    assert aging.cache.stats().running == 0


def test_a_caller_that_is_cancelled_leaves_the_load_alone(
    tasks: AsyncColour, backend_url: str
) -> None:
    aging = Aging(tasks, backend_url)
    load = aging.cache(key="k", **WINDOW)(aging.body())
    aging.made_stale(load)

    async def stale_and_on() -> None:
        assert await load() == "old"
        await asyncio.get_running_loop().create_future()

    caller = tasks.start(stale_and_on)
    aging.gate.wait_until_entered()
    caller.cancel()
    aging.stored_anew()
    assert tasks.run(load) == "new"


def test_a_close_waits_for_the_load(colour: Colour, redis_server: Server) -> None:
    aging = Aging(colour, redis_server.url)
    load = aging.cache(key="k", **WINDOW)(aging.body())
    aging.made_stale(load)
    assert colour.run(load) == "old"
    aging.gate.wait_until_entered()
    closing = colour.start(aging.cache.aclose if colour.is_async else aging.cache.close)
    assert not closing.done
    aging.gate.open()
    closing.result()
    assert aging.seen.of(Loaded)[-1].outcome == "stored"


def test_a_close_waits_for_no_load_that_hangs(
    colour: Colour, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (background, async_background):
        monkeypatch.setattr(module, "CLOSE_SECONDS", 0.01)
    aging = Aging(colour, redis_server.url)
    load = aging.cache(key="k", **WINDOW)(aging.body())
    aging.made_stale(load)
    assert colour.run(load) == "old"
    aging.gate.wait_until_entered()
    colour.start(aging.cache.aclose if colour.is_async else aging.cache.close).result()
    if colour.is_async:  # a task is cancelled, and gives its lease back
        eventually(lambda: not redis_server.cli("EXISTS", "~r:k"), "no lease")


def test_no_more_threads_than_there_may_be_load_in_the_background(
    threads: SyncColour, backend_url: str
) -> None:
    aging = Aging(threads, backend_url)
    aging.values = ["new"] * 8 + ["old"] * 10
    load = aging.cache(key="k:{n}", **WINDOW)(aging.body_of())
    aging.gate.open()
    for n in range(10):
        assert load(n) == "old"
    aging.gate = threads.gate()
    aging.clock.advance(STALE_AFTER)
    assert [load(n) for n in range(10)] == ["old"] * 10
    aging.gate.wait_until_entered(8)
    stats = aging.cache.stats()
    assert (stats.running, stats.refused) == (8, 2)
    assert aging.seen.count(RefreshRefused) == 2
    assert stats.templates["k:{n}"].refused == 2
    aging.gate.open()
    aging.seen.wait_for(Loaded, 18)


def test_a_child_that_was_forked_during_a_load_loads_for_itself(
    threads: SyncColour, redis_server: Server
) -> None:
    aging = Aging(threads, redis_server.url)
    load = aging.cache(key="k", **WINDOW)(aging.body())
    aging.made_stale(load)
    assert load() == "old"
    aging.gate.wait_until_entered()
    child = os.fork()
    if child == 0:
        is_right = load() == "old" and aging.cache.stats().running <= 1
        os._exit(0 if is_right else 1)
    assert os.waitpid(child, 0)[1] == 0
    aging.stored_anew()
    assert load() == "new"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_is_closed_while_a_load_runs_does_not_keep_the_key(
    redis_server: Server,
) -> None:
    clock, runs = Clock(), [0]
    with Cache(patient(redis_server.url), clock=clock) as cache:

        @cache(key="k", **WINDOW)
        async def load() -> int:
            runs[0] += 1
            if runs[0] == 2:
                await asyncio.get_running_loop().create_future()
            return runs[0]

        async def twice() -> None:
            await load()
            clock.advance(STALE_AFTER)
            assert await load() == 1
            while runs[0] < 2:  # noqa: ASYNC110  the body is the user's, and knows no event
                await asyncio.sleep(0.001)

        async def on_and_on() -> None:
            while await load() == 1:  # noqa: ASYNC110  as above
                await asyncio.sleep(0.001)

        asyncio.run(twice())
        asyncio.run(on_and_on())
    assert runs[0] == 3


def test_a_herd_of_eight_processes_is_served_while_one_of_them_loads(redis_server: Server) -> None:
    redis_server.cli("SET", "source:1", "new")
    long_ago = lambda: time.time() - STALE_AFTER  # noqa: E731  a clock
    with Cache(patient(redis_server.url), namespace="shop", clock=long_ago) as cache:
        tags = ["users", "user:1"]
        cache.set("user:1", "old", ttl=10, tags=tags, stale_while_revalidate=600)
    options = {"ttl": 10, "stale_while_revalidate": 600}
    with workers(redis_server.url, ["sync", "async"] * 4, 32, **options) as made:
        for each in made:
            each.ask(1)
        assert [each.answer() for each in made] == [["old"] * 32] * 8
        redis_server.cli("RPUSH", "gate:1", 1)
        for each in made:
            each.wait_until_ready()
        eventually(lambda: not redis_server.cli("EXISTS", "shop:~r:user:1"), "no lease")
        for each in made:
            each.ask(1)
        assert [each.answer() for each in made] == [["new"] * 32] * 8
        assert redis_server.cli("GET", "loads:1") == b"1"
        for each in made:
            each.wait_until_ready()
