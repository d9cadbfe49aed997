"""What happens when pushes may be missing: the tier is emptied or bypassed, and comes back."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.front.every_server import own_server, redis_server
from tests.front.hands import LOOK_SECONDS
from tests.front.tiers import (
    PAUSE,
    STALENESS,
    eventually,
    front_hits,
    hands_of,
    held,
    is_open,
    kept_key,
    listener_id,
    losses,
    old_copy,
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

__all__ = ["own_server", "redis_server"]  # each kind of server

LATE: float = STALENESS * 1.1
"""The bound, and as much as time moves between two looks."""
BUSY: float = 0.05
"""What one look by the machine's clock may take on a busy machine."""
LOOKS = 15
FLOOD = 20_000
"""So many writes that a reader of pushes that called itself for each would have ended."""


def stale_for(colour: Colour, cache: Cache, change: Callable[[], Any]) -> float:
    """Change the key behind the tier's back; return for how long the old value was served."""
    hands = hands_of(cache)
    assert hands is not None
    changed = last = hands.now()
    change()
    for _ in range(LOOKS):
        began = hands.now()
        if colour.call(cache, "get", "k") == "old":
            last = began
        hands.move(0.1 * STALENESS)
        PAUSE.wait(2 * LOOK_SECONDS)  # so that the listener does what is due by then
    return last - changed


def recovered(colour: Colour, cache: Cache) -> None:
    """See that all is well again: the tier is open, and a new value is stored and kept."""
    hands = hands_of(cache)
    assert hands is not None
    colour.call(cache, "set", "k", "new")
    # The breaker's pause has to end too, where the server was away.
    eventually(lambda: colour.call(cache, "set", "k", "new"), "a store", hands, step=STALENESS)
    eventually(lambda: is_open(cache), "an open tier", hands)
    assert kept_key(colour, cache, "k") == "new"


@pytest.fixture
def old(colour: Colour, redis_server: Server, transport: Any) -> Cache:
    cache = held(colour, redis_server.url, transport)
    old_copy(colour, cache)
    return cache


def test_a_killed_listener_is_noticed_at_once_and_replaced(
    colour: Colour, old: Cache, redis_server: Server
) -> None:
    redis_server.cli("CLIENT", "KILL", "ID", listener_id(old))
    eventually(lambda: not is_open(old), "a closed tier")  # no time passes
    assert losses(old) == 1
    assert stale_for(colour, old, lambda: redis_server.cli("SET", "k", "foreign")) == 0
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
    cache = held(colour, redis_server.url, "tracking")
    old_copy(colour, cache)
    before = losses(cache)
    for client_id in tracked_ids(cache):
        redis_server.cli("CLIENT", "KILL", "ID", client_id)
    assert stale_for(colour, cache, lambda: redis_server.cli("SET", "k", "foreign")) < LATE
    eventually(lambda: losses(cache) > before, "a loss", hands_of(cache), step=0.1)
    recovered(colour, cache)


def test_a_fence_finds_a_tracked_connection_that_was_killed(
    colour: Colour, redis_server: Server
) -> None:
    cache = held(colour, redis_server.url, "tracking", max_staleness=60)
    for _ in range(5):
        old_copy(colour, cache)
        for client_id in tracked_ids(cache):
            redis_server.cli("CLIENT", "KILL", "ID", client_id)
        redis_server.cli("SET", "k", "foreign")
        colour.call(cache, "fence")
        assert colour.call(cache, "get", "k") is None


def test_a_fence_while_the_listener_is_away_empties_the_tier(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    cache = held(colour, redis_server.url, transport, max_staleness=60)
    for _ in range(10):
        old_copy(colour, cache)
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


def test_data_that_the_server_reads_again_from_disk_empty_the_tier(
    colour: Colour, own_server: Server, transport: Any
) -> None:
    cache = tiered(colour, own_server.url, transport)
    old_copy(colour, cache)
    # What is on disk may be older than what was read: a copy of it is as good as any other value.
    try:
        own_server.cli("DEBUG", "RELOAD")
    except redis.ResponseError:
        pytest.skip("since 7.0 a server has to be started with the right to this command")
    own_server.cli("SET", "k", "foreign")
    colour.call(cache, "fence")
    assert colour.call(cache, "get", "k") is None


def test_a_flood_of_pushes_is_heard_to_its_end(
    colour: Colour, own_server: Server, transport: Any
) -> None:
    cache = tiered(colour, own_server.url, transport, max_staleness=30)
    names = [f"k:{n}" for n in range(200)]
    colour.call(cache, "set_many", dict.fromkeys(names, "old"))
    assert kept_key(colour, cache, "k:199") == "old"
    colour.call(cache, "get_many", names)
    pipeline = own_server.client().pipeline(transaction=False)
    for at in range(FLOOD):
        pipeline.set(names[at % len(names)], "foreign")
    pipeline.execute()
    colour.call(cache, "fence")
    assert colour.call(cache, "get_many", names) == {}
    assert losses(cache) == 0


def test_a_restart_of_the_server_is_a_loss(
    colour: Colour, own_server: Server, transport: Any
) -> None:
    cache = held(colour, own_server.url, transport)
    old_copy(colour, cache)
    own_server.kill()
    assert stale_for(colour, cache, lambda: None) < LATE
    own_server.start()
    recovered(colour, cache)


def test_a_stopped_server_is_served_from_no_longer_than_the_bound(
    colour: Colour, own_server: Server, transport: Any
) -> None:
    cache = held(colour, own_server.url, transport, socket_timeout=0.05)
    old_copy(colour, cache)
    own_server.pause()
    try:
        age = stale_for(colour, cache, lambda: None)
    finally:
        own_server.resume()
    assert age < LATE
    recovered(colour, cache)


def test_the_bound_holds_by_the_machines_own_clock_too(threads: Colour, own_server: Server) -> None:
    """On any transport alike: this test alone waits for real, the others turn a clock."""
    cache = tiered(threads, own_server.url, "auto", socket_timeout=0.5, max_staleness=STALENESS)
    old_copy(threads, cache)
    own_server.pause()
    try:
        stopped = last = began = time.monotonic()
        while began < stopped + 1.5 * STALENESS:
            began = time.monotonic()
            if cache.get("k") == "old":
                last = began
            PAUSE.wait(0.005)
    finally:
        own_server.resume()
    assert last - stopped < LATE + BUSY
    eventually(lambda: cache.set("k", "new"), "a store")
    assert kept_key(threads, cache, "k") == "new"


@pytest.mark.parametrize("fault", ["black hole", "mute", "reset"])
def test_a_listener_that_hears_nothing_bounds_the_age(
    colour: Colour, redis_server: Server, transport: Any, fault: str
) -> None:
    with Proxy(redis_server.port) as listening:
        cache = held(colour, redis_server.url, transport, socket_timeout=0.5)
        redirect_listener(cache, listening.port)
        old_copy(colour, cache)
        if fault == "black hole":
            listening.black_hole()
        elif fault == "mute":
            listening.fault(replies=Faults(holds=True))
        else:
            listening.refuse()
            listening.reset()
        assert stale_for(colour, cache, lambda: redis_server.cli("SET", "k", "foreign")) < LATE
        eventually(lambda: not is_open(cache), "a closed tier", hands_of(cache), step=0.1)
        listening.heal()
        if fault == "reset":
            listening.accept()
        recovered(colour, cache)


def test_a_silent_data_link_stops_the_reads_and_not_what_is_kept(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    with Proxy(redis_server.port) as data:
        cache = held(colour, data.url, transport, socket_timeout=0.5)
        redirect_listener(cache, redis_server.port)
        old_copy(colour, cache)
        hits = front_hits(cache)
        data.black_hole()
        assert colour.call(cache, "get", "k") == "old"
        assert front_hits(cache) == hits + 1
        assert stale_for(colour, cache, lambda: redis_server.cli("SET", "k", "foreign")) < LATE
        data.heal()
        eventually(lambda: colour.call(cache, "ping"), "an answer", hands_of(cache), step=0.1)
        recovered(colour, cache)


def test_an_answer_that_makes_no_sense_is_a_loss_and_not_the_end(
    colour: Colour, redis_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with Proxy(redis_server.port) as listening:
        cache = held(colour, redis_server.url, "tracking")
        redirect_listener(cache, listening.port)
        old_copy(colour, cache)
        listening.fault(replies=Faults(garble=without_ids))
        before = losses(cache)
        eventually(lambda: losses(cache) > before, "a loss", hands_of(cache), step=0.1)
        assert stale_for(colour, cache, lambda: redis_server.cli("SET", "k", "foreign")) < LATE
        listening.heal()
        recovered(colour, cache)
    assert "front tier of" in caplog.text
    assert "is bypassed while it hears no changes (DC204)" in caplog.text


def without_ids(data: bytes) -> bytes:
    return re.sub(rb"\bid=\d", b"id=x", data)


def in_vain(colour: Colour, cache: Cache) -> None:
    """Let the listener wait in vain, for as long as it does, until the tier is open without it."""
    colour.call(cache, "get", "no such key")
    eventually(lambda: is_open(cache), "an open tier", hands_of(cache), step=0.05)


def test_a_way_that_swallows_pushes_is_not_trusted(
    colour: Colour, redis_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "dualcache")
    with Proxy(redis_server.port) as deaf:
        deaf.fault(replies=Faults(garble=without_pushes))
        cache = held(colour, redis_server.url, max_staleness=60, socket_timeout=20)
        redirect_listener(cache, deaf.port)
        in_vain(colour, cache)
        front = cache.stats().front
        assert front is not None
        assert (front.transport, front.reason) == ("ttl", "tracking: DC210; broadcast: DC210")
        cache.close()  # the thread that writes the line has ended now
        assert len([line for line in caplog.messages if "front tier" in line]) == 1


def test_pushes_that_come_back_are_heard_again(colour: Colour, redis_server: Server) -> None:
    with Proxy(redis_server.port) as deaf:
        deaf.fault(replies=Faults(garble=without_pushes))
        cache = held(colour, redis_server.url, max_staleness=60, socket_timeout=20)
        redirect_listener(cache, deaf.port)
        in_vain(colour, cache)
        old_copy(colour, cache)
        deaf.heal()
        eventually(lambda: transport_of(cache) == "tracking", "pushes again", hands_of(cache))
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
        cache = held(colour, redis_server.url, max_staleness=60)
        redirect_listener(cache, deaf.port)
        in_vain(colour, cache)
        front = cache.stats().front
        assert front is not None
        assert (front.transport, front.reason) == ("ttl", "tracking: DC201; broadcast: DC201")


def without_numbers(data: bytes) -> bytes:
    return b"" if data.startswith(b":") else data


def without_pushes(data: bytes) -> bytes:
    return re.sub(rb">2\r\n\$10\r\ninvalidate\r\n\*1\r\n\$\d+\r\n[^\r]*\r\n", b"", data)
