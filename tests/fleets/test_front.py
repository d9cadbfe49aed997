"""The front tier on a Cluster: a listener for each primary, and what one of them loses."""

from __future__ import annotations

import gc
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, FrontTier
from tests.fleets.cluster import slot_of
from tests.fleets.waiting import until
from tests.front.tiers import eventually, front_hits, is_open, kept, kept_key, losses, tier_of

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.fleets.cluster import Cluster, ClusterNode

STALENESS = 0.6
UNBROKEN: dict[str, Any] = {"max_staleness": 10}
"""For tests in which nothing is lost: a proof that is late by less is no loss."""
TRANSPORTS = pytest.mark.parametrize("transport", ["tracking", "broadcast"])


def fronted(colour: Colour, cluster: Cluster, transport: Any = "auto", **options: Any) -> Cache:
    """Return a cache whose tier hears all primaries."""
    options = {"max_staleness": STALENESS, "front": FrontTier(transport=transport)} | options
    cache = colour.cache(cluster.url(), **options)
    colour.call(cache, "get", "no such key")
    eventually(lambda: hears_all(cache, cluster), "all primaries heard")
    return cache


def heard(cache: Cache) -> dict[str, bool]:
    """Return which primaries are heard, by their ports."""
    front = cache.stats().front
    assert front is not None
    return {node.node.rpartition(":")[2]: node.is_heard for node in front.nodes}


def hears_all(cache: Cache, cluster: Cluster) -> bool:
    return heard(cache) == {str(node.port): True for node in cluster.primaries}


def key_at(node: ClusterNode, name: str = "k") -> str:
    """Return a key that a node has."""
    own = next(known.slots for known in node.known() if known.port == node.port)
    return next(f"{name}{n}" for n in range(10_000) if slot_of(f"{name}{n}") in own)


def is_kept(cache: Cache, key: str) -> bool:
    entry = tier_of(cache).shared.find(key)
    return entry is not None and entry.is_alive


def is_dropped(cache: Cache, key: str) -> bool:
    return not is_kept(cache, key)


@TRANSPORTS
def test_changes_on_each_primary_are_heard(
    colour: Colour, cluster: Cluster, transport: Any
) -> None:
    cache = fronted(colour, cluster, transport, **UNBROKEN)
    keys = [key_at(node) for node in cluster.primaries]
    for key in keys:
        colour.call(cache, "set", key, "old")
        assert kept_key(colour, cache, key) == "old"
    for node, key in zip(cluster.primaries, keys, strict=True):
        node.cli("DEL", key)
        eventually(partial(is_dropped, cache, key), f"{key} dropped")
        assert colour.call(cache, "get", key) is None
    front = cache.stats().front
    assert front is not None
    assert {(node.transport, node.reason) for node in front.nodes} == {
        (transport, "a push was seen")
    }
    assert (front.transport, front.is_open, front.losses) == (transport, True, 0)


@TRANSPORTS
def test_a_tag_on_another_primary_ends_the_copy(
    colour: Colour, cluster: Cluster, transport: Any
) -> None:
    first, second, *_ = cluster.primaries
    cache = fronted(colour, cluster, transport)
    tag = next(f"t{n}" for n in range(1_000) if cluster.node_of(f"~t:t{n}").port == second.port)
    runs = [0]

    def body(key: str) -> int:
        runs[0] += 1
        return runs[0]

    load = cache(key="{key}", ttl=600, tags=[tag])(colour.function(body))
    key = key_at(first)
    assert kept(colour, cache, load, key) == 1
    assert is_kept(cache, key)
    second.cli("DEL", f"~t:{tag}")
    eventually(partial(is_dropped, cache, key), "the copy dropped")
    assert colour.run(load, key) == 2


@TRANSPORTS
def test_an_invalidation_elsewhere_is_heard_and_a_fence_waits_for_it(
    colour: Colour, cluster: Cluster, transport: Any
) -> None:
    cache = fronted(colour, cluster, transport, **UNBROKEN)
    other = colour.cache(cluster.url())
    for node in cluster.primaries:
        key = key_at(node)
        colour.call(cache, "set", key, "old")
        assert kept_key(colour, cache, key) == "old"
        colour.call(other, "set", key, "new")
        colour.call(cache, "fence")
        assert colour.call(cache, "get", key) == "new"
    assert losses(cache) == 0


def test_a_batch_is_kept_key_by_key(colour: Colour, cluster: Cluster) -> None:
    cache = fronted(colour, cluster)
    keys = [key_at(node, name) for node in cluster.primaries for name in ("a", "b")]
    for key in keys:
        colour.call(cache, "set", key, key)

    def is_all_in_front() -> bool:
        before = front_hits(cache)
        assert colour.call(cache, "get_many", keys) == {key: key for key in keys}
        return front_hits(cache) == before + len(keys)

    eventually(is_all_in_front, "a batch without a trip")


def test_a_cache_that_was_closed_hears_anew(colour: Colour, cluster: Cluster) -> None:
    cache = fronted(colour, cluster)
    colour.call(cache, "set", "k", "old")
    assert kept_key(colour, cache, "k") == "old"
    cache.close()
    assert not any(heard(cache).values())
    assert not is_kept(cache, "k")
    assert kept_key(colour, cache, "k") == "old"
    cluster.node_of("k").cli("DEL", "k")
    eventually(partial(is_dropped, cache, "k"), "the copy dropped")


def are_gone(threads: list[threading.Thread]) -> bool:
    """Collect what nobody holds, as often as it takes: a thread may hold it for a moment."""
    gc.collect()
    return not any(each.is_alive() for each in threads)


def test_the_listeners_of_a_cache_that_nobody_holds_end(cluster: Cluster) -> None:
    cache = Cache(cluster.url(), front=FrontTier(), max_staleness=STALENESS, socket_timeout=3)
    cache.get("no such key")
    eventually(partial(hears_all, cache, cluster), "all primaries heard")
    listeners = [each for each in threading.enumerate() if each.name == "dualcache-listener"]
    assert len(listeners) >= len(cluster.primaries)
    del cache
    until(partial(are_gone, listeners), "no listener of a cache that nobody holds")


@TRANSPORTS
def test_a_slot_that_has_moved_is_heard_at_its_new_primary(
    colour: Colour, cluster: Cluster, transport: Any
) -> None:
    first, second, *_ = cluster.primaries
    cache = fronted(colour, cluster, transport)
    key, stays = key_at(first), key_at(second)
    for each in (key, stays):
        colour.call(cache, "set", each, "old")
        assert kept_key(colour, cache, each) == "old"
    cluster.move_slot(slot_of(key), second)
    # No call tells of the move: what is kept is served without one. The proofs do.
    eventually(partial(is_dropped, cache, stays), "everything forgotten")
    assert kept_key(colour, cache, key) == "old"
    second.cli("DEL", key)
    eventually(partial(is_dropped, cache, key), "the copy dropped")


def test_nothing_is_kept_of_a_slot_on_its_way(colour: Colour, cluster: Cluster) -> None:
    first, second, *_ = cluster.primaries
    cache = fronted(colour, cluster)
    key = key_at(first)
    colour.call(cache, "set", key, "old")
    move = cluster.begin_move(slot_of(key), second)
    move.move_keys()
    for _ in range(3):
        assert colour.call(cache, "get", key) == "old"
    assert not is_kept(cache, key)
    move.end()
    assert kept_key(colour, cache, key) == "old"


@TRANSPORTS
def test_a_promoted_replica_is_heard_and_its_predecessor_is_not(
    colour: Colour, cluster: Cluster, transport: Any
) -> None:
    old, other, *_ = cluster.primaries
    cache = fronted(colour, cluster, transport)
    key, elsewhere = key_at(old), key_at(other)
    for each in (key, elsewhere):
        colour.call(cache, "set", each, "old")
        assert kept_key(colour, cache, each) == "old"
    (replica,) = cluster.replicas_of(old)
    cluster.promote(replica)
    eventually(partial(is_dropped, cache, elsewhere), "everything forgotten")
    eventually(lambda: hears_all(cache, cluster), "the new primary heard")
    assert str(old.port) not in heard(cache)
    assert kept_key(colour, cache, key) == "old"
    replica.cli("DEL", key)
    eventually(partial(is_dropped, cache, key), "the copy dropped")


def test_a_primary_that_stands_still_empties_the_tier_and_the_others_are_served(
    colour: Colour, own_cluster: Cluster
) -> None:
    cache = fronted(colour, own_cluster)
    first, second, *_ = own_cluster.primaries
    key, elsewhere = key_at(first), key_at(second)
    for each in (key, elsewhere):
        colour.call(cache, "set", each, "old")
        assert kept_key(colour, cache, each) == "old"
    own_cluster.pause(first)
    eventually(lambda: losses(cache) > 0, "a loss")
    assert not is_kept(cache, key)
    own_cluster.resume(first)
    eventually(lambda: is_open(cache), "an open tier")
    eventually(lambda: hears_all(cache, own_cluster), "all primaries heard again")
    assert kept_key(colour, cache, elsewhere) == "old"


def test_a_primary_that_is_cut_off_from_the_others_is_not_believed(
    colour: Colour, own_cluster: Cluster
) -> None:
    cache = fronted(colour, own_cluster)
    alone, *_ = own_cluster.primaries
    key = key_at(alone)
    colour.call(cache, "set", key, "old")
    assert kept_key(colour, cache, key) == "old"
    # It still answers PING, and goes on believing that the slots are its own.
    for node in own_cluster.running:
        if node is not alone:
            own_cluster.pause(node)
    eventually(lambda: alone.state() == "fail", "the node sees that it is alone")
    eventually(lambda: not is_open(cache), "a closed tier")
    assert not is_kept(cache, key)
