from __future__ import annotations

import pytest

from dualcache.core.ops import Commit, CommitReply, CommitWay
from dualcache.core.policy import Usage
from dualcache.engine.commit import LARGE_BYTES, commit, lease_ms
from tests.engine.conversation import KEY, script, surroundings

STORED = CommitReply.STORED
UNSUPPORTED = CommitReply.UNSUPPORTED
ALL = (CommitWay.IFEQ, CommitWay.SCRIPT, CommitWay.WATCH)


def test_a_way_that_the_server_does_not_have_is_not_tried_again() -> None:
    env, _ = surroundings(ways=ALL)
    script(
        commit(KEY, b"old", b"new", 1_000, env),
        (Commit(KEY, b"old", b"new", 1_000, CommitWay.IFEQ), UNSUPPORTED),
        (Commit(KEY, b"old", b"new", 1_000, CommitWay.SCRIPT), STORED),
    ).returns(STORED)
    script(
        commit(KEY, b"old", b"new", None, env),
        (Commit(KEY, b"old", b"new", None, CommitWay.SCRIPT), CommitReply.REFUSED),
    ).returns(CommitReply.REFUSED)
    assert env.ways == (CommitWay.SCRIPT, CommitWay.WATCH)


def test_a_server_that_cannot_compare_at_all_stores_nothing() -> None:
    env, _ = surroundings()
    script(commit(KEY, b"old", b"new", 1_000, env), (Commit, UNSUPPORTED)).returns(
        CommitReply.REFUSED
    )


def test_a_large_value_is_compared_by_its_header_in_a_script() -> None:
    env, _ = surroundings(ways=ALL)
    large = b"x" * (LARGE_BYTES + 1)
    script(
        commit(KEY, large, b"new", 1_000, env),
        (Commit(KEY, large, b"new", 1_000, CommitWay.SCRIPT), STORED),
    ).returns(STORED)


@pytest.mark.parametrize(
    ("load_ms", "lasts_ms"),
    [(None, 10_000), (1, 2_000), (1_000, 4_000), (100_000, 120_000)],
)
def test_a_lease_lasts_four_measured_loads_within_bounds(
    load_ms: float | None, lasts_ms: int
) -> None:
    usage = Usage()
    usage.load_ms = load_ms
    assert lease_ms(usage) == lasts_ms
