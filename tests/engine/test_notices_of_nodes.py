"""What processes on a cluster tell each other: a notice goes to the node of what it tells."""

from __future__ import annotations

from typing import Any

import pytest

from dualcache.core.ops import Batch, Claim, Delete, Op, Publish
from dualcache.core.revocation import Revocation
from dualcache.engine.invalidation import clear_function, invalidate
from dualcache.errors import BackendRefused, BackendUnavailable
from tests.engine.conversation import stored
from tests.engine.nodes_of_memory import NAMES, MemoryCluster

A, B, C = NAMES
CHANNEL = "~c"


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster(channel=CHANNEL)


def single_ops(cluster: MemoryCluster) -> list[tuple[str, Op[Any]]]:
    """Return what each node was asked, the ops of a batch one by one."""
    return [
        (node, each)
        for node, op in cluster.asked
        for each in (op.ops if isinstance(op, Batch) else (op,))
    ]


def told(cluster: MemoryCluster) -> list[tuple[str, Revocation]]:
    """Return which notices went to which node."""
    pairs = [(node, getattr(op, "notice", None)) for node, op in single_ops(cluster)]
    return [(node, notice) for node, notice in pairs if notice is not None]


def full(cluster: MemoryCluster) -> None:
    """Let each node refuse transactions, as a full server does."""

    def refuse(_: str, op: Op[Any]) -> None:
        if any(isinstance(each, Delete) and each.notice for each in getattr(op, "ops", (op,))):
            error = BackendRefused("full", code="DC202")
            error.prefix = "OOM"
            raise error

    cluster.before = refuse


def test_each_name_is_told_with_its_deletion(cluster: MemoryCluster) -> None:
    key = cluster.key_at(A)
    cluster.run(invalidate((key,), ("~t:t",), (), cluster.env))
    names = (key, f"~b:{key}", "~t:t")
    assert set(told(cluster)) == {
        (cluster.owner(name), Revocation(CHANNEL, (name,))) for name in names
    }


def test_a_pattern_is_told_at_each_node_when_that_is_searched(cluster: MemoryCluster) -> None:
    cluster.run(invalidate((), (), ("key*",), cluster.env))
    assert told(cluster) == [(node, Revocation(CHANNEL, (), ("key*",))) for node in NAMES]


def test_the_tag_of_variants_at_another_node_is_told_there(cluster: MemoryCluster) -> None:
    key = next(key for n in range(99) if cluster.owner(f"~b:{(key := cluster.key_at(A, n))}") == B)
    cluster.stores[A].perform(Claim(key, stored("v", owner=b"function"), 60_000))
    cluster.run(clear_function(b"function", "key*", cluster.env))
    assert (B, Revocation(CHANNEL, (f"~b:{key}",))) in told(cluster)


def test_a_full_node_deletes_and_is_told_afterwards(cluster: MemoryCluster) -> None:
    full(cluster)
    key = cluster.key_at(A)
    cluster.stores[A].perform(Claim(key, b"v", 60_000))
    done = cluster.run(invalidate((key,), (), (), cluster.env))
    assert (done.removed, done.pending) == (1, 0)
    deletion, notice = (A, Delete((key,))), (A, Publish(Revocation(CHANNEL, (key,))))
    expected = [deletion, notice]
    assert [each for each in single_ops(cluster) if each in expected] == expected


@pytest.mark.parametrize("kind", [Delete, Publish])
def test_what_a_full_node_is_not_told_is_pending(cluster: MemoryCluster, kind: Any) -> None:
    full(cluster)
    refuse = cluster.before

    def fail(node: str, op: Op[Any]) -> None:
        refuse(node, op)
        if any(isinstance(each, kind) for each in getattr(op, "ops", (op,))):
            raise BackendUnavailable("down", code="DC200")

    cluster.before = fail
    key = cluster.key_at(A)
    assert cluster.run(invalidate((key,), (), (), cluster.env)).pending == 1
    assert not cluster.env.health.is_clear
