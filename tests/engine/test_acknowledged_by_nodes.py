"""What a primary of a cluster acknowledged in its last moments is repeated at who takes over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.events import Replayed
from dualcache.core.ops import Batch, Claim, Delete, Look, RawRead
from dualcache.engine.acknowledged import OLDEST_MS, AcknowledgedByNodes
from dualcache.engine.deletion import SCAN_COUNT
from dualcache.engine.health import Owned, PendingDeletion
from dualcache.engine.invalidation import invalidate
from dualcache.engine.nodes import UNKNOWN_NODE
from dualcache.engine.recovery import ask, ask_once
from dualcache.errors import BackendUnavailable
from tests.engine.nodes_of_memory import NAMES, MemoryCluster

if TYPE_CHECKING:
    from dualcache.core.ops import Op

A, B, C = NAMES
PROMOTED = "d:4"
"""A replica of the first node, which has all that this one had but its last deletions."""


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


def put(cluster: MemoryCluster, node: str, key: str) -> None:
    cluster.stores[node].perform(Claim(key, b"v", 60_000))


def promote(cluster: MemoryCluster, *keys: str) -> None:
    """Let the replica of the first node take over, with keys whose deletion it has not heard of."""
    cluster.add(PROMOTED)
    for key in keys:
        put(cluster, PROMOTED, key)
    cluster.slots = tuple([PROMOTED if node == A else node for node in cluster.slots])


def test_a_deletion_is_repeated_before_the_new_node_is_read(cluster: MemoryCluster) -> None:
    key = cluster.key_at(A)
    assert cluster.run(invalidate((key,), (), (), cluster.env)).pending == 0
    promote(cluster, key)
    cluster.nodes.adopt(cluster.slots)
    assert not cluster.env.health.is_clear
    assert cluster.run(ask(Look(key), cluster.env)) == RawRead(None)
    assert sum(isinstance(event, Replayed) for event in cluster.events) == 1


@pytest.mark.parametrize("asking", [ask, ask_once])
def test_a_read_that_was_sent_on_to_the_new_node_does_not_count(
    cluster: MemoryCluster, asking: Any
) -> None:
    key = cluster.key_at(A)
    cluster.run(invalidate((key,), (), (), cluster.env))
    promote(cluster, key)

    def learn(_: str, op: Op[Any]) -> None:
        if isinstance(op, Look):
            cluster.nodes.adopt(cluster.slots)

    cluster.before = learn
    if asking is ask:
        assert cluster.run(ask(Look(key), cluster.env)) == RawRead(None)
        return
    with pytest.raises(BackendUnavailable, match="another server") as raised:
        cluster.run(ask_once(Look(key), cluster.env))
    assert raised.value.was_connected
    assert cluster.env.health.is_available, "no news of the node"


def test_what_other_nodes_have_taken_is_not_repeated(cluster: MemoryCluster) -> None:
    cluster.run(invalidate((cluster.key_at(B), cluster.key_at(C)), (), (), cluster.env))
    cluster.nodes.acknowledged.moved(cluster.slots, cluster.slots, UNKNOWN_NODE)
    promote(cluster)
    before = [cluster.owner(f"~b:{cluster.key_at(node)}") for node in (B, C)]
    repeated = cluster.nodes.acknowledged.moved(cluster.nodes.slots, cluster.slots, UNKNOWN_NODE)
    own = [key for each in repeated.values() for key in each.keys]
    assert len(own) == before.count(PROMOTED)


def test_a_deletion_of_long_ago_is_not_repeated(cluster: MemoryCluster) -> None:
    key = cluster.key_at(A)
    cluster.run(invalidate((key,), (), (), cluster.env))
    cluster.now_ms += 6_001
    cluster.run(invalidate((cluster.key_at(B),), (), (), cluster.env))
    assert len(cluster.nodes.acknowledged._kept) == 1
    cluster.now_ms += OLDEST_MS + 1
    promote(cluster)
    cluster.nodes.adopt(cluster.slots)
    assert cluster.env.health.is_clear


def test_a_pattern_is_repeated_once_at_a_node_that_had_no_slots(cluster: MemoryCluster) -> None:
    cluster.run(invalidate((), (), ("key-*",), cluster.env))
    key = cluster.key_at(A)
    cluster.move(key, B)
    cluster.nodes.adopt(cluster.slots)
    assert cluster.env.health.is_clear, "that node has searched its keys itself"
    promote(cluster, other := cluster.key_at(A))
    cluster.nodes.adopt(cluster.slots)
    assert cluster.run(ask(Look(other), cluster.env)) == RawRead(None)
    cluster.move(cluster.key_at(B), PROMOTED)
    cluster.nodes.adopt(cluster.slots)
    assert cluster.env.health.is_clear


def test_a_deletion_during_which_the_node_is_replaced_is_carried_out_at_both(
    cluster: MemoryCluster,
) -> None:
    key = cluster.key_at(A)

    def replaced(node: str, op: Op[Any]) -> None:
        """Let the node carry it out, though another one has its slots by then."""
        if node == A and PROMOTED not in cluster.stores and isinstance(op, Delete | Batch):
            promote(cluster, key)
            cluster.nodes.adopt(cluster.slots)

    cluster.before = replaced
    assert cluster.run(invalidate((key,), (), ("key-*",), cluster.env)).pending == 0
    assert cluster.stores[PROMOTED].perform(Look(key)) == RawRead(None)


def test_a_deletion_whose_nodes_are_replaced_again_and_again_is_pending(
    cluster: MemoryCluster,
) -> None:
    key, names = cluster.key_at(A), ["e:5", "f:6", "g:7"]

    def replaced(node: str, op: Op[Any]) -> None:
        ops = getattr(op, "ops", (op,))
        if node == cluster.nodes.node_of(key) and any(isinstance(each, Delete) for each in ops):
            cluster.add(names[-1])
            new = names.pop()
            cluster.slots = tuple([new if owner == node else owner for owner in cluster.slots])
            cluster.nodes.adopt(cluster.slots)

    cluster.before = replaced
    assert cluster.run(invalidate((key,), (), (), cluster.env)).pending == 1


def test_slots_that_become_known_one_by_one_take_their_deletions_along(
    cluster: MemoryCluster,
) -> None:
    keys = [cluster.key_at(A), cluster.key_at(A, 1)]
    cluster.run(invalidate(tuple(keys), (), (), cluster.env))
    cluster.add(PROMOTED)
    for key in keys:
        put(cluster, PROMOTED, key)
        cluster.move(key, PROMOTED)
        put(cluster, PROMOTED, key)
        cluster.nodes.adopt(cluster.slots)
        assert cluster.run(ask(Look(key), cluster.env)) == RawRead(None)


def test_a_slot_without_a_node_keeps_what_it_is_owed(cluster: MemoryCluster) -> None:
    key = cluster.key_at(A)
    cluster.nodes.keep(PendingDeletion((key,)))
    cluster.nodes.adopt(tuple([UNKNOWN_NODE if node == A else node for node in cluster.slots]))
    put(cluster, A, key)
    cluster.nodes.adopt(cluster.slots)
    assert cluster.run(ask(Look(key), cluster.env)) == RawRead(None)


def test_a_topology_that_becomes_known_repeats_nothing() -> None:
    acknowledged = AcknowledgedByNodes(5.0, int)
    functions = (Owned(b"owner", "k*"),)
    assert acknowledged.note(PendingDeletion(("k",), (), functions), (), 0)
    assert acknowledged.moved((UNKNOWN_NODE,) * SCAN_COUNT, (A,) * SCAN_COUNT, UNKNOWN_NODE) == {}
    assert acknowledged.changes == 0
