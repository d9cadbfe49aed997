"""A failover behind one address: another server is the master, but old connections stay."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import BackendDown
from tests.behaviour.seen import Seen
from tests.front.tiers import eventually, is_open, kept, listener_id, opened, tiered
from tests.ports import HOST, free_port
from tests.proxy import Proxy
from tests.servers import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Binary

BOUND = 3.0
"""By the machine's clock; so long that the listener is not silent where the machine is busy."""


class Pair:
    """Two servers behind one address: `old` is the master until `fail_over`."""

    def __init__(self, old: Server, new: Server, proxy: Proxy) -> None:
        self.old, self.new, self.proxy = old, new, proxy
        self.url = proxy.url

    def fail_over(self, *, is_linked: bool = True) -> None:
        """Promote the other server; `is_linked`: the old one hears what happens there."""
        self.new.cli("REPLICAOF", "NO", "ONE")
        self.old.cli("REPLICAOF", HOST, self.new.port if is_linked else free_port())
        self.proxy.lead_to(self.new.port)


@pytest.fixture
def pair(server_binary: Binary) -> Iterator[Pair]:
    options = ("--repl-diskless-sync-delay", "0")
    with (
        Server(server_binary, *options) as old,
        Server(server_binary, *options) as new,
        Proxy(old.port) as proxy,
    ):
        new.cli("REPLICAOF", HOST, old.port)
        eventually(lambda: new.cli("INFO", "replication")["master_link_status"] == "up", "a link")
        yield Pair(old, new, proxy)


def counted(colour: Colour, cache: Cache) -> tuple[Any, list[int]]:
    loads: list[int] = []

    def body(n: int) -> int:
        loads.append(n)
        return len(loads)

    return cache(key="k:{n}")(colour.function(body)), loads


def test_an_invalidation_reaches_the_new_master(colour: Colour, pair: Pair) -> None:
    cache = colour.cache(pair.url)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    colour.run(load, 1)
    colour.run(load, 1)
    eventually(lambda: pair.new.cli("EXISTS", "k:1"), "a replicated entry")
    pair.fail_over()
    assert colour.call(cache, "invalidate", "k:1").pending == 0
    assert not pair.new.cli("EXISTS", "k:1")
    assert colour.run(load, 1) == 2
    assert colour.run(load, 1) == 2
    assert loads == [1, 1]
    assert colour.call(cache, "set", "x", 1) is True
    assert pair.new.cli("EXISTS", "x")
    assert seen.count(BackendDown) == 0


def test_a_load_finds_its_way_after_one_that_is_not_stored(colour: Colour, pair: Pair) -> None:
    cache = colour.cache(pair.url)
    load, loads = counted(colour, cache)
    colour.run(load, 0)
    pair.fail_over()
    for _ in range(4):
        colour.run(load, 1)
    assert len(loads) <= 3
    assert pair.new.cli("EXISTS", "k:1")


@pytest.mark.parametrize("is_listener_cut", [True, False])
@pytest.mark.parametrize("is_linked", [True, False])
def test_a_reader_with_a_front_tier_hears_what_the_new_master_is_told(
    colour: Colour, pair: Pair, is_linked: bool, is_listener_cut: bool
) -> None:
    cache = tiered(colour, pair.url, max_staleness=BOUND)
    load, _ = counted(colour, cache)
    assert kept(colour, cache, load, 1) == 1
    eventually(lambda: pair.new.cli("EXISTS", "k:1"), "a replicated entry")
    pair.fail_over(is_linked=is_linked)
    if is_listener_cut:  # so it never sees what became of its server
        pair.old.cli("CLIENT", "KILL", "ID", listener_id(cache))
    writer = colour.cache(pair.new.url)
    assert colour.call(writer, "invalidate", "k:1").pending == 0
    invalidated = time.monotonic()
    eventually(lambda: colour.run(load, 1) > 1, "a new value")
    assert time.monotonic() - invalidated < BOUND + 1
    eventually(lambda: is_open(cache), "an open tier")
    assert kept(colour, cache, load, 1) > 1
    assert colour.call(writer, "set", "k:1", 7) is True
    eventually(lambda: colour.run(load, 1) == 7, "what the new master was told")


def test_a_replica_that_was_never_a_master_is_used_as_it_is(colour: Colour, pair: Pair) -> None:
    colour.call(colour.cache(pair.old.url), "set", "k:1", 5)
    eventually(lambda: pair.new.cli("EXISTS", "k:1"), "a replicated entry")
    cache = tiered(colour, pair.new.url)
    load, loads = counted(colour, cache)
    for _ in range(5):
        assert colour.run(load, 1) == 5
    assert loads == []


def test_a_user_who_may_not_ask_for_the_role_has_a_front_tier(
    colour: Colour, own_server: Server
) -> None:
    own_server.cli("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-role", "-info")
    cache = tiered(colour, f"redis://app:pw@{HOST}:{own_server.port}")
    opened(colour, cache)
    load, _ = counted(colour, cache)
    assert kept(colour, cache, load, 1) == 1
