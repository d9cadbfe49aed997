"""What happens when pushes may be missing: the tier is emptied or bypassed, and comes back."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.bodies import WAIT_SECONDS
from tests.front.tiers import (
    PAUSE,
    STALENESS,
    eventually,
    front_hits,
    is_open,
    kept_key,
    listener_id,
    losses,
    opened,
    redirect_listener,
    tiered,
    tracked_ids,
)
from tests.proxy import Faults, Proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Server

LATE: float = STALENESS * 1.1 + 0.05
"""The bound with a tenth, and what one look on a busy machine takes."""


def stale_for(colour: Colour, cache: Cache, change: Callable[[], Any]) -> float:
    """Change the key behind the tier's back; return for how long the old value was served."""
    changed = time.monotonic()
    change()
    last = changed
    while time.monotonic() < changed + 3 * STALENESS:
        began = time.monotonic()
        if colour.call(cache, "get", "k") == "old":
            last = began
        elif time.monotonic() > changed + 1.5 * STALENESS:
            break
        PAUSE.wait(0.005)
    return last - changed


def recovered(colour: Colour, cache: Cache) -> None:
    colour.call(cache, "set", "k", "new")
    eventually(lambda: is_open(cache))
    eventually(lambda: colour.call(cache, "set", "k", "new"), "a store")
    assert kept_key(colour, cache, "k") == "new"


@pytest.fixture
def old(colour: Colour, redis_server: Server, transport: Any) -> Cache:
    cache = tiered(colour, redis_server.url, transport)
    colour.call(cache, "set", "k", "old")
    assert kept_key(colour, cache, "k") == "old"
    return cache


def test_a_killed_listener_is_noticed_at_once_and_replaced(
    colour: Colour, old: Cache, redis_server: Server
) -> None:
    redis_server.cli("CLIENT", "KILL", "ID", listener_id(old))
    age = stale_for(colour, old, lambda: redis_server.cli("SET", "k", "foreign"))
    assert age < LATE
    assert losses(old) == 1
    recovered(colour, old)


def test_a_listener_killed_right_after_the_write_costs_no_more(
    colour: Colour, old: Cache, redis_server: Server
) -> None:
    doomed = listener_id(old)
    pipeline = redis_server.client().pipeline(transaction=False)
    pipeline.execute_command("CLIENT", "KILL", "ID", doomed)
    pipeline.set("k", "foreign")
    assert stale_for(colour, old, pipeline.execute) < LATE
    recovered(colour, old)


def test_a_tracked_connection_killed_while_idle_is_a_loss(
    colour: Colour, redis_server: Server
) -> None:
    cache = tiered(colour, redis_server.url, "tracking")
    colour.call(cache, "set", "k", "old")
    assert kept_key(colour, cache, "k") == "old"
    before = losses(cache)
    for client_id in tracked_ids(cache):
        redis_server.cli("CLIENT", "KILL", "ID", client_id)
    assert stale_for(colour, cache, lambda: redis_server.cli("SET", "k", "foreign")) < LATE
    assert losses(cache) > before
    recovered(colour, cache)


def test_a_fence_finds_a_tracked_connection_that_was_killed(
    colour: Colour, redis_server: Server
) -> None:
    cache = tiered(colour, redis_server.url, "tracking", max_staleness=60)
    for _ in range(5):
        colour.call(cache, "set", "k", "old")
        assert kept_key(colour, cache, "k") == "old"
        for client_id in tracked_ids(cache):
            redis_server.cli("CLIENT", "KILL", "ID", client_id)
        redis_server.cli("SET", "k", "foreign")
        colour.call(cache, "fence")
        assert colour.call(cache, "get", "k") is None


def test_a_fence_while_the_listener_is_away_empties_the_tier(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    cache = tiered(colour, redis_server.url, transport, max_staleness=60)
    for _ in range(10):
        colour.call(cache, "set", "k", "old")
        assert kept_key(colour, cache, "k") == "old"
        redis_server.cli("CLIENT", "KILL", "ID", listener_id(cache))
        redis_server.cli("SET", "k", "foreign")
        colour.call(cache, "fence")
        assert colour.call(cache, "get", "k") is None


@pytest.mark.parametrize("way", ["FLUSHALL", "FLUSHDB"])
def test_a_flush_empties_the_tier_and_is_no_loss(
    colour: Colour, old: Cache, redis_server: Server, way: str
) -> None:
    redis_server.cli(way)
    colour.call(old, "fence")
    assert colour.call(old, "get", "k") is None
    assert losses(old) == 0


def test_all_connections_killed_at_once(colour: Colour, old: Cache, redis_server: Server) -> None:
    def kill() -> None:
        redis_server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        redis_server.cli("SET", "k", "foreign")

    assert stale_for(colour, old, kill) < LATE
    recovered(colour, old)


def test_a_restart_of_the_server_is_a_loss(
    colour: Colour, own_server: Server, transport: Any
) -> None:
    cache = tiered(colour, own_server.url, transport)
    colour.call(cache, "set", "k", "old")
    assert kept_key(colour, cache, "k") == "old"
    own_server.kill()
    assert stale_for(colour, cache, lambda: None) < LATE
    own_server.start()
    recovered(colour, cache)


def test_a_stopped_server_is_served_from_no_longer_than_the_bound(
    colour: Colour, own_server: Server, transport: Any
) -> None:
    cache = tiered(colour, own_server.url, transport)
    colour.call(cache, "set", "k", "old")
    assert kept_key(colour, cache, "k") == "old"
    own_server.pause()
    try:
        age = stale_for(colour, cache, lambda: None)
    finally:
        own_server.resume()
    assert age < LATE
    recovered(colour, cache)


@pytest.mark.parametrize("fault", ["black hole", "mute", "reset"])
def test_a_listener_that_hears_nothing_bounds_the_age(
    colour: Colour, redis_server: Server, transport: Any, fault: str
) -> None:
    with Proxy(redis_server.port) as listening:
        cache = tiered(colour, redis_server.url, transport)
        redirect_listener(cache, listening.port)
        colour.call(cache, "set", "k", "old")
        assert kept_key(colour, cache, "k") == "old"
        if fault == "black hole":
            listening.black_hole()
        elif fault == "mute":
            listening.fault(replies=Faults(holds=True))
        else:
            listening.refuse()
            listening.reset()
        assert stale_for(colour, cache, lambda: redis_server.cli("SET", "k", "foreign")) < LATE
        assert not is_open(cache)
        listening.heal()
        if fault == "reset":
            listening.accept()
        recovered(colour, cache)


def test_a_silent_data_link_stops_the_reads_and_not_what_is_kept(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    with Proxy(redis_server.port) as data:
        cache = tiered(colour, data.url, transport, socket_timeout=0.1)
        redirect_listener(cache, redis_server.port)
        colour.call(cache, "set", "k", "old")
        assert kept_key(colour, cache, "k") == "old"
        hits = front_hits(cache)
        data.black_hole()
        assert colour.call(cache, "get", "k") == "old"
        assert front_hits(cache) == hits + 1
        assert stale_for(colour, cache, lambda: redis_server.cli("SET", "k", "foreign")) < LATE
        data.heal()
        ends = time.monotonic() + WAIT_SECONDS
        while not colour.call(cache, "ping"):
            assert time.monotonic() < ends
        recovered(colour, cache)


def test_an_answer_that_makes_no_sense_is_a_loss_and_not_the_end(
    colour: Colour, redis_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with Proxy(redis_server.port) as listening:
        cache = tiered(colour, redis_server.url, "tracking")
        redirect_listener(cache, listening.port)
        colour.call(cache, "set", "k", "old")
        assert kept_key(colour, cache, "k") == "old"
        listening.fault(replies=Faults(garble=without_ids))
        before = losses(cache)
        eventually(lambda: losses(cache) > before, "a loss")
        assert stale_for(colour, cache, lambda: redis_server.cli("SET", "k", "foreign")) < LATE
        listening.heal()
        recovered(colour, cache)
    assert "front tier of" in caplog.text
    assert "is bypassed while changes are not heard (DC204)" in caplog.text


def without_ids(data: bytes) -> bytes:
    return re.sub(rb"\bid=\d", b"id=x", data)


def test_a_way_that_swallows_pushes_is_not_trusted(
    colour: Colour, redis_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "dualcache")
    with Proxy(redis_server.port) as deaf:
        deaf.fault(replies=Faults(garble=without_pushes))
        cache = tiered(colour, redis_server.url, max_staleness=60)
        redirect_listener(cache, deaf.port)
        opened(colour, cache)
        front = cache.stats().front
        assert front is not None
        assert (front.transport, front.reason) == ("ttl", "tracking: DC210; broadcast: DC210")
        cache.close()  # the thread that writes the line has ended now
        assert len([line for line in caplog.messages if "front tier" in line]) == 1


def test_pushes_that_come_back_are_heard_again(colour: Colour, redis_server: Server) -> None:
    with Proxy(redis_server.port) as deaf:
        deaf.fault(replies=Faults(garble=without_pushes))
        cache = tiered(colour, redis_server.url, max_staleness=60)
        redirect_listener(cache, deaf.port)
        opened(colour, cache)
        colour.call(cache, "set", "k", "old")
        assert kept_key(colour, cache, "k") == "old"
        deaf.heal()
        eventually(lambda: transport_of(cache) == "tracking", "pushes again")
        assert kept_key(colour, cache, "k") == "old"
        redis_server.cli("SET", "k", "foreign")
        colour.call(cache, "fence")
        assert colour.call(cache, "get", "k") is None


def transport_of(cache: Cache) -> str:
    front = cache.stats().front
    assert front is not None
    return front.transport


def test_a_way_that_swallows_answers_is_not_trusted(colour: Colour, redis_server: Server) -> None:
    with Proxy(redis_server.port) as deaf:
        deaf.fault(replies=Faults(garble=without_numbers))
        cache = tiered(colour, redis_server.url, max_staleness=60)
        redirect_listener(cache, deaf.port)
        opened(colour, cache)
        front = cache.stats().front
        assert front is not None
        assert (front.transport, front.reason) == ("ttl", "tracking: DC201; broadcast: DC201")


def without_numbers(data: bytes) -> bytes:
    return b"" if data.startswith(b":") else data


def without_pushes(data: bytes) -> bytes:
    return re.sub(rb">2\r\n\$10\r\ninvalidate\r\n\*1\r\n\$\d+\r\n[^\r]*\r\n", b"", data)
