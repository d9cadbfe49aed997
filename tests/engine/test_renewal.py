from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.events import Loaded as LoadedEvent
from dualcache.core.flight import Join, Load
from dualcache.core.ops import (
    Batch,
    Commit,
    CommitReply,
    CommitWay,
    Loaded,
    LookAndLease,
    RawRead,
    TryLease,
)
from dualcache.core.policy import Counters
from dualcache.engine.load import get_or_load
from dualcache.engine.renewal import Lease, begin_lease, keeping, renew
from tests.engine.conversation import (
    KEY,
    LANDED,
    LEASE_MS,
    LEASED,
    NOW_MS,
    cold,
    filling,
    lead,
    script,
    slow,
    stored,
    surroundings,
    token,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.events import Event
    from dualcache.engine.env import Env

STORED, REFUSED = CommitReply.STORED, CommitReply.REFUSED
WAY = CommitWay.IFEQ
THIRD = LEASE_MS / 3
RENEWED = Commit(KEY, filling(1), filling(1), LEASE_MS, WAY)


class Clock:
    def __init__(self) -> None:
        self.now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


def leased(env: Env) -> Lease:
    return begin_lease({filling(1): KEY}, Counters(), env)


def test_a_marker_is_put_over_itself_with_a_new_life() -> None:
    clock = Clock()
    env, _ = surroundings(elapsed_ms=clock)
    lease = leased(env)
    clock.now_ms = 3_000
    script(renew(lease, env), (RENEWED, STORED)).returns(THIRD)
    assert lease.ends_ms == 3_000 + LEASE_MS


def test_a_marker_that_has_gone_is_not_renewed_again() -> None:
    env, _ = surroundings()
    script(renew(leased(env), env), (RENEWED, REFUSED)).returns(None)


def test_the_markers_that_are_left_of_several_are_still_renewed() -> None:
    env, _ = surroundings()
    lease = begin_lease({filling(1, "a"): "a", filling(2, "b"): "b"}, Counters(), env)
    script(renew(lease, env), (Batch, (STORED, REFUSED))).returns(THIRD)
    assert lease.held == {filling(1, "a"): "a"}


@pytest.mark.parametrize(("passed_ms", "then"), [(4_000, THIRD), (LEASE_MS, None)])
def test_a_renewal_that_fails_is_tried_again_as_long_as_the_lease_may_be_there(
    passed_ms: int, then: float | None
) -> None:
    clock = Clock()
    env, _ = surroundings(elapsed_ms=clock)
    lease = leased(env)
    clock.now_ms = passed_ms
    script(renew(lease, env), (RENEWED, slow())).returns(then)
    assert lease.held


def test_a_load_without_a_lease_or_without_a_way_to_compare_is_not_renewed() -> None:
    env, _ = surroundings()
    assert keeping(begin_lease({}, Counters(), env), env) is None
    assert keeping(leased(env), surroundings(ways=())[0]) is None


def test_a_load_op_carries_the_renewal_of_its_lease() -> None:
    env, _ = surroundings()
    asked: list[Load] = []

    def note(op: Load) -> Loaded:
        asked.append(op)
        return Loaded("v", 5.0)

    script(get_or_load(cold(), env), *LEASED, (Load, note), (Commit, STORED), LANDED).ends()
    assert asked[0].keeping is not None
    assert asked[0].keeping.every_ms == THIRD


def test_the_lease_of_a_stale_entry_is_renewed_under_its_own_name() -> None:
    env, _ = surroundings()
    old = stored("old", fresh_ms=1, created_ms=NOW_MS - 10)
    asked: list[Load] = []

    def during(op: Load) -> Loaded:
        asked.append(op)
        assert op.keeping is not None
        renewal = op.keeping.renew()
        renewed.append(next(renewal))
        renewal.close()
        return Loaded("v", 5.0)

    renewed: list[Any] = []
    script(
        get_or_load(cold(stale_if_error_ms=60_000), env),
        (Join, lead),
        (LookAndLease, RawRead(old)),
        (TryLease, True),
        (Load, during),
        (Commit, STORED),
        (Commit, STORED),
        LANDED,
    ).ends()
    assert renewed == [Commit("~r:k", token(2), token(2), LEASE_MS, WAY)]


def outcomes(events: list[Event]) -> list[str]:
    return [event.outcome for event in events if isinstance(event, LoadedEvent)]


@pytest.mark.parametrize(("passed_ms", "how"), [(9_999, "refused"), (LEASE_MS, "late")])
def test_a_commit_that_came_too_late_is_told_apart_from_one_that_was_revoked(
    passed_ms: int, how: str
) -> None:
    clock = Clock()
    env, events = surroundings(elapsed_ms=clock)
    script(
        get_or_load(cold(), env),
        *LEASED,
        (Load, passing(clock, passed_ms)),
        (Commit, REFUSED),
        LANDED,
    ).ends()
    assert outcomes(events) == [how]


def passing(clock: Clock, passed_ms: int) -> Callable[[Load], Loaded]:
    def during(_: Load) -> Loaded:
        clock.now_ms += passed_ms
        return Loaded("v", float(passed_ms))

    return during


def test_a_commit_after_that_of_a_successor_came_too_late() -> None:
    env, events = surroundings()

    def overtaken(op: Load) -> Loaded:
        op.flights[0].start.lease.fill(filling(1))
        return Loaded("v", 5.0)

    script(get_or_load(cold(), env), *LEASED, (Load, overtaken), (Commit, REFUSED), LANDED).ends()
    assert outcomes(events) == ["late"]


def test_a_renewed_lease_is_not_over_when_the_first_one_would_be() -> None:
    clock = Clock()
    env, events = surroundings(elapsed_ms=clock)

    def renewing(op: Load) -> Loaded:
        clock.now_ms = 9_000
        assert op.keeping is not None
        script(op.keeping.renew(), (RENEWED, STORED)).returns(THIRD)
        clock.now_ms = 18_000
        return Loaded("v", 18_000.0)

    script(get_or_load(cold(), env), *LEASED, (Load, renewing), (Commit, REFUSED), LANDED).ends()
    assert outcomes(events) == ["refused"]
