"""Messages that may be missing where processes tell each other: the tier is emptied or bypassed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.front.every_server import own_server, redis_server
from tests.front.test_loss import (
    LATE,
    old,
    recovered,
    stale_for,
    test_a_listener_that_hears_nothing_bounds_the_age,
    test_a_restart_of_the_server_is_a_loss,
    test_a_stopped_server_is_served_from_no_longer_than_the_bound,
)
from tests.front.tiers import (
    eventually,
    front_hits,
    hands_of,
    held,
    is_open,
    kept_key,
    losses,
    old_copy,
    opened,
    redirect_listener,
)
from tests.proxy import Faults, Proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from dualcache.options.front_tier import Transport
    from tests.colours import Colour
    from tests.servers import Server

__all__ = [
    "old",
    "own_server",
    "redis_server",
    "test_a_listener_that_hears_nothing_bounds_the_age",
    "test_a_restart_of_the_server_is_a_loss",
    "test_a_stopped_server_is_served_from_no_longer_than_the_bound",
]

KILL = ("CLIENT", "KILL", "TYPE", "pubsub")


@pytest.fixture
def transport() -> Transport:
    return "pubsub"


@pytest.fixture
def change(colour: Colour, redis_server: Server) -> Callable[[], Any]:
    """Have another process set the key that is kept."""
    other = colour.cache(redis_server.url, publish=True)
    return lambda: colour.call(other, "set", "k", "foreign")


def test_a_killed_listener_is_noticed_at_once_and_replaced(
    colour: Colour, old: Cache, redis_server: Server, change: Callable[[], Any]
) -> None:
    redis_server.cli(*KILL)
    eventually(lambda: not is_open(old), "a closed tier")  # no time passes
    assert losses(old) == 1
    assert stale_for(colour, old, change) == 0
    recovered(colour, old)


def test_a_listener_killed_before_the_message_costs_no_more(
    colour: Colour, old: Cache, redis_server: Server, change: Callable[[], Any]
) -> None:
    def kill_and_change() -> None:
        redis_server.cli(*KILL)
        change()

    assert stale_for(colour, old, kill_and_change) < LATE
    recovered(colour, old)


def test_a_fence_while_the_listener_is_away_empties_the_tier(
    colour: Colour, redis_server: Server, change: Callable[[], Any]
) -> None:
    cache = held(colour, redis_server.url, "pubsub", max_staleness=60)
    for _ in range(5):
        old_copy(colour, cache)
        redis_server.cli(*KILL)
        change()
        colour.call(cache, "fence")
        assert colour.call(cache, "get", "k") == "foreign"


@pytest.mark.parametrize("way", ["FLUSHALL", "FLUSHDB"])
def test_a_flush_is_found_within_the_bound_without_a_fence(
    colour: Colour, old: Cache, redis_server: Server, way: str
) -> None:
    assert stale_for(colour, old, lambda: redis_server.cli(way)) < LATE
    recovered(colour, old)


def test_a_clear_is_no_loss(colour: Colour, redis_server: Server) -> None:
    cache = held(colour, redis_server.url, "pubsub", namespace="shop")
    other = colour.cache(redis_server.url, namespace="shop", publish=True)
    for _ in range(3):
        old_copy(colour, cache)
        colour.call(other, "clear")
        colour.call(cache, "fence")
        assert colour.call(cache, "get", "k") is None
    assert losses(cache) == 0


def test_a_message_that_another_version_sends_empties_the_tier(
    colour: Colour, redis_server: Server
) -> None:
    cache = held(colour, redis_server.url, "pubsub", max_staleness=60)
    colour.call(cache, "set", "k", "old")
    kept_key(colour, cache, "k")
    redis_server.cli("DEL", "k")
    redis_server.cli("PUBLISH", "~c", "something of tomorrow")
    colour.call(cache, "fence")
    assert colour.call(cache, "get", "k") is None


def test_a_silent_data_link_stops_the_reads_and_not_what_is_kept(
    colour: Colour, redis_server: Server, change: Callable[[], Any]
) -> None:
    with Proxy(redis_server.port) as data:
        cache = held(colour, data.url, "pubsub", socket_timeout=0.1)
        redirect_listener(cache, redis_server.port)
        old_copy(colour, cache)
        hits = front_hits(cache)
        data.black_hole()
        assert colour.call(cache, "get", "k") == "old"
        assert front_hits(cache) == hits + 1
        assert stale_for(colour, cache, change) < LATE
        data.heal()
        eventually(lambda: colour.call(cache, "ping"), "an answer", hands_of(cache), step=0.1)
        recovered(colour, cache)


@pytest.mark.parametrize("cut_after", range(10, 140, 20))
def test_a_deletion_whose_message_is_cut_off_has_not_happened_either(
    colour: Colour, redis_server: Server, cut_after: int
) -> None:
    """A process that dies in the middle of an invalidation leaves both tiers as they were."""
    hearing = held(colour, redis_server.url, "pubsub", max_staleness=60)
    colour.call(hearing, "set", "k", "old")
    assert kept_key(colour, hearing, "k") == "old"
    with Proxy(redis_server.port) as way:
        telling = colour.cache(way.url, publish=True, socket_timeout=0.1)
        colour.call(telling, "ping")
        way.fault(requests=Faults(cut_after=cut_after))
        way.refuse()
        done = colour.call(telling, "invalidate", "k")
    colour.call(hearing, "fence")
    found = colour.call(hearing, "get", "k")
    assert (found == "old") == bool(redis_server.cli("EXISTS", "k"))
    assert done.pending == 1 or found is None


def test_a_way_that_swallows_messages_is_not_trusted(colour: Colour, redis_server: Server) -> None:
    with Proxy(redis_server.port) as deaf:
        deaf.fault(replies=Faults(garble=without_messages))
        cache = held(colour, redis_server.url, "pubsub", max_staleness=60, socket_timeout=20)
        redirect_listener(cache, deaf.port)
        colour.call(cache, "get", "k")
        is_in_vain = lambda: front_reason(cache) == ("none", "DC210")  # noqa: E731
        eventually(is_in_vain, "a probe in vain", hands_of(cache), step=0.05)
        assert not is_open(cache)
        deaf.heal()
        opened(colour, cache)


def front_reason(cache: Cache) -> tuple[str, str]:
    front = cache.stats().front
    assert front is not None
    return front.transport, front.reason


def without_messages(data: bytes) -> bytes:
    return re.sub(rb"(?s)>3\r\n\$7\r\nmessage\r\n\$2\r\n~c\r\n\$\d+\r\n.*?\r\n", b"", data)


def test_a_full_server_leaves_the_tier_open(colour: Colour, own_server: Server) -> None:
    cache = held(colour, own_server.url, "pubsub")
    colour.call(cache, "set", "k", "old")
    kept_key(colour, cache, "k")
    own_server.cli("CONFIG", "SET", "maxmemory", "1")
    other = colour.cache(own_server.url, publish=True)
    for _ in range(3):
        colour.call(cache, "fence")
    assert losses(cache) == 0
    colour.call(other, "invalidate", "k")  # a deletion is taken, and told
    colour.call(cache, "fence")
    assert colour.call(cache, "get", "k") is None


def test_a_full_server_tells_of_what_could_not_be_replaced(
    colour: Colour, own_server: Server
) -> None:
    cache = held(colour, own_server.url, "pubsub")
    other = colour.cache(own_server.url, publish=True)
    for name in "ab":
        colour.call(cache, "set", name, "old")
        kept_key(colour, cache, name)
    own_server.cli("CONFIG", "SET", "maxmemory", "1")
    colour.call(other, "set_many", {"a": "new", "b": "new"})
    colour.call(cache, "fence")
    assert [colour.call(cache, "get", name) for name in "ab"] == [None, None]
    assert other.stats().pending == 0
