"""Reads and writes that cross each other: nothing is kept that changed while it was on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.front.every_server import own_server, redis_server
from tests.front.test_loss import LATE, recovered, stale_for
from tests.front.tiers import (
    eventually,
    front_hits,
    getting,
    hands_of,
    held,
    is_open,
    kept_key,
    old_copy,
    opened,
    redirect_listener,
    tier_of,
    tiered,
)
from tests.proxy import BLACK_HOLE, Proxy

if TYPE_CHECKING:
    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Server

__all__ = ["own_server", "redis_server"]  # each kind of server

FOREIGN = {
    "DEL": ("DEL", "k"),
    "SET": ("SET", "k", "foreign"),
    "RENAME": ("RENAME", "k", "elsewhere"),
    "PEXPIRE": ("PEXPIRE", "k", 100_000),
    "FLUSHDB": ("FLUSHDB",),
    "EVAL": ("EVAL", "return redis.call('DEL', KEYS[1])", 1, "k"),
}


def ticket(cache: Cache) -> Any:
    """What the tier knows of the key; differs from one of before a push."""
    return tier_of(cache).coherence.begin_read(["k"])


def gets(server: Server) -> int:
    stats = server.cli("INFO", "commandstats")
    calls: int = stats.get("cmdstat_get", {"calls": 0})["calls"]
    return calls


@pytest.mark.parametrize("change", FOREIGN)
def test_what_changes_while_its_reply_is_on_the_way_is_not_kept(
    colour: Colour, redis_server: Server, transport: Any, change: str
) -> None:
    with Proxy(redis_server.port) as data:
        cache = tiered(colour, data.url, transport, socket_timeout=20, max_staleness=60)
        redirect_listener(cache, redis_server.port)
        opened(colour, cache)
        colour.call(cache, "set", "k", "old")
        colour.call(cache, "get", "another")  # from here on the connection is tracked
        colour.call(cache, "fence")
        before, read = ticket(cache), gets(redis_server)
        data.fault(replies=BLACK_HOLE)
        reading = colour.start(getting(colour, cache, "k"))
        eventually(lambda: gets(redis_server) > read, "a read at the server")
        redis_server.cli(*FOREIGN[change])
        eventually(lambda: ticket(cache) != before, "the push")
        data.heal()
        assert reading.result() == "old"  # it was true when it was asked
        hits = front_hits(cache)
        assert colour.call(cache, "get", "k") == ("old" if change == "PEXPIRE" else None)
        assert front_hits(cache) == hits


@pytest.mark.parametrize("is_ours_last", [True, False])
def test_an_own_write_and_a_foreign_one_in_one_tick_of_the_server(
    colour: Colour, own_server: Server, transport: Any, is_ours_last: bool
) -> None:
    cache = tiered(colour, own_server.url, transport, socket_timeout=20, max_staleness=60)
    other = colour.cache(own_server.url, socket_timeout=20)
    colour.call(cache, "set", "k", "old")
    colour.call(other, "ping")
    kept_key(colour, cache, "k")
    for round_number in range(5):
        ours, theirs = f"ours {round_number}", f"theirs {round_number}"
        writers = [(other, theirs), (cache, ours)]
        own_server.pause()
        try:
            writing = [
                colour.start(lambda each=each, value=value: colour.face(each).set("k", value))  # type: ignore[misc]
                for each, value in (writers if is_ours_last else writers[::-1])
            ]
        finally:
            own_server.resume()
        for each in writing:
            each.result()
        colour.call(cache, "fence")
        assert colour.call(cache, "get", "k") == colour.call(other, "get", "k")
        assert kept_key(colour, cache, "k") == colour.call(other, "get", "k")


def test_reads_of_many_keys_and_a_push_of_many_names_in_one_tick(
    colour: Colour, own_server: Server, transport: Any
) -> None:
    cache = tiered(colour, own_server.url, transport, socket_timeout=20, max_staleness=60)
    keys = [f"k{number}" for number in range(40)]
    for key in keys:
        colour.call(cache, "set", key, "old")
        kept_key(colour, cache, key)
    own_server.pause()
    try:
        # Half of the names nobody here knows; the rest are kept, or being read again just now.
        names = [name for key in keys for name in (key, f"unknown {key}")]
        deleting = colour.start(lambda: own_server.client().delete(*names))
        reading = colour.start(lambda: colour.face(cache).get_many(keys))
    finally:
        own_server.resume()
    assert deleting.result() == len(keys)
    assert set(reading.result().values()) <= {"old"}
    colour.call(cache, "fence")
    assert [colour.call(cache, "get", key) for key in keys] == [None] * len(keys)


def test_a_read_that_began_before_an_own_invalidation_keeps_nothing(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    with Proxy(redis_server.port) as data:
        cache = tiered(colour, data.url, transport, socket_timeout=20, max_staleness=60)
        redirect_listener(cache, redis_server.port)
        opened(colour, cache)
        colour.call(cache, "set", "k", "old")
        colour.call(cache, "get", "another")
        colour.call(cache, "fence")
        read = gets(redis_server)
        for link in data.links:  # a new connection is answered
            link.fault(replies=BLACK_HOLE)
        reading = colour.start(getting(colour, cache, "k"))
        eventually(lambda: gets(redis_server) > read, "a read at the server")
        deleting = colour.start(lambda: colour.face(cache).invalidate("k"))
        eventually(lambda: not redis_server.cli("EXISTS", "k"), "the deletion")
        data.heal()
        deleting.result()
        reading.result()
        for _ in range(3):
            assert colour.call(cache, "get", "k") is None


def test_a_copy_never_outlives_its_entry_on_the_server(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    cache = tiered(colour, redis_server.url, transport, max_staleness=60)
    for _ in range(3):
        colour.call(cache, "set", "k", "v", ttl=0.15)
        is_gone = False
        while not is_gone:
            is_gone = not redis_server.cli("EXISTS", "k")
            found = colour.call(cache, "get", "k")
            assert found is None or not is_gone


def test_both_colours_of_one_process_read_each_others_writes_at_once(
    redis_server: Server, tasks: Colour, transport: Any
) -> None:
    cache = tiered(tasks, redis_server.url, transport, max_staleness=60)

    def load(n: int) -> int:
        return -1

    async def load_later(n: int) -> int:
        return -1

    sync, later = cache(key="n:{n}")(load), cache(key="n:{n}")(load_later)
    for version in range(40):
        if version % 2:
            cache.set("n:1", version)
        else:
            tasks.call(cache, "set", "n:1", version)
        for _ in range(3):
            assert sync(1) == version
            assert tasks.run(later, 1) == version
            assert cache.get("n:1") == tasks.call(cache, "get", "n:1") == version
    tasks.run(later.invalidate, 1)
    assert (sync(1), cache.get("n:1")) == (-1, -1)


def test_the_raw_client_of_the_cache_is_a_foreign_writer(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    cache = tiered(colour, redis_server.url, transport, namespace="shop", max_staleness=60)
    for _ in range(5):
        colour.call(cache, "set", "k", "old")
        kept_key(colour, cache, "k")
        colour.ask_client(cache, "delete", "shop:k")
        colour.call(cache, "fence")
        assert colour.call(cache, "get", "k") is None


def test_namespaces_on_one_server_leave_each_others_copies_alone(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    one, other = (
        tiered(colour, redis_server.url, transport, namespace=name, max_staleness=60)
        for name in ("one", "other")
    )
    for each in (one, other):
        colour.call(each, "set", "k", "v", tags=["t"])
        kept_key(colour, each, "k")
    hits = front_hits(other)
    colour.call(one, "invalidate", "k", tags=["t"])
    colour.call(one, "clear")
    colour.call(other, "fence")
    assert colour.call(one, "get", "k") is None
    assert colour.call(other, "get", "k") == "v"
    assert front_hits(other) == hits + 1


def test_a_server_that_pauses_its_clients_is_one_that_stands_still(
    colour: Colour, own_server: Server, transport: Any
) -> None:
    cache = held(colour, own_server.url, transport, socket_timeout=0.05)
    old_copy(colour, cache)
    own_server.cli("CLIENT", "PAUSE", 1_000)
    assert stale_for(colour, cache, lambda: None) < LATE
    eventually(lambda: not is_open(cache), "a closed tier", hands_of(cache), step=0.1)
    recovered(colour, cache)
