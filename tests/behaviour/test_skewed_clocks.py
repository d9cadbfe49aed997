"""Writers whose clocks are wrong: what the server knows of an entry's life decides beside them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from dualcache import BackendDown, StaleHit
from tests.behaviour.seen import Seen
from tests.behaviour.test_outages import acl_url

if TYPE_CHECKING:
    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Server

AHEAD: Final = 20.0
OPTIONS: Final[dict[str, Any]] = {"key": "k", "ttl": 1, "stale_if_error": 30, "jitter": 0}


class Source:
    """A body whose results tell how often it ran, and which can fail."""

    def __init__(self, first: int) -> None:
        self.value = first
        self.is_broken = False

    def load(self) -> int:
        if self.is_broken:
            raise ConnectionError
        self.value += 1
        return self.value


def function(colour: Colour, cache: Cache, source: Source) -> Any:
    def body() -> int:
        return source.load()

    return cache(**OPTIONS)(colour.function(body))


@pytest.mark.parametrize("skew", [AHEAD, 1.5, -AHEAD])
@pytest.mark.parametrize("front", [None, 100])
def test_an_entry_of_a_wrong_clock_is_never_an_unmarked_hit_beyond_its_time(
    colour: Colour, redis_server: Server, front: int | None, skew: float
) -> None:
    writer = colour.cache(redis_server.url, clock=lambda: time.time() + skew)
    cache = colour.cache(redis_server.url, front=front)
    seen = Seen(cache)
    source = Source(100)
    read = function(colour, cache, source)
    colour.run(function(colour, writer, Source(0)))
    redis_server.cli("PEXPIRE", "k", "29500")  # as one and a half seconds later
    assert colour.run(read.peek).stale
    source.is_broken = True
    assert colour.run(read) == 1
    assert seen.count(StaleHit) == 1
    source.is_broken = False
    # A source that failed is left alone for a while, but for a refresh.
    assert [colour.run(read.refresh), colour.run(read)] == [101, 101]


def test_an_entry_of_a_writer_ahead_is_fresh_while_its_time_lasts(
    colour: Colour, redis_server: Server
) -> None:
    writer = colour.cache(redis_server.url, clock=lambda: time.time() + AHEAD)
    cache = colour.cache(redis_server.url)
    read = function(colour, cache, Source(100))
    colour.run(function(colour, writer, Source(0)))
    redis_server.cli("PEXPIRE", "k", "30900")
    assert colour.run(read) == 1
    assert colour.run(read.peek).stale is False


def test_a_direct_read_does_not_take_an_entry_from_the_future_for_fresh(
    colour: Colour, redis_server: Server
) -> None:
    writer = colour.cache(redis_server.url, clock=lambda: time.time() + AHEAD)
    cache = colour.cache(redis_server.url)
    colour.run(function(colour, writer, Source(0)))
    assert colour.call(cache, "get", "k") is None
    assert colour.call(cache, "get_many", ["k"]) == {}
    assert colour.call(cache, "contains", "k") is False
    colour.call(writer, "set", "plain", 1)  # without a stale window its life alone decides
    assert colour.call(cache, "get", "plain") == 1


@pytest.mark.parametrize("lacking", ["pttl", "strlen"])
def test_a_user_without_the_right_to_lifetimes_is_served_and_refreshes(
    colour: Colour, any_own_server: Server, lacking: str
) -> None:
    url = acl_url(any_own_server, "+@all", f"-{lacking}")
    now = [1_000.0]
    cache = colour.cache(url, clock=lambda: now[0])
    seen = Seen(cache)
    read = function(colour, cache, Source(100))
    # A source that failed is left alone for a while, but for a refresh.
    assert [colour.run(read.refresh), colour.run(read)] == [101, 101]
    now[0] += 5
    assert [colour.run(read), colour.run(read)] == [102, 102]
    assert seen.count(BackendDown) == 0
