"""How often the server is asked: several keys cost as many trips as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Loaded
from dualcache.backends.redis.async_reader_task import ReaderTaskIO
from dualcache.backends.redis.async_transport import TransportIO
from dualcache.backends.redis.sync_connections import BoundedPlain
from tests.behaviour.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Server

KEYS = [f"k{number}" for number in range(100)]
TAGS = ["t", "u"]


class Trips:
    """Counts the writes to connections: each is a trip, whatever is in it."""

    def __init__(self) -> None:
        self.taken = 0

    def counted(self, send: Callable[..., Any]) -> Callable[..., Any]:
        def sent(*args: Any, **options: Any) -> Any:
            self.taken += 1
            return send(*args, **options)

        return sent

    def of(self, act: Callable[[], Any]) -> int:
        before = self.taken
        act()
        return self.taken - before


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> Trips:
    made = Trips()
    for kind, name in ((BoundedPlain, "ask"), (TransportIO, "write"), (ReaderTaskIO, "write")):
        monkeypatch.setattr(kind, name, made.counted(getattr(kind, name)))
    return made


def warm(colour: Colour, server: Server) -> Cache:
    """Return a cache that is connected, and knows how the server compares."""
    cache = colour.cache(server.url)
    assert colour.call(cache, "set", "warm", 1) is True
    # What is large takes a second connection in the async colour; its handshake is no trip of ours.
    assert colour.call(cache, "get_many", KEYS) == {}
    return cache


def loading(colour: Colour) -> tuple[Any, list[int]]:
    """Return a loader of many, and how many keys it was asked for each time."""
    asked: list[int] = []

    def body(keys: list[str]) -> dict[str, str]:
        asked.append(len(keys))
        return {key: key * 2 for key in keys}

    return colour.function(body), asked


def test_setting_many_keys_takes_two_trips(
    colour: Colour, any_server: Server, trips: Trips
) -> None:
    cache = warm(colour, any_server)
    values = dict.fromkeys(KEYS, "v")
    assert trips.of(lambda: colour.call(cache, "set_many", values, tags=TAGS)) == 2
    assert trips.of(lambda: colour.call(cache, "get_many", KEYS)) == 2  # the tags are found there
    assert colour.call(cache, "get_many", KEYS) == values
    colour.call(cache, "invalidate", tags=["u"])
    assert colour.call(cache, "get_many", KEYS) == {}


def test_loading_many_keys_takes_two_trips_and_reading_them_one(
    colour: Colour, any_server: Server, trips: Trips
) -> None:
    cache = warm(colour, any_server)
    loader, asked = loading(colour)

    def read() -> None:
        found = colour.call(cache, "get_or_load_many", KEYS, loader, tags=TAGS)
        assert found == {key: key * 2 for key in KEYS}

    assert trips.of(read) == 2
    assert asked == [100]
    assert trips.of(read) == 1
    assert trips.of(read) == 1
    assert asked == [100]
    assert colour.call(cache, "peek", KEYS[7]).tags == ("t", "u")


def test_where_batches_are_mostly_hits_alone_loading_many_keys_takes_a_look_more(
    colour: Colour, redis_server: Server, trips: Trips
) -> None:
    cache = warm(colour, redis_server)
    loader, asked = loading(colour)
    for _ in range(8):
        colour.call(cache, "get_or_load_many", KEYS[:50], loader, tags=TAGS)

    def read() -> None:
        colour.call(cache, "get_or_load_many", KEYS, loader, tags=TAGS)

    assert trips.of(read) == 3
    assert asked == [50, 50]


def test_many_dead_entries_are_replaced_in_one_trip(
    colour: Colour, redis_server: Server, trips: Trips
) -> None:
    cache = warm(colour, redis_server)
    loader, asked = loading(colour)

    def read() -> None:
        colour.call(cache, "get_or_load_many", KEYS, loader, tags=TAGS)

    read()
    colour.call(cache, "invalidate", tags=["t"])
    assert trips.of(read) == 3  # leases, markers, values
    assert trips.of(read) == 1
    assert asked == [100, 100]


def test_a_forgotten_script_is_given_again_for_many_keys(
    colour: Colour, any_server: Server, trips: Trips
) -> None:
    cache = warm(colour, any_server)
    seen = Seen(cache)
    loader, asked = loading(colour)
    any_server.cli("SCRIPT", "FLUSH")
    took = trips.of(lambda: colour.call(cache, "get_or_load_many", KEYS, loader))
    assert took in {2, 3}  # the third where a server compares by the script
    assert {event.outcome for event in seen.of(Loaded)} == {"stored"}
    assert len(colour.call(cache, "get_or_load_many", KEYS, loader)) == len(KEYS)
    assert asked == [100]


def test_keys_that_the_loader_does_not_know_cost_no_trip_of_their_own(
    colour: Colour, redis_server: Server, trips: Trips
) -> None:
    cache = warm(colour, redis_server)
    loader = colour.function(lambda keys: {keys[0]: 1})
    assert trips.of(lambda: colour.call(cache, "get_or_load_many", KEYS, loader)) == 2
    assert [key for key in KEYS if redis_server.cli("PTTL", key) > 1] == KEYS[:1]
