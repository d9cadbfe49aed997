"""`add`, `incr`, `decr`: writes that depend on what is there; `keys`, which tells what is."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import BackendError, Cache, Loaded, UnencodableValue, UsageError
from tests.behaviour.seen import Seen
from tests.proxy import Faults

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.proxy import Proxy
    from tests.servers import Server


def names(colour: Colour, cache: Cache, *args: Any) -> list[str]:
    """Return all that `keys` gives, sorted."""

    async def collected() -> list[str]:
        return [name async for name in cache.aio.keys(*args)]

    found = colour.run(collected) if colour.is_async else list(cache.keys(*args))
    return sorted(found)


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


# add


def test_a_value_is_added_where_none_is(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    assert colour.call(cache, "add", "k", 1, ttl=60, tags=["t"]) is True
    assert colour.call(cache, "add", "k", 2) is False
    entry = colour.call(cache, "peek", "k")
    assert (entry.value, entry.tags) == (1, ("t",))
    assert 59 <= entry.ttl <= 60
    colour.call(cache, "invalidate", tags=["t"])
    assert colour.call(cache, "add", "k", 3) is True
    assert colour.call(cache, "get", "k") == 3


@pytest.mark.parametrize("value", [None, 0, False, ""])
def test_any_value_that_is_there_is_a_value(colour: Colour, backend_url: str, value: Any) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "set", "k", value)
    assert colour.call(cache, "add", "k", "new") is False
    assert colour.call(cache, "get", "k") == value


def test_an_entry_that_only_a_typed_reader_reads_is_there_too(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)

    def pause() -> timedelta:
        return timedelta(seconds=1)

    load = cache(key="k")(colour.function(pause))
    colour.run(load)
    assert colour.call(cache, "add", "k", "new") is False
    assert colour.run(load) == timedelta(seconds=1)


def test_a_stale_entry_is_none(colour: Colour) -> None:
    clock = Clock()
    cache = colour.cache("memory://", clock=clock, stale_if_error=600)
    colour.call(cache, "set", "k", "old", ttl=10)
    clock.now += 11
    assert colour.call(cache, "add", "k", "new", ttl=10) is True
    assert colour.call(cache, "get", "k") == "new"


def test_of_many_adders_one_succeeds(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    face = colour.face(cache)
    for key in "abc":
        told = colour.gather(*[lambda n=n, key=key: face.add(key, n) for n in range(10)])
        assert sum(told) == 1
        assert colour.call(cache, "get", key) == told.index(True)


def test_a_load_under_way_is_revoked_by_what_is_added(colour: Colour, backend_url: str) -> None:
    cache, gate = colour.cache(backend_url), colour.gate()
    seen = Seen(cache)

    async def old() -> str:
        await gate.passed()
        return "old"

    load = cache(key="k")(colour.function(old))
    loading = colour.start(load)
    gate.wait_until_entered()
    assert colour.call(cache, "add", "k", "new") is True
    gate.open()
    assert loading.result() == "old"
    assert [event.outcome for event in seen.of(Loaded)] == ["refused"]
    assert colour.call(cache, "get", "k") == "new"


def test_what_cannot_be_stored_is_not_added(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    assert colour.call(cache, "add", "k", 1, ttl=0) is False
    with pytest.raises(UnencodableValue):
        colour.call(cache, "add", "k", object())
    assert colour.call(cache, "contains", "k") is False


def test_a_key_of_another_type_is_replaced(colour: Colour, redis_server: Server) -> None:
    cache = colour.cache(redis_server.url)
    redis_server.cli("LPUSH", "k", "job")
    assert colour.call(cache, "add", "k", 1) is True
    redis_server.cli("SET", "n", "foreign")
    assert colour.call(cache, "incr", "n") == 1


# incr and decr


def test_a_counter_begins_at_nothing_and_is_an_entry_like_any_other(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    assert colour.call(cache, "incr", "n", ttl=60, tags=["t"]) == 1
    assert colour.call(cache, "incr", "n", 10) == 11
    assert colour.call(cache, "decr", "n") == 10
    assert colour.call(cache, "decr", "n", by=20) == -10
    assert colour.call(cache, "get", "n") == -10
    entry = colour.call(cache, "peek", "n")
    assert entry.tags == ("t",)
    assert 59 <= entry.ttl <= 60
    colour.call(cache, "invalidate", tags=["t"])
    assert colour.call(cache, "get", "n") is None
    assert colour.call(cache, "incr", "n") == 1


def test_a_counter_keeps_its_end(colour: Colour) -> None:
    clock = Clock()
    cache = colour.cache("memory://", clock=clock)
    colour.call(cache, "incr", "n", ttl=10)
    clock.now += 6
    colour.call(cache, "incr", "n", ttl=100)
    assert 3 <= colour.call(cache, "ttl", "n") <= 4
    clock.now += 5
    assert colour.call(cache, "get", "n") is None


def test_a_number_that_was_set_is_counted_on_and_kept_for_ever_if_it_was(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url, secret="s" * 32)
    colour.call(cache, "set", "n", 2**70, ttl=None)
    assert colour.call(cache, "incr", "n", 0) == 2**70
    assert colour.call(cache, "incr", "n") == 2**70 + 1
    assert colour.call(cache, "ttl", "n") is None


@pytest.mark.parametrize("value", ["5", 5.0, True, None, [1]])
def test_what_is_no_whole_number_is_not_counted_on(
    colour: Colour, backend_url: str, value: Any
) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "set", "k", value)
    with pytest.raises(UsageError) as caught:
        colour.call(cache, "incr", "k")
    assert caught.value.code == "DC181"
    assert colour.call(cache, "get", "k") == value


@pytest.mark.parametrize("by", ["1", 1.0, None])
def test_a_counter_changes_by_whole_numbers(colour: Colour, backend_url: str, by: Any) -> None:
    cache = colour.cache(backend_url)
    for method in ("incr", "decr"):
        with pytest.raises(UsageError) as caught:
            colour.call(cache, method, "n", by)
        assert caught.value.code == "DC182"


def test_a_counter_that_is_not_stored_counts_for_its_caller_alone(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    assert colour.call(cache, "incr", "n", 5, ttl=0) == 5
    assert colour.call(cache, "incr", "n") == 1


def test_no_count_is_lost_among_many_callers(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    face = colour.face(cache)
    counted = colour.gather(*[lambda: face.incr("n") for _ in range(24)])
    assert sorted(counted) == list(range(1, 25))
    assert colour.call(cache, "get", "n") == 24


def test_a_load_that_lasts_is_revoked_by_a_count(colour: Colour, backend_url: str) -> None:
    cache, gate = colour.cache(backend_url), colour.gate()

    async def old() -> int:
        await gate.passed()
        return 100

    load = cache(key="n")(colour.function(old))
    loading = colour.start(load)
    gate.wait_until_entered()
    assert colour.call(cache, "incr", "n") == 1
    gate.open()
    assert loading.result() == 100
    assert colour.call(cache, "incr", "n") == 2


def test_a_count_whose_answer_is_lost_is_not_counted_twice(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    now = [0.0]
    cache = colour.cache(proxy.url, clock=lambda: now[0])
    colour.call(cache, "set", "n", 5)
    proxy.fault(replies=Faults(cut_after=80))
    assert colour.call(cache, "incr", "n") in {6, None}
    proxy.heal()
    now[0] = 3.0
    assert colour.call(cache, "get", "n") in {5, 6}


def test_without_a_server_nothing_is_added_counted_or_listed(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    cache = colour.cache(proxy.url)
    colour.call(cache, "set", "n", 5)
    proxy.refuse()
    proxy.reset()
    assert colour.call(cache, "incr", "n") is None
    assert colour.call(cache, "add", "m", 1) is False
    with pytest.raises(BackendError):
        names(colour, cache)


def test_a_full_server_takes_nothing_and_keeps_what_it_has(
    colour: Colour, own_server: Server
) -> None:
    cache = colour.cache(own_server.url)
    colour.call(cache, "set", "n", 5)
    own_server.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
    own_server.cli("CONFIG", "SET", "maxmemory", "1")
    assert colour.call(cache, "incr", "n") is None
    assert colour.call(cache, "incr", "m") is None
    assert colour.call(cache, "add", "m", 1) is False
    assert colour.call(cache, "get", "n") == 5


def test_nothing_is_counted_while_the_cache_is_disabled(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    with cache.disabled():
        if not colour.is_async:  # the loop's thread has a context of its own
            assert cache.incr("n") is None
            assert cache.add("n", 1) is False
            assert list(cache.keys()) == []


# keys


def test_the_names_of_stored_values_are_listed_without_the_namespace(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    other = colour.cache(backend_url, namespace="shop2")
    colour.call(other, "set", "theirs", 1)
    for name in ("user:1", "user:2", "item:é", "white space"):
        colour.call(cache, "set", name, 1, tags=["t"])
    colour.call(cache, "set", "x" * 600, 1)
    found = names(colour, cache)
    assert found[:4] == ["item:é", "user:1", "user:2", "white%20space"]
    assert len(found) == 5
    assert colour.call(cache, "get_many", found) == dict.fromkeys(found, 1)
    assert names(colour, cache, "user:?") == ["user:1", "user:2"]
    assert names(colour, cache, "user:1") == ["user:1"]
    assert names(colour, cache, "nothing*") == []


def test_neither_loads_under_way_nor_foreign_keys_are_listed(
    colour: Colour, redis_server: Server
) -> None:
    cache, gate = colour.cache(redis_server.url), colour.gate()

    async def value() -> int:
        await gate.passed()
        return 1

    load = cache(key="loading")(colour.function(value))
    loading = colour.start(load)
    gate.wait_until_entered()
    redis_server.cli("SET", "foreign", "text")
    redis_server.cli("LPUSH", "queue", "job")
    redis_server.cli("SET", b"\xff\xfe", "bytes")
    colour.call(cache, "set", "k", 1, tags=["t"])
    assert names(colour, cache) == ["k"]
    gate.open()
    loading.result()
    assert names(colour, cache) == ["k", "loading"]


def test_many_names_are_listed_page_by_page(colour: Colour, redis_server: Server) -> None:
    cache = colour.cache(redis_server.url)
    wanted = {f"k:{number}": number for number in range(3_000)}
    colour.call(cache, "set_many", wanted)
    assert set(names(colour, cache, "k:*")) == set(wanted)


def test_a_pattern_that_cannot_be_is_told_before_anything_is_listed(colour: Colour) -> None:
    face = colour.face(colour.cache("memory://"))
    for pattern in ("", "~t:*", 5):
        with pytest.raises(UsageError):
            face.keys(pattern)
    assert inspect.isasyncgen(face.keys()) is colour.is_async
