"""Time-outs: the caller's wait ends, and the load goes on."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, Loaded, LoaderTimeout, RefreshRefused, UsageError
from dualcache.drivers import background
from tests.behaviour.seen import Seen
from tests.behaviour.test_outages import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import AsyncColour, Colour, SyncColour

SOFT: dict[str, Any] = {"ttl": 10, "stale_if_error": 500, "timeout": 0.02, "jitter": 0}
HARD: dict[str, Any] = {"ttl": 10, "hard_timeout": 0.02}
IN_TIME: dict[str, Any] = {"ttl": 10, "hard_timeout": 20}
who: ContextVar[str] = ContextVar("who", default="nobody")


class Slow:
    """A cache, and a source whose reads from the `free`-th on wait at a gate."""

    def __init__(self, colour: Colour, url: str, *, free: int = 0, **options: Any) -> None:
        self.colour = colour
        self.clock = Clock()
        self.cache = colour.cache(url, clock=self.clock, **options)
        self.seen = Seen(self.cache)
        self.gate = colour.gate()
        self.free = free
        self.readers: list[str] = []
        self.threads: list[int] = []
        self.fails = False

    def body(self) -> Callable[..., Any]:
        async def read() -> str:
            self.readers.append(who.get())
            self.threads.append(threading.get_ident())
            number = len(self.readers)
            if number > self.free:
                await self.gate.passed()
            if self.fails:
                raise ConnectionError
            return f"value {number}"

        return self.colour.function(read)

    def spelled(self, spelling: str, options: dict[str, Any]) -> Callable[..., Any]:
        body = self.body()
        spelled: Any = {
            "decorated": self.cache(key="k", **options)(body),
            "endpoint": self.cache(key_prefix="e", **options)(body),
            "direct": lambda: self.colour.face(self.cache).get_or_load("d", body, **options),
        }
        load: Callable[..., Any] = spelled[spelling]
        return load


FRONTS = pytest.mark.parametrize("front", [None, 100], ids=["one tier", "front"])
SPELLINGS = pytest.mark.parametrize("spelling", ["decorated", "endpoint", "direct"])


@FRONTS
@SPELLINGS
def test_after_a_soft_time_out_callers_get_the_stale_value_and_the_load_is_stored(
    colour: Colour, backend_url: str, spelling: str, front: int | None
) -> None:
    slow = Slow(colour, backend_url, free=1, front=front)
    load = slow.spelled(spelling, SOFT)
    assert colour.start(load).result() == "value 1"
    slow.clock.advance(15)
    assert colour.gather(*[load] * 5) == ["value 1"] * 5
    assert colour.start(load).result() == "value 1"
    slow.gate.open()
    slow.seen.wait_for(Loaded, 2)
    assert colour.start(load).result() == "value 2"
    assert len(slow.readers) == 2


@FRONTS
@SPELLINGS
def test_after_a_hard_time_out_callers_get_an_error_and_the_load_is_stored(
    colour: Colour, backend_url: str, spelling: str, front: int | None
) -> None:
    slow = Slow(colour, backend_url, front=front)
    load = slow.spelled(spelling, HARD)
    errors = colour.gather(*[load] * 5, return_exceptions=True)
    assert [type(error) for error in errors] == [LoaderTimeout] * 5
    assert errors[0].code == "DC415"
    slow.gate.open()
    slow.seen.wait_for(Loaded)
    assert colour.start(load).result() == "value 1"
    assert slow.readers == ["nobody"]


def test_without_a_stale_value_a_soft_time_out_ends_no_wait(
    colour: Colour, backend_url: str
) -> None:
    slow = Slow(colour, backend_url)
    caller = colour.start(slow.spelled("decorated", SOFT))
    slow.gate.wait_until_entered()
    slow.gate.open()
    assert caller.result() == "value 1"


def test_a_load_in_time_gives_its_value_or_its_error(colour: Colour, backend_url: str) -> None:
    slow = Slow(colour, backend_url, free=100)
    for spelling in ("decorated", "endpoint", "direct"):
        load = slow.spelled(spelling, {"ttl": 10, "timeout": 20, "hard_timeout": 20})
        assert colour.start(load).result().startswith("value")
        slow.fails = True
        colour.call(slow.cache, "clear", everything=True)
        before = len(slow.readers)
        assert type(colour.start(load).error()) is ConnectionError
        assert len(slow.readers) == before + 1
        slow.fails = False


def test_callers_at_once_share_one_load_and_its_error(colour: Colour, backend_url: str) -> None:
    slow = Slow(colour, backend_url)
    slow.fails = True
    load = slow.spelled("decorated", IN_TIME)
    callers = [colour.start(load) for _ in range(5)]
    slow.gate.wait_until_entered()
    slow.gate.open()
    assert {type(caller.error()) for caller in callers} == {ConnectionError}


def test_a_value_that_nobody_can_copy_reaches_its_caller(colour: Colour, backend_url: str) -> None:
    cache, locks = colour.cache(backend_url), []

    def read() -> Any:
        locks.append(threading.Lock())
        return locks[-1]

    load = cache(key="k", hard_timeout=20)(colour.function(read))
    assert colour.run(load) is locks[0]
    assert len(locks) == 1


def test_the_load_runs_in_a_copy_of_the_callers_context(colour: Colour, backend_url: str) -> None:
    slow = Slow(colour, backend_url, free=1)
    load = slow.spelled("decorated", IN_TIME)

    def named() -> Any:
        who.set("somebody")
        return load()

    async def anamed() -> Any:
        return await named()

    assert colour.start(anamed if colour.is_async else named).result() == "value 1"
    assert slow.readers == ["somebody"]


def test_a_function_that_calls_itself_with_the_same_key_ends(
    colour: Colour, backend_url: str
) -> None:
    cache, depth = colour.cache(backend_url), [0]

    async def aload() -> str:
        depth[0] += 1
        return await load() if depth[0] == 1 else "inner"

    def sload() -> str:
        depth[0] += 1
        inner: str = load() if depth[0] == 1 else "inner"
        return inner

    load: Any = cache(key="k", hard_timeout=20)(aload if colour.is_async else sload)
    assert colour.run(load) == "inner"


def test_a_sync_load_with_a_time_out_has_a_thread_of_its_own(threads: SyncColour) -> None:
    slow = Slow(threads, "memory://", free=2)
    assert slow.spelled("decorated", IN_TIME)() == "value 1"
    assert slow.threads[0] != threading.get_ident()
    assert slow.spelled("direct", {"ttl": 10})() == "value 2"
    assert slow.threads[1] == threading.get_ident()


def test_where_too_many_loads_run_the_caller_loads_itself(
    threads: SyncColour, monkeypatch: pytest.MonkeyPatch, backend_url: str
) -> None:
    monkeypatch.setattr(background, "MOST_LOADS", 0)
    slow = Slow(threads, backend_url, free=1)
    assert slow.spelled("decorated", HARD)() == "value 1"
    assert slow.threads == [threading.get_ident()]
    assert slow.seen.count(RefreshRefused) == 1


def test_a_caller_that_is_cancelled_leaves_the_load_alone(
    tasks: AsyncColour, backend_url: str
) -> None:
    slow = Slow(tasks, backend_url)
    load = slow.spelled("decorated", IN_TIME)
    caller = tasks.start(load)
    slow.gate.wait_until_entered()
    caller.cancel()
    other = tasks.start(load)
    slow.gate.open()
    assert other.result() == "value 1"
    assert len(slow.readers) == 1


def test_an_invalidation_revokes_a_load_whose_callers_have_gone(
    colour: Colour, backend_url: str
) -> None:
    slow = Slow(colour, backend_url)
    load = slow.spelled("decorated", HARD)
    assert type(colour.start(load).error()) is LoaderTimeout
    assert colour.run(load.invalidate).pending == 0  # type: ignore[attr-defined]
    slow.gate.open()
    slow.seen.wait_for(Loaded)
    assert slow.seen.of(Loaded)[0].outcome == "refused"
    assert colour.run(slow.spelled("decorated", IN_TIME)) == "value 2"


@pytest.mark.parametrize("option", ["timeout", "hard_timeout", "verify"])
def test_a_batch_takes_no_option_of_a_single_load(option: str) -> None:
    options: Any = {option: 1}
    with Cache("memory://") as cache, pytest.raises(UsageError) as caught:
        cache.get_or_load_many(["a"], lambda keys: dict.fromkeys(keys, 1), **options)
    assert caught.value.code == "DC416"
