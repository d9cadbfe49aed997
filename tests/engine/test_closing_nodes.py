"""Commands at which a proxy before the nodes of a cluster closes the connection."""

from __future__ import annotations

from typing import Any

import pytest

from dualcache.core.apart import At
from dualcache.core.ops import Commit, CommitReply, CommitWay, Look, Op
from dualcache.core.scans import Scan, ScanPage
from dualcache.engine.attempts import attempt
from dualcache.engine.closing import CLOSED_MS, SEARCHES_TO_BE_SURE
from dualcache.engine.recovery import ask
from dualcache.errors import BackendRefused, BackendUnavailable
from tests.engine.conversation import cut
from tests.engine.nodes_of_memory import NAMES, MemoryCluster

A, B, C = NAMES
SCAN = At(A, Scan(0, "k*", 1_000))


class Closing:
    """A cluster where connections end at one kind of command, and what else is to happen."""

    def __init__(self, kind: type[Op[Any]], look: Exception | None = None) -> None:
        self.cluster = MemoryCluster()
        self.kind, self.look = kind, look
        self.is_closing = True
        self.cluster.before = self._before

    def _before(self, _: str, op: Op[Any]) -> None:
        if isinstance(op, self.kind) and self.is_closing:
            raise cut()
        if isinstance(op, Look) and self.look is not None:
            raise self.look

    def asked(self, kind: type[Op[Any]]) -> int:
        return sum(isinstance(op, kind) for _, op in self.cluster.asked)


def commit_at(cluster: MemoryCluster, node: str) -> Commit:
    return Commit(cluster.key_at(node), b"old", b"new", 1_000, CommitWay.SCRIPT)


def refused() -> BackendRefused:
    return BackendRefused("no", code="DC202")


@pytest.mark.parametrize("look", [None, refused()], ids=["answered", "refused"])
def test_a_way_to_commit_at_which_the_connection_is_closed_counts_as_lacking(
    look: Exception | None,
) -> None:
    closing = Closing(Commit, look)
    cluster = closing.cluster
    op = commit_at(cluster, A)
    assert cluster.run(ask(op, cluster.env)) is CommitReply.UNSUPPORTED
    assert (closing.asked(Commit), closing.asked(Look)) == (2, 1)
    assert cluster.run(attempt(commit_at(cluster, B), cluster.env)) is CommitReply.UNSUPPORTED
    assert closing.asked(Commit) == 2, "known of all nodes: they are behind one proxy"
    cluster.now_ms += CLOSED_MS
    cluster.run(attempt(op, cluster.env))
    assert closing.asked(Commit) > 2


def test_where_a_read_is_cut_too_it_is_an_outage() -> None:
    closing = Closing(Commit, cut())
    with pytest.raises(BackendUnavailable, match="cut"):
        closing.cluster.run(ask(commit_at(closing.cluster, A), closing.cluster.env))
    assert not closing.cluster.env.health.closed


def test_searches_have_to_be_cut_again_and_again() -> None:
    closing = Closing(Scan)
    cluster = closing.cluster
    for _ in range(SEARCHES_TO_BE_SURE - 1):
        with pytest.raises(BackendUnavailable) as raised:
            cluster.run(attempt(SCAN, cluster.env))
        assert raised.value.code == "DC318"
    for _ in range(2):
        with pytest.raises(BackendRefused) as lacking:
            cluster.run(attempt(SCAN, cluster.env))
        assert lacking.value.is_lacking
    assert closing.asked(Scan) == 3 * SEARCHES_TO_BE_SURE


@pytest.mark.parametrize("answer", [None, refused()], ids=["answered", "refused"])
def test_a_long_reply_that_is_cut_again_and_again_is_an_outage(answer: Exception | None) -> None:
    closing = Closing(Scan)
    cluster = closing.cluster
    cut_it = cluster.before

    def before(node: str, op: Op[Any]) -> None:
        if not (isinstance(op, Scan) and op.count == 1):
            cut_it(node, op)
        elif answer is not None:
            raise answer

    cluster.before = before
    for _ in range(2 * SEARCHES_TO_BE_SURE):
        with pytest.raises(BackendUnavailable):
            cluster.run(attempt(SCAN, cluster.env))
    assert cluster.env.health.cut_searches == 0


def test_a_search_that_is_answered_was_cut_by_chance() -> None:
    closing = Closing(Scan)
    cluster = closing.cluster
    with pytest.raises(BackendUnavailable):
        cluster.run(attempt(SCAN, cluster.env))
    closing.is_closing = False
    assert cluster.run(attempt(SCAN, cluster.env)) == ScanPage(0, ())
    assert cluster.env.health.cut_searches == 0
