from __future__ import annotations

from typing import Any

import pytest

from dualcache.core.ops import (
    Batch,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    LoadScript,
    Look,
    LookAndLease,
    RawRead,
)
from dualcache.core.policy import Counters
from dualcache.engine import commit
from dualcache.engine.commit import LARGE_BYTES, Change, commit_all, commit_each
from dualcache.engine.leases import FIRST_LEASE_MS, KEY_MS, lease_ms, take_leases
from dualcache.engine.pipelines import MOST_AT_ONCE, MOST_BYTES_AT_ONCE
from tests.engine.conversation import KEY, call, commit_one, cut, script, slow, surroundings

STORED = CommitReply.STORED
REFUSED = CommitReply.REFUSED
NO_SCRIPT = CommitReply.NO_SCRIPT
UNSUPPORTED = CommitReply.UNSUPPORTED
ALL = (CommitWay.IFEQ, CommitWay.SCRIPT, CommitWay.WATCH)


def test_a_way_that_the_server_does_not_have_is_not_tried_again() -> None:
    env, _ = surroundings(ways=ALL)
    script(
        commit_one(KEY, b"old", b"new", 1_000, env),
        (Commit(KEY, b"old", b"new", 1_000, CommitWay.IFEQ), UNSUPPORTED),
        (Commit(KEY, b"old", b"new", 1_000, CommitWay.SCRIPT), STORED),
    ).returns(STORED)
    script(
        commit_one(KEY, b"old", b"new", None, env),
        (Commit(KEY, b"old", b"new", None, CommitWay.SCRIPT), CommitReply.REFUSED),
    ).returns(CommitReply.REFUSED)
    assert env.health.ways == (CommitWay.SCRIPT, CommitWay.WATCH)


def test_of_a_commit_that_was_sent_twice_a_look_tells_whether_it_was_stored() -> None:
    op = Commit(KEY, b"old", b"new", 1_000, CommitWay.IFEQ)
    for raw, reply in ((b"new", STORED), (b"another", REFUSED), (None, REFUSED)):
        told = (op, cut()), (op, REFUSED), (Look(KEY), RawRead(raw))
        env, _ = surroundings()
        script(commit_one(KEY, b"old", b"new", 1_000, env), *told).returns(reply)
        env, _ = surroundings()
        change = Change(KEY, b"old", b"new", 1_000)
        script(commit.commit_one(change, env), *told).returns(reply)


def test_a_single_commit_sends_a_script_that_was_forgotten() -> None:
    env, _ = surroundings(ways=(CommitWay.SCRIPT,))
    op = Commit(KEY, b"old", b"new", 1_000, CommitWay.SCRIPT)
    script(
        commit.commit_one(Change(KEY, b"old", b"new", 1_000), env),
        (op, NO_SCRIPT),
        (Batch((LoadScript(), op)), (None, STORED)),
    ).returns(STORED)


def test_of_several_that_were_sent_twice_only_the_refused_are_looked_at() -> None:
    env, _ = surroundings()
    asked, alike = Batch(commits(changes(3))), [STORED] * 3
    script(
        commit_all(changes(3), env),
        (asked, cut()),
        (asked, (REFUSED, STORED, REFUSED)),
        (Batch((Look("k0"), Look("k2"))), (RawRead(b"new"), RawRead(b"old"))),
    ).returns([STORED, STORED, REFUSED])
    env, _ = surroundings()
    script(commit_all(changes(3), env), (asked, cut()), (asked, alike)).returns(alike)


def test_a_server_that_cannot_compare_at_all_stores_nothing() -> None:
    env, _ = surroundings()
    script(
        commit_one(KEY, b"old", b"new", 1_000, env),
        (Commit, UNSUPPORTED),
        (Delete((KEY,)), 1),
    ).returns(CommitReply.REFUSED)
    script(commit_one(KEY, b"old", b"new", 1_000, env)).returns(CommitReply.REFUSED)


def test_a_large_value_is_compared_by_its_header_in_a_script() -> None:
    env, _ = surroundings(ways=ALL)
    large = b"x" * (LARGE_BYTES + 1)
    script(
        commit_one(KEY, large, b"new", 1_000, env),
        (Commit(KEY, large, b"new", 1_000, CommitWay.SCRIPT), STORED),
    ).returns(STORED)


def changes(number: int, blob: bytes = b"new") -> list[Change]:
    return [Change(f"k{at}", b"old", blob, 1_000) for at in range(number)]


def commit_of(change: Change, way: CommitWay) -> Commit:
    return Commit(change.key, change.expected, change.blob, change.ttl_ms, way)


def commits(of: list[Change], way: CommitWay = CommitWay.IFEQ) -> tuple[Commit, ...]:
    return tuple(commit_of(each, way) for each in of)


def test_several_values_are_committed_in_one_trip() -> None:
    env, _ = surroundings()
    script(
        commit_all(changes(3), env),
        (Batch(commits(changes(3))), (STORED, REFUSED, STORED)),
    ).returns([STORED, REFUSED, STORED])


def test_no_changes_make_no_trip() -> None:
    env, _ = surroundings()
    script(commit_all([], env)).returns([])


def test_only_commits_that_a_way_did_not_serve_are_tried_in_another() -> None:
    env, _ = surroundings(ways=ALL)
    large = Change("large", b"x" * (LARGE_BYTES + 1), b"new", 1_000)
    several = [large, *changes(2)]
    script(
        commit_all(several, env),
        (
            Batch((commit_of(large, CommitWay.SCRIPT), *commits(changes(2)))),
            (STORED, UNSUPPORTED, UNSUPPORTED),
        ),
        (Batch(commits(changes(2), CommitWay.SCRIPT)), (STORED, REFUSED)),
    ).returns([STORED, STORED, REFUSED])
    assert env.health.ways == (CommitWay.SCRIPT, CommitWay.WATCH)


def test_a_forgotten_script_goes_with_those_that_lacked_it() -> None:
    env, _ = surroundings(ways=ALL[1:])
    all_three = commits(changes(3), CommitWay.SCRIPT)
    script(
        commit_all(changes(3), env),
        (Batch(all_three), (STORED, NO_SCRIPT, NO_SCRIPT)),
        (Batch((LoadScript(), *all_three[1:])), (None, STORED, REFUSED)),
    ).returns([STORED, STORED, REFUSED])
    assert env.health.ways == ALL[1:]


def test_a_server_that_takes_no_script_is_asked_by_transactions_one_by_one() -> None:
    env, _ = surroundings(ways=ALL[1:])
    by_script = commits(changes(2), CommitWay.SCRIPT)
    first, second = commits(changes(2), CommitWay.WATCH)
    script(
        commit_all(changes(2), env),
        (Batch(by_script), (NO_SCRIPT, NO_SCRIPT)),
        (Batch((LoadScript(), *by_script)), (None, NO_SCRIPT, NO_SCRIPT)),
        (first, STORED),
        (second, STORED),
    ).returns([STORED, STORED])
    assert env.health.ways == ALL[2:]


def test_a_lacking_way_and_a_forgotten_script_are_fixed_in_one_trip() -> None:
    env, _ = surroundings(ways=ALL)
    large = Change("large", b"x" * (LARGE_BYTES + 1), b"new", 1_000)
    by_script = commit_of(large, CommitWay.SCRIPT)
    script(
        commit_all([large, *changes(1)], env),
        (Batch((by_script, *commits(changes(1)))), (NO_SCRIPT, UNSUPPORTED)),
        (
            Batch((LoadScript(), by_script, *commits(changes(1), CommitWay.SCRIPT))),
            (None, STORED, REFUSED),
        ),
    ).returns([STORED, REFUSED])
    assert env.health.ways == ALL[1:]


def test_where_the_last_way_is_lacking_all_markers_are_deleted_together() -> None:
    env, _ = surroundings(ways=ALL[2:])
    first, _second = commits(changes(2), CommitWay.WATCH)
    script(commit_all(changes(2), env), (first, UNSUPPORTED), (Delete(("k0", "k1")), 2)).returns(
        [REFUSED, REFUSED]
    )
    assert env.health.ways == ()


def test_a_trip_takes_so_many_commits_and_bytes() -> None:
    env, _ = surroundings()
    many = commits(changes(MOST_AT_ONCE + 2))
    script(
        commit_all(changes(MOST_AT_ONCE + 2), env),
        (Batch(many[:MOST_AT_ONCE]), (STORED,) * MOST_AT_ONCE),
        (Batch(many[MOST_AT_ONCE:]), (STORED, STORED)),
    ).returns([STORED] * (MOST_AT_ONCE + 2))
    half = changes(3, b"x" * (MOST_BYTES_AT_ONCE // 2 - 3))
    script(
        commit_all(half, env),
        (Batch(commits(half[:2])), (STORED, STORED)),
        (commits(half)[2], STORED),
    ).returns([STORED] * 3)


def test_a_forgotten_script_shows_in_the_first_trip_and_only_that_is_sent_twice() -> None:
    env, _ = surroundings(ways=ALL[1:])
    many = commits(changes(MOST_AT_ONCE + 2), CommitWay.SCRIPT)
    first, rest = many[:MOST_AT_ONCE], many[MOST_AT_ONCE:]
    script(
        commit_all(changes(MOST_AT_ONCE + 2), env),
        (Batch(first), (NO_SCRIPT,) * MOST_AT_ONCE),
        (Batch((LoadScript(), *first)), (None, *(STORED,) * MOST_AT_ONCE)),
        (Batch(rest), (STORED, STORED)),
    ).returns([STORED] * (MOST_AT_ONCE + 2))


def test_a_way_that_is_lacking_shows_in_the_first_trip_and_only_that_is_sent_twice() -> None:
    env, _ = surroundings(ways=ALL[:2])
    of = changes(MOST_AT_ONCE + 2)
    first, rest = of[:MOST_AT_ONCE], of[MOST_AT_ONCE:]
    script(
        commit_all(of, env),
        (Batch(commits(first)), (UNSUPPORTED,) * MOST_AT_ONCE),
        (Batch(commits(first, CommitWay.SCRIPT)), (STORED,) * MOST_AT_ONCE),
        (Batch(commits(rest, CommitWay.SCRIPT)), (STORED, STORED)),
    ).returns([STORED] * (MOST_AT_ONCE + 2))


def test_of_a_big_job_each_trip_is_reported_on_its_own_when_one_fails() -> None:
    env, _ = surroundings()
    large = changes(3, b"x" * (MOST_BYTES_AT_ONCE - 3))
    script(
        commit_each(large, env),
        (Commit, STORED),
        (Commit, slow()),
        (Commit, REFUSED),
    ).returns([STORED, None, REFUSED])


def test_the_leases_of_a_big_job_last_longer_for_each_key() -> None:
    env, _ = surroundings()
    calls = [call() for _ in range(MOST_AT_ONCE + 1)]
    lasting = FIRST_LEASE_MS + KEY_MS * len(calls)

    def taken(op: Any) -> Any:
        ops = getattr(op, "ops", (op,))
        assert {each.lease_ms for each in ops} == {lasting}
        seen = tuple([RawRead(each.filling) for each in ops])
        return seen if hasattr(op, "ops") else seen[0]

    script(take_leases(LookAndLease, calls, env, {}), (Batch, taken), (LookAndLease, taken)).ends()


@pytest.mark.parametrize(
    ("load_ms", "lasts_ms"),
    [(None, 10_000), (1, 2_000), (1_000, 4_000), (100_000, 30_000)],
)
def test_a_lease_lasts_four_measured_loads_within_bounds(
    load_ms: float | None, lasts_ms: int
) -> None:
    counters = Counters()
    counters.load_ms = load_ms
    assert lease_ms(counters) == lasts_ms
