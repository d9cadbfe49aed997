"""Jobs over many keys: all of them are done, in parts, and others run meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, Loaded
from tests.behaviour.seen import Seen
from tests.patience import patient
from tests.proxy import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.colours import Colour
    from tests.proxy import Proxy
    from tests.servers import Server

TEN_MEGABYTES_A_SECOND = Faults(latency=0.0065)
INTS = {f"k:{number}": number for number in range(8_000)}
LARGE = {f"k:{number}": "x" * 10_000 for number in range(300)}


def test_a_set_of_many_returns_the_keys_that_are_there_now(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    assert colour.call(cache, "set_many", {"a": 1, "b": None}) == ["a", "b"]
    assert colour.call(cache, "set_many", {"a": 2}, ttl=0) == []
    assert colour.call(cache, "set_many", {}) == []
    assert colour.call(cache, "get_many", ["a", "b"]) == {"b": None}


@pytest.mark.parametrize("values", [INTS, LARGE], ids=["small", "large"])
def test_all_of_many_values_are_set_though_the_server_knows_no_script_and_the_link_is_narrow(
    colour: Colour, redis_server: Server, proxy: Proxy, values: dict[str, Any]
) -> None:
    redis_server.cli("SCRIPT", "FLUSH")
    proxy.fault(requests=TEN_MEGABYTES_A_SECOND)
    cache = colour.cache(proxy.url)
    assert colour.call(cache, "set_many", values) == list(values)
    proxy.heal()
    assert colour.call(cache, "get_many", values) == values


def test_all_of_many_loaded_values_are_stored_and_told_to_be(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    redis_server.cli("SCRIPT", "FLUSH")
    proxy.fault(requests=TEN_MEGABYTES_A_SECOND)
    cache = colour.cache(proxy.url)
    seen = Seen(cache)
    load = colour.function(lambda keys: {key: LARGE[key] for key in keys})
    assert colour.call(cache, "get_or_load_many", LARGE, load) == LARGE
    assert {event.outcome for event in seen.of(Loaded)} == {"stored"}
    proxy.heal()
    assert colour.call(cache, "get_many", LARGE) == LARGE


def test_of_many_values_those_that_a_cut_kept_away_are_not_said_to_be_stored(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    cache = colour.cache(proxy.url)
    colour.call(cache, "set", "k:299", "old")
    proxy.fault(requests=Faults(cut_after=1_000_000))
    proxy.refuse()  # a new connection would let as much pass again
    stored = colour.call(cache, "set_many", LARGE)
    assert 0 < len(stored) < len(LARGE)
    proxy.heal()
    assert colour.call(cache, "ping")
    # Of a part whose reply was lost more may be there than is known to be.
    found = colour.call(cache, "get_many", LARGE)
    assert found.keys() >= set(stored)
    assert found == {key: LARGE[key] for key in found}


def test_many_names_are_invalidated_in_parts(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "set_many", INTS)
    done = colour.call(cache, "invalidate", *INTS)
    assert (done.keys, done.removed, done.pending) == (8_000, 8_000, 0)
    assert colour.call(cache, "get_many", INTS) == {}


def test_many_names_that_could_not_be_invalidated_are_owed_and_replayed(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    now = [0.0]
    cache = colour.cache(proxy.url, clock=lambda: now[0])
    colour.call(cache, "set_many", INTS)
    proxy.refuse()
    proxy.reset()
    assert colour.call(cache, "invalidate", *INTS).pending == 8_000
    proxy.heal()
    now[0] = 3.0
    assert colour.call(cache, "get_many", INTS) == {}


async def loaded(keys: list[str]) -> dict[str, int]:
    return {key: INTS[key] for key in keys}


JOBS: list[Callable[[Cache], Coroutine[Any, Any, Any]]] = [
    lambda cache: cache.aio.set_many(INTS),
    lambda cache: cache.aio.get_many(INTS),
    lambda cache: cache.aio.get_or_load_many(INTS, loaded),
    lambda cache: cache.aio.invalidate(*INTS),
]


@pytest.mark.parametrize("job", JOBS, ids=["set", "get", "load", "invalidate"])
def test_other_tasks_run_beside_a_big_job(backend_url: str, job: Any) -> None:
    async def turns_beside_it() -> int:
        turns = 0

        async def takes_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with Cache(patient(backend_url)) as cache:
            other = asyncio.create_task(takes_turns())
            await job(cache)
            other.cancel()
        return turns

    assert asyncio.run(turns_beside_it()) > len(INTS) // 1_000
