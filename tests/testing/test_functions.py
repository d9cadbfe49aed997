"""Isolation, events, assertions and faults, in both colours."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest
import redis

from dualcache import (
    BackendDown,
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    Cache,
    FrontTier,
    Hit,
    Loaded,
    Miss,
    MissingClientError,
    MovableClock,
    UsageError,
    each_cache,
)
from dualcache.testing import (
    assert_cached,
    assert_loads,
    assert_not_cached,
    fail_backend,
    isolated,
    recorded_events,
    slow_backend,
)
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import Colour
    from tests.servers import Server

UNREACHABLE = "redis://nowhere.invalid/0"


def doubling(colour: Colour, cache: Cache, **options: Any) -> Callable[..., Any]:
    def double(number: int) -> int:
        return 2 * number

    options = {"ttl": "5m", **options}
    return cache(key="double:{number}", **options)(colour.function(double))


def test_a_cache_that_is_isolated_connects_to_nothing(colour: Colour) -> None:
    cache = colour.cache(UNREACHABLE, strict=True)
    double = doubling(colour, cache)
    with isolated():
        assert colour.run(double, 4) == 8
        assert_cached(double, 4)
        assert "memory://" in repr(cache)


def test_a_cache_that_is_made_inside_is_isolated_too(colour: Colour) -> None:
    with isolated():
        cache = colour.cache(UNREACHABLE, strict=True)
        colour.call(cache, "set", "a", 1)
        assert colour.call(cache, "get", "a") == 1
    assert "nowhere" in repr(cache)


def test_each_isolation_begins_empty_and_what_was_there_is_there_again(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url, front=10)
    double = doubling(colour, cache)
    colour.run(double, 4)
    for _ in range(2):
        with isolated():
            assert_not_cached(double, 4)
            colour.run(double, 4)
            assert_cached(double, 4)
    assert_cached(double, 4)


def test_expiry_follows_the_clock_of_an_isolation(colour: Colour) -> None:
    cache = colour.cache(UNREACHABLE)
    double = doubling(colour, cache, jitter=0)
    with isolated() as clock:
        clock.stop()
        colour.run(double, 4)
        clock.advance("4m59s")
        assert_cached(double, 4)
        clock.advance(1)
        assert_not_cached(double, 4)


def test_a_stale_entry_is_not_cached(colour: Colour) -> None:
    double = doubling(colour, colour.cache(UNREACHABLE), stale_if_error="1h")
    with isolated() as clock:
        colour.run(double, 4)
        clock.advance("6m")
        with pytest.raises(AssertionError, match=r"\(double:4\) is not cached: its entry is stale"):
            assert_cached(double, 4)


def test_a_clock_moves_forward_only_by_what_is_a_duration() -> None:
    clock = MovableClock()
    clock.stop()
    began = clock()
    clock.stop()
    clock.advance("1h30m")
    assert clock() == began + 5400
    for wrong in ("5 parsecs", -1, float("nan"), True):
        with pytest.raises(UsageError):
            clock.advance(wrong)
    assert clock() == began + 5400


def test_a_clock_follows_the_systems_until_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = MovableClock()
    clock.advance(10)
    monkeypatch.setattr(time, "time", lambda: 100.0)  # as freezegun and time-machine do
    assert clock() == 110
    clock.stop()
    monkeypatch.setattr(time, "time", lambda: 200.0)
    assert clock() == 110
    clock.advance(5)
    assert clock() == 115


def test_there_is_no_client_in_an_isolation(redis_server: Server) -> None:
    cache = Cache(patient(redis_server.url))
    with isolated(), pytest.raises(MissingClientError):
        cache.client.ping()
    assert cache.client.ping()
    cache.close()


def test_a_cache_that_is_gone_is_no_longer_changed() -> None:
    cache = Cache("memory://")
    gone, seen = ref(cache), []
    del cache
    gc.collect()
    assert gone() is None

    def note(each: Cache) -> Any:
        seen.append(each)
        return each.disabled()

    with each_cache(note):
        made = Cache("memory://")
    assert made in seen
    assert seen.count(made) == 1


def test_caches_that_threads_make_meanwhile_are_changed_once() -> None:
    caches: list[Cache] = []
    barrier = threading.Barrier(5)

    def make() -> None:
        barrier.wait()
        caches.extend(Cache(UNREACHABLE) for _ in range(50))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    barrier.wait()
    with isolated():
        for thread in threads:
            thread.join()
        assert all("memory://" in repr(cache) for cache in caches)
    assert all("nowhere" in repr(cache) for cache in caches)


def test_events_of_all_caches_are_recorded_by_type_and_template(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    double = doubling(colour, cache)
    with recorded_events() as events:
        colour.run(double, 4)
        colour.run(double, 4)
        colour.call(colour.cache("memory://"), "get", "a")
    assert [type(event) for event in events] == [Miss, Loaded, Hit, Miss]
    assert [event.template for event in events.of(Miss)] == ["double:{number}", "direct"]
    assert events.of(Miss, "direct") == [events[3]]
    colour.run(double, 4)
    assert len(events) == 4


def test_hits_end_in_the_front_tier_again_when_nobody_listens() -> None:
    cache = Cache("memory://", front=FrontTier(max_entries=10))

    @cache(key="double:{number}")
    def double(number: int) -> int:
        return 2 * number

    with recorded_events() as events, recorded_events():
        for _ in range(3):
            double(4)
    assert len(events.of(Hit)) == 2
    before = double.cache_info().hits
    double(4)
    assert double.cache_info().hits == before + 1
    assert not cache._runtime.backend.env.hits_are_heard
    cache.close()


def test_an_assertion_names_the_call_by_its_key(colour: Colour) -> None:
    double = doubling(colour, colour.cache("memory://"))
    with pytest.raises(AssertionError, match=r"double \(double:4\) is not cached: there is no ent"):
        assert_cached(double, 4)
    colour.run(double, 4)
    assert_cached(double, number=4)
    with pytest.raises(AssertionError, match=r"double \(double:4\) is cached"):
        assert_not_cached(double, 4)


def test_many_values_are_cached_when_each_is(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)

    def doubles(numbers: list[int]) -> dict[int, int]:
        return {number: 2 * number for number in numbers}

    many: Any = cache.many(key="double:{numbers}")(colour.function(doubles))
    with assert_loads(many, 2):
        colour.run(many, [1, 2])
    assert_cached(many, [1, 2])
    assert_cached(many, [2, 2])
    with pytest.raises(AssertionError, match="2 entries are missing"):
        assert_cached(many, [1, 3, 4])
    assert_not_cached(many, [1, 3])


def test_assertions_work_within_a_running_loop(redis_server: Server) -> None:
    cache = Cache(patient(redis_server.url))

    @cache(key="double:{number}")
    async def double(number: int) -> int:
        return 2 * number

    async def use() -> None:
        assert_not_cached(double, 4)
        with assert_loads(double, 1):
            await asyncio.gather(*(double(4) for _ in range(5)))
        assert_cached(double, 4)
        await cache.aclose()

    asyncio.run(use())
    gc.collect()


def test_loads_are_counted_with_those_that_raise(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)

    def reciprocal(number: int) -> float:
        return 1 / number

    cached: Any = cache(key="r:{number}", cache_exceptions=OverflowError, negative_ttl=5)(
        colour.function(reciprocal)
    )
    with assert_loads(cached, 3):
        for number in (1, 1, 2, 0):
            try:
                colour.run(cached, number)
            except ZeroDivisionError:
                assert number == 0
    with (
        pytest.raises(AssertionError, match="reciprocal ran 0 times, not 1"),
        assert_loads(cached, 1),
    ):
        colour.run(cached, 1)


def test_a_remembered_exception_is_one_load(colour: Colour) -> None:
    def find(number: int) -> int:
        raise LookupError(number)

    cached: Any = colour.cache("memory://")(
        key="f:{number}", cache_exceptions=LookupError, negative_ttl=5
    )(colour.function(find))
    with assert_loads(cached, 1):
        for _ in range(3):
            with pytest.raises(LookupError):
                colour.run(cached, 1)


def test_what_fails_inside_is_raised_and_not_hidden_by_the_count() -> None:
    cached = Cache("memory://").memoize(len, key="n", ignore=("obj",))
    with pytest.raises(KeyError), assert_loads(cached, 5):
        raise KeyError


def test_a_function_that_is_not_cached_is_refused() -> None:
    with pytest.raises(UsageError, match="DC453"):
        assert_cached(len, [])
    with pytest.raises(UsageError, match="DC453"), assert_loads(len, 1):
        pass


def test_calls_load_while_the_backend_fails_and_deletions_are_kept(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    double = doubling(colour, cache)
    colour.run(double, 4)
    with recorded_events() as events, fail_backend(), assert_loads(double, 2):
        assert [colour.run(double, 4) for _ in range(2)] == [8, 8]
        assert colour.run(double.invalidate, 4).pending == 1  # type: ignore[attr-defined]
    assert [event.reason for event in events.of(BackendDown)] == ["DC450"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BackendUnavailable, BackendUnavailable),
        (BackendTimeout("no answer", code="DC201"), BackendTimeout),
        (ConnectionResetError, BackendUnavailable),
        (ConnectionRefusedError(111, "refused"), BackendUnavailable),
        (TimeoutError, BackendTimeout),
        ("redis", BackendUnavailable),
    ],
    ids=["type", "object", "reset", "refused", "time-out", "redis-py's"],
)
def test_a_strict_cache_raises_what_the_backend_does(
    colour: Colour, error: Any, kind: type[BackendError]
) -> None:
    if error == "redis":
        error = redis.ConnectionError
    cache = colour.cache("memory://", strict=True)
    with fail_backend(error), pytest.raises(BackendError) as caught:
        colour.call(cache, "invalidate", "a")
    # What strict raises tells why: the cause, in its chain or by itself.
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert any(isinstance(each, kind) for each in chain)


@pytest.mark.parametrize("error", [KeyError, ValueError("no"), 5, KeyboardInterrupt])
def test_an_error_that_no_backend_raises_is_refused(error: Any) -> None:
    cache = Cache("memory://")
    with pytest.raises(UsageError, match="DC452"), fail_backend(error):
        pass
    cache.set("a", 1)
    assert cache.get("a") == 1


def test_each_operation_gets_an_error_of_its_own() -> None:
    cache = Cache("memory://")
    made = BackendUnavailable("down", code="DC200")
    with cache.inject_fault(made):
        cache.invalidate("a")
    assert made.__traceback__ is None


def test_a_slow_backend_is_waited_for_and_a_very_slow_one_is_a_time_out(colour: Colour) -> None:
    cache = colour.cache(UNREACHABLE, socket_timeout=0.05)
    with isolated():
        colour.call(cache, "set", "a", 1)
        with slow_backend(0.01):
            assert colour.call(cache, "get", "a") == 1
        with recorded_events() as events, slow_backend("1h"):
            assert [colour.call(cache, "get", "a") for _ in range(3)] == [None] * 3
    assert [event.reason for event in events.of(BackendDown)] == ["DC451"]


def test_faults_add_up_and_end_one_by_one(colour: Colour) -> None:
    cache = colour.cache("memory://")
    with cache.inject_fault(delay=0.001):
        with cache.inject_fault(BackendUnavailable):
            assert colour.call(cache, "ping") is False
        drivers = cache._runtime.backend.drivers()
        assert all("faults" in driver.perform.__module__ for driver in drivers)
    assert not any("faults" in getattr(d.perform, "__module__", "") for d in drivers)
