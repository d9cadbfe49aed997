"""What is lost where a user of the server lacks one right: what needs it, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import BackendDown, Loaded, ScansRefused, StoresStopped
from tests.behaviour.seen import Seen
from tests.front.tiers import eventually, tiered
from tests.ports import HOST

if TYPE_CHECKING:
    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Server


def url_without(server: Server, *rules: str) -> str:
    server.cli("ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "&*", "+@all", *rules)
    return f"redis://app:pw@{HOST}:{server.port}"


def counted(colour: Colour, cache: Cache, **options: Any) -> tuple[Any, list[int]]:
    loads: list[int] = []

    def body(n: int) -> dict[str, int]:
        loads.append(n)
        return {"n": n}

    return cache(key="k:{n}", **options)(colour.function(body)), loads


FOR_THE_FRONT_TIER = [
    ["-pttl"],
    ["-client"],
    ["-client", "-subscribe", "-publish"],
    ["-pttl", "-client", "-pexpire", "-persist"],
]


@pytest.mark.parametrize("rules", FOR_THE_FRONT_TIER, ids=" ".join)
def test_what_only_the_front_tier_needs_costs_only_the_front_tier(
    colour: Colour, own_server: Server, rules: list[str]
) -> None:
    cache = tiered(colour, url_without(own_server, *rules))
    seen = Seen(cache)
    load, loads = counted(colour, cache, tags=["t"])
    for _ in range(4):
        assert colour.run(load, 1) == {"n": 1}
    assert loads == [1]
    assert colour.call(cache, "invalidate", tags=["t"]).pending == 0
    assert colour.run(load, 1) == {"n": 1}
    assert loads == [1, 1]
    assert colour.call(cache, "set", "x", 1) is True
    assert seen.count(BackendDown) == 0
    assert cache.stats().is_available


def test_a_copy_of_which_the_end_is_unknown_is_not_kept(colour: Colour, own_server: Server) -> None:
    cache = tiered(colour, url_without(own_server, "-pttl"))
    load, _ = counted(colour, cache)
    for _ in range(6):
        colour.run(load, 1)
    front = cache.stats().front
    assert front is not None
    assert (front.entries, front.hits) == (0, 0)


def test_a_refresh_that_may_not_ask_for_the_time_left_stores_nothing_for_ever(
    colour: Colour, own_server: Server
) -> None:
    cache = colour.cache(url_without(own_server, "-pttl"), ttl=60)
    load, _ = counted(colour, cache)
    colour.run(load, 1)
    colour.run(load.refresh, 1)
    assert 0 < own_server.cli("PTTL", "k:1") <= 60_000


def test_without_the_right_to_store_what_is_stored_is_served(
    colour: Colour, own_server: Server
) -> None:
    full = colour.cache(url_without(own_server))
    colour.call(full, "set", "k:1", {"n": 1})
    cache = colour.cache(url_without(own_server, "-set"))
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    for _ in range(3):
        assert colour.run(load, 1) == {"n": 1}
        assert colour.run(load, 2) == {"n": 2}
    assert loads == [2, 2, 2]
    assert colour.call(cache, "set", "k:3", 3) is False
    assert colour.call(cache, "invalidate", "k:1").pending == 0
    assert seen.count(BackendDown) == 0
    assert seen.count(StoresStopped) == 1


@pytest.mark.parametrize("by", ["pattern", "clear", "cache_clear"])
def test_what_cannot_be_looked_for_is_kept_and_does_not_stop_reads(
    colour: Colour, own_server: Server, by: str
) -> None:
    cache = colour.cache(url_without(own_server, "-scan"), namespace="shop")
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    colour.run(load, 1)
    for _ in range(2):
        if by == "cache_clear":
            done = load.cache_clear()
        elif by == "clear":
            done = colour.call(cache, "clear")
        else:
            done = colour.call(cache, "invalidate", patterns=["k:*"])
        assert done.pending == 1
    assert cache.stats().pending == 2
    for _ in range(2):
        colour.run(load, 1)
        colour.run(load, 2)
    assert loads == [1, 2]
    assert colour.call(cache, "invalidate", "k:2").pending == 0
    assert seen.count(ScansRefused) == 1
    assert seen.count(BackendDown) == seen.count(StoresStopped) == 0
    url_without(own_server)  # the right is granted
    colour.call(cache, "invalidate", "k:3")
    assert cache.stats().pending == 0
    colour.run(load, 1)
    assert loads == [1, 2, 1]


def test_a_right_that_is_granted_later_is_used(colour: Colour, own_server: Server) -> None:
    url = url_without(own_server, "-evalsha", "-eval", "-watch", "-multi")
    cache = colour.cache(url)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    for _ in range(3):
        colour.run(load, 1)
    assert loads == [1, 1, 1]
    assert seen.count(StoresStopped) == 1
    assert seen.count(BackendDown) == 0
    assert own_server.cli("KEYS", "*") == []
    url_without(own_server)
    own_server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    eventually(lambda: colour.run(load, 1) and own_server.cli("EXISTS", "k:1"), "a stored value")


def test_scripts_that_may_not_be_loaded_are_sent_along(colour: Colour, own_server: Server) -> None:
    cache = colour.cache(url_without(own_server, "-script", "-watch"))
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    own_server.cli("SCRIPT", "FLUSH")
    for _ in range(2):
        for n in range(3):
            colour.run(load, n)
    assert loads == [0, 1, 2]
    assert {event.outcome for event in seen.of(Loaded)} == {"stored"}


def test_a_right_to_delete_that_is_missing_stops_reads(colour: Colour, own_server: Server) -> None:
    full = colour.cache(url_without(own_server))
    colour.call(full, "set", "k:1", {"n": 0})
    cache = colour.cache(url_without(own_server, "-del"))
    load, _ = counted(colour, cache)
    assert colour.run(load, 1) == {"n": 0}
    assert colour.call(cache, "invalidate", "k:1").pending == 1
    assert colour.run(load, 1) == {"n": 1}
