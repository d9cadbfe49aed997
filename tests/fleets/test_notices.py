"""Processes on a Cluster that tell each other what they revoke, where nobody is told by the nodes.

Each notice is published at the node that carries out what it tells; the node's listener hears it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import FrontTier
from tests.fleets.cluster import slot_of
from tests.fleets.test_front import STALENESS, UNBROKEN, heard, hears_all, is_dropped, key_at
from tests.front.tiers import eventually, kept, kept_key, losses

if TYPE_CHECKING:
    from dualcache import Cache
    from tests.colours import Colour
    from tests.fleets.cluster import Cluster, ClusterNode


def hearing(colour: Colour, cluster: Cluster, **options: Any) -> Cache:
    """Return a cache whose tier hears on all primaries what other processes tell."""
    options = {"front": FrontTier(transport="pubsub"), "max_staleness": STALENESS} | options
    cache = colour.cache(cluster.url(), **options)
    colour.call(cache, "get", "no such key")
    eventually(lambda: hears_all(cache, cluster), "all primaries heard")
    return cache


def telling(colour: Colour, cluster: Cluster, **options: Any) -> Cache:
    return colour.cache(cluster.url(), publish=True, **options)


@pytest.fixture
def pair(colour: Colour, cluster: Cluster) -> tuple[Cache, Cache]:
    """A cache that hears, and one of another process that tells."""
    return hearing(colour, cluster), telling(colour, cluster)


@pytest.fixture
def unbroken_pair(colour: Colour, cluster: Cluster) -> tuple[Cache, Cache]:
    """The same, for tests in which nothing is lost."""
    return hearing(colour, cluster, **UNBROKEN), telling(colour, cluster)


def keep(colour: Colour, cache: Cache, *keys: str) -> None:
    for key in keys:
        colour.call(cache, "set", key, "old")
        assert kept_key(colour, cache, key) == "old"


def test_what_is_revoked_on_each_primary_is_heard(
    colour: Colour, cluster: Cluster, unbroken_pair: tuple[Cache, Cache]
) -> None:
    cache, other = unbroken_pair
    for node in cluster.primaries:
        key, later = key_at(node, "a"), key_at(node, "b")
        keep(colour, cache, key, later)
        colour.call(other, "invalidate", key)
        eventually(partial(is_dropped, cache, key), f"{key} dropped")
        colour.call(other, "set", later, "new")
        colour.call(cache, "fence")
        assert colour.call(cache, "get", later) == "new"
    front = cache.stats().front
    assert front is not None
    told = "every process of the namespace must have publish=True"
    assert {(node.transport, node.reason) for node in front.nodes} == {("pubsub", told)}
    assert (front.transport, front.is_open, front.losses) == ("pubsub", True, 0)


def test_tags_patterns_and_clears_are_heard(
    colour: Colour, cluster: Cluster, unbroken_pair: tuple[Cache, Cache]
) -> None:
    cache, other = unbroken_pair
    first, second, *_ = cluster.primaries

    def body(key: str) -> str:
        return key

    tag = next(f"t{n}" for n in range(1_000) if cluster.node_of(f"~t:t{n}").port == second.port)
    load = cache(key="{key}", ttl=600, tags=[tag])(colour.function(body))
    key = key_at(first)
    ways: list[tuple[str, dict[str, Any]]] = [
        ("invalidate", {"tags": [tag]}),
        ("invalidate", {"patterns": [f"{key}*"]}),
        ("clear", {"everything": True}),
    ]
    for method, arguments in ways:
        assert kept(colour, cache, load, key) == key
        colour.call(other, method, **arguments)
        colour.call(cache, "fence")
        assert is_dropped(cache, key)
    assert losses(cache) == 0  # a clear leaves the keys that show a flush


def test_a_flush_of_one_primary_is_noticed(
    colour: Colour, cluster: Cluster, pair: tuple[Cache, Cache]
) -> None:
    cache, _ = pair
    for node in cluster.primaries:
        key = key_at(node)
        keep(colour, cache, key)
        node.flush()
        eventually(partial(is_dropped, cache, key), "the copy dropped")


def test_what_is_revoked_after_a_slot_has_moved_is_heard_at_its_new_primary(
    colour: Colour, cluster: Cluster, pair: tuple[Cache, Cache]
) -> None:
    cache, other = pair
    first, second, *_ = cluster.primaries
    key, stays = key_at(first), key_at(second)
    colour.call(other, "get", key)  # it knows the primaries, and is told of no move
    keep(colour, cache, key, stays)
    cluster.move_slot(slot_of(key), second)
    eventually(partial(is_dropped, cache, stays), "everything forgotten")
    assert kept_key(colour, cache, key) == "old"
    assert colour.call(other, "invalidate", key).removed == 1
    colour.call(cache, "fence")
    assert is_dropped(cache, key)


def published(node: ClusterNode) -> int:
    """Return how many notices were published at a node, those that others passed on left out."""
    told = node.cli("INFO", "commandstats")
    return int(told.get("cmdstat_publish", {"calls": 0})["calls"])


@pytest.mark.parametrize("is_moved", [True, False], ids=["moved", "on its way"])
@pytest.mark.parametrize("method", ["invalidate", "set"])
def test_a_redirected_transaction_is_carried_out_and_told_once_and_as_a_whole(
    colour: Colour, cluster: Cluster, method: str, is_moved: bool
) -> None:
    source, target, third = cluster.primaries
    other = telling(colour, cluster)
    own = next(known.slots for known in source.known() if known.port == source.port)
    # The tag of its variants is on the third node.
    key = next(
        name
        for name in (f"{method}{n}" for n in range(1_000))
        if slot_of(name) in own and cluster.node_of(f"~b:{name}") is third
    )
    colour.call(other, "set", key, "old")
    move = cluster.begin_move(slot_of(key), target)
    move.move_keys()
    if is_moved:
        move.end()
    for node in (source, target):
        node.cli("CONFIG", "RESETSTAT")
    colour.call(other, method, key, *(["new"] if method == "set" else []))
    assert (published(source), published(target)) == (0, 1)
    if not is_moved:
        move.end()
    assert colour.call(other, "get", key) == ("new" if method == "set" else None)


def test_a_promoted_replica_is_heard_and_its_predecessor_is_not(
    colour: Colour, cluster: Cluster
) -> None:
    old, other_node, *_ = cluster.primaries
    cache, other = hearing(colour, cluster), telling(colour, cluster)
    key, elsewhere = key_at(old), key_at(other_node)
    keep(colour, cache, key, elsewhere)
    (replica,) = cluster.replicas_of(old)
    cluster.promote(replica)
    eventually(partial(is_dropped, cache, elsewhere), "everything forgotten")
    eventually(lambda: hears_all(cache, cluster), "the new primary heard")
    assert str(old.port) not in heard(cache)
    assert kept_key(colour, cache, key) == "old"
    assert colour.call(other, "invalidate", key).removed == 1
    colour.call(cache, "fence")
    assert is_dropped(cache, key)


def test_a_primary_that_is_not_heard_for_a_while_empties_the_tier(
    colour: Colour, cluster: Cluster, pair: tuple[Cache, Cache]
) -> None:
    cache, other = pair
    first, second, *_ = cluster.primaries
    key, elsewhere = key_at(first), key_at(second)
    keep(colour, cache, key, elsewhere)
    first.cli("CLIENT", "KILL", "TYPE", "pubsub")
    eventually(lambda: losses(cache) > 0, "a loss")
    eventually(lambda: hears_all(cache, cluster), "all primaries heard again")
    for each in (key, elsewhere):
        assert kept_key(colour, cache, each) == "old"
        colour.call(other, "invalidate", each)
        colour.call(cache, "fence")
        assert is_dropped(cache, each)
