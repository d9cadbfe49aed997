"""Values over a limit of the server: it hangs up, and is not blamed for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import BackendDown, NotStored
from tests.behaviour.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import Colour
    from tests.servers import Server

MEGABYTE = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def bulk_length(server: Server) -> None:
    server.cli("CONFIG", "SET", "proto-max-bulk-len", 1 << 20)


def query_buffer(server: Server) -> None:
    server.cli("CONFIG", "SET", "client-query-buffer-limit", 1 << 20)


LIMITS = pytest.mark.parametrize("limit", [bulk_length, query_buffer])


def sent_bytes(server: Server) -> int:
    found: dict[str, Any] = server.cli("INFO", "stats")
    return int(found["total_net_input_bytes"])


@LIMITS
def test_a_value_over_the_limit_is_sent_once_and_small_ones_go_on(
    colour: Colour, own_server: Server, limit: Callable[[Server], None]
) -> None:
    limit(own_server)
    clock = Clock()
    cache = colour.cache(own_server.url, clock=clock)
    seen = Seen(cache)
    loads: list[int] = []

    def body(n: int) -> bytes:
        loads.append(n)
        return b"x" * n

    load = cache(key="k:{n}")(colour.function(body))
    colour.run(load, 1)
    for _ in range(5):
        assert colour.run(load, 4 * MEGABYTE) == b"x" * 4 * MEGABYTE
        assert colour.run(load, 1) == b"x"
    assert loads == [1, *[4 * MEGABYTE] * 5]
    assert seen.count(BackendDown) == 0
    assert sent_bytes(own_server) < 5 * MEGABYTE
    (told,) = seen.of(NotStored)
    assert "limit" in told.help
    assert cache.stats().is_available
    own_server.cli("CONFIG", "SET", "proto-max-bulk-len", 512 << 20)
    own_server.cli("CONFIG", "SET", "client-query-buffer-limit", 1 << 30)
    clock.now += 61
    for _ in range(2):
        colour.run(load, 4 * MEGABYTE)
    assert len(loads) == 7


@LIMITS
def test_a_set_over_the_limit_deletes_what_was_there(
    colour: Colour, own_server: Server, limit: Callable[[Server], None]
) -> None:
    limit(own_server)
    cache = colour.cache(own_server.url)
    seen = Seen(cache)
    assert colour.call(cache, "set", "k", "old") is True
    for _ in range(3):
        assert colour.call(cache, "set", "k", b"x" * 4 * MEGABYTE) is False
        assert colour.call(cache, "get", "k") is None
    assert colour.call(cache, "set", "k", "small again") is True
    assert colour.call(cache, "get", "k") == "small again"
    assert seen.count(BackendDown) == 0


def test_among_many_values_only_the_one_over_the_limit_is_not_stored(
    colour: Colour, own_server: Server
) -> None:
    bulk_length(own_server)
    cache = colour.cache(own_server.url)
    values = {f"k{n}": b"x" * (4 * MEGABYTE if n == 3 else 100) for n in range(10)}
    colour.call(cache, "set_many", values)
    found = colour.call(cache, "get_many", list(values))
    assert found == {name: value for name, value in values.items() if name != "k3"}


def test_a_reply_over_the_limit_costs_its_key_alone(colour: Colour, own_server: Server) -> None:
    cache = colour.cache(own_server.url)
    seen = Seen(cache)
    assert colour.call(cache, "set", "large", b"x" * 8 * MEGABYTE) is True
    assert colour.call(cache, "set", "small", 1) is True
    own_server.cli("CONFIG", "SET", "client-output-buffer-limit", "normal 1000000 0 0")
    for _ in range(10):
        assert colour.call(cache, "get", "large") is None
        assert colour.call(cache, "get", "small") == 1
    assert seen.count(BackendDown) == 0
    assert colour.call(cache, "invalidate", "large").removed == 1


def test_among_many_loads_only_the_one_over_the_limit_is_not_stored(
    colour: Colour, own_server: Server
) -> None:
    bulk_length(own_server)
    cache = colour.cache(own_server.url)
    asked: list[list[str]] = []

    def body(keys: list[str]) -> dict[str, bytes]:
        asked.append(list(keys))
        return {key: b"x" * (4 * MEGABYTE if key == "k3" else 100) for key in keys}

    loader = colour.function(body)
    keys = [f"k{n}" for n in range(10)]
    for _ in range(3):
        found = colour.call(cache, "get_or_load_many", keys, loader)
        assert len(found["k3"]) == 4 * MEGABYTE
    assert asked == [keys, ["k3"], ["k3"]]
