from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.events import BackendDown, StoresStopped
from dualcache.core.flight import CloseFlights, EndFlight, Flight, Join, Load
from dualcache.core.ops import (
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    Loaded,
    Look,
    LookAndLease,
    Raised,
    RawRead,
    ReadTags,
    TryLease,
)
from dualcache.engine.acquire_many import acquire_all
from dualcache.engine.attempts import attempt, attempt_once
from dualcache.engine.commit_ways import RETRY_MS, SOON_MS, can_commit, try_all_again_soon
from dualcache.engine.load import get_or_load, refresh
from dualcache.engine.outcomes import LEAVE_PAUSE_MS
from dualcache.engine.starting import UNREACHED
from dualcache.engine.upkeep import ping_server
from dualcache.engine.write import set_value
from dualcache.errors import BackendRefused, BackendUnavailable
from tests.engine.conversation import (
    KEY,
    LEASE_MS,
    cold,
    commit_one,
    cut,
    filling,
    lead,
    refused,
    script,
    stored,
    surroundings,
)

if TYPE_CHECKING:
    from dualcache.core.ops import Op
    from dualcache.engine.env import Env

UNSUPPORTED = CommitReply.UNSUPPORTED
STORED = CommitReply.STORED


LED = (Join, lead)


class Clock:
    def __init__(self) -> None:
        self.now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


def without_ways() -> tuple[Env, list[Any], Clock]:
    """Return an env whose server has just shown that it cannot compare."""
    clock = Clock()
    env, events = surroundings(elapsed_ms=clock)
    script(
        commit_one(KEY, b"old", b"new", 1_000, env), (Commit, UNSUPPORTED), (Delete((KEY,)), 1)
    ).returns(CommitReply.REFUSED)
    return env, events, clock


def test_a_way_that_was_lacking_is_tried_again_after_a_while() -> None:
    env, events, clock = without_ways()
    clock.now_ms = RETRY_MS - 1
    assert not can_commit(env)
    clock.now_ms = RETRY_MS
    script(commit_one(KEY, b"old", b"new", 1_000, env), (Commit, STORED)).returns(STORED)
    assert [event for event in events if isinstance(event, StoresStopped)] == [events[0]]


def test_a_server_without_a_way_to_commit_is_reported_once() -> None:
    env, events, clock = without_ways()
    clock.now_ms = RETRY_MS
    script(commit_one(KEY, b"old", b"new", 9, env), (Commit, UNSUPPORTED), (Delete, 0)).returns(
        CommitReply.REFUSED
    )
    assert len(events) == 1


def test_all_ways_that_were_found_lacking_one_after_the_other_are_tried_again_together() -> None:
    clock = Clock()
    both = (CommitWay.IFEQ, CommitWay.WATCH)
    env, events = surroundings(elapsed_ms=clock, ways=both)
    script(
        commit_one(KEY, b"old", b"new", 9, env), (Commit, UNSUPPORTED), (Commit, STORED)
    ).returns(STORED)
    clock.now_ms = 1
    script(commit_one(KEY, b"old", b"new", 9, env), (Commit, UNSUPPORTED), (Delete, 1)).returns(
        CommitReply.REFUSED
    )
    assert [type(event) for event in events] == [StoresStopped]
    clock.now_ms = RETRY_MS
    assert can_commit(env)
    assert env.health.ways == both


def test_a_new_connection_may_lead_to_a_server_that_has_the_lacking_way() -> None:
    env, _, _ = without_ways()
    script(attempt_once(Look(KEY), env), (Look, cut())).raises(BackendUnavailable)
    assert env.health.ways == (CommitWay.IFEQ,)


def test_after_a_connect_lacking_ways_are_tried_soon() -> None:
    env, _, clock = without_ways()
    try_all_again_soon(env)
    clock.now_ms = SOON_MS - 1
    assert not can_commit(env)
    clock.now_ms = SOON_MS
    assert can_commit(env)


def test_a_server_that_is_back_may_have_the_lacking_way() -> None:
    env, _, _ = without_ways()
    down = BackendUnavailable("refused", code="DC200")
    script(attempt_once(Look(KEY), env), (Look, down)).raises(BackendUnavailable)
    assert not can_commit(env)
    flow = ping_server(env)
    next(flow)
    with pytest.raises(StopIteration):
        flow.send(None)
    assert can_commit(env)


def test_without_a_way_no_lease_is_taken() -> None:
    env, _, _ = without_ways()
    talk = script(
        get_or_load(cold(), env),
        LED,
        (Look, RawRead(None)),
        (Load, Loaded("v", 5.0)),
        (EndFlight, None),
    )
    assert talk.ends().value == "v"


def test_without_a_way_stored_entries_are_served() -> None:
    env, _, _ = without_ways()
    talk = script(get_or_load(cold(), env), LED, (Look, RawRead(stored("v"))), (EndFlight, None))
    assert talk.ends().value == "v"


def test_without_a_way_a_refresh_drops_the_old_entry() -> None:
    env, _, _ = without_ways()
    talk = script(refresh(cold(), env), (Load, Loaded("v", 5.0)), (Delete((KEY,)), 1))
    assert talk.ends().value == "v"


def test_without_a_way_a_set_drops_what_it_cannot_replace() -> None:
    env, _, _ = without_ways()
    script(set_value(cold(), "v", env), (Delete, 1), (CloseFlights, None)).returns(False)


def noperm() -> BackendRefused:
    error = BackendRefused("no", code="DC203")
    error.prefix, error.is_lacking, error.is_configuration = "NOPERM", True, True
    return error


@pytest.mark.parametrize(
    ("op", "is_down"),
    [
        (Look(KEY), True),
        (ReadTags(("t",)), True),
        (Delete((KEY,)), True),
        (TryLease("~r:k", b"token", 9), False),
        (Commit(KEY, b"old", b"new", 9, CommitWay.IFEQ), False),
    ],
)
def test_a_missing_right_stops_only_the_ops_that_need_it(op: Op[Any], is_down: bool) -> None:
    env, events = surroundings()
    script(attempt_once(op, env), (type(op), noperm())).raises(BackendRefused)
    assert any(isinstance(event, BackendDown) for event in events) is is_down
    assert any(isinstance(event, StoresStopped) for event in events) is not is_down


def test_without_a_way_a_set_of_many_and_a_load_of_many_take_no_lease() -> None:
    env, _, _ = without_ways()
    down = BackendUnavailable("refused", code="DC200")
    talk = script(acquire_all([(cold(), Flight(KEY, None, 0))], env, {}, {}), (Look, down))
    assert talk.ends() == [UNREACHED]
    fresh = script(
        acquire_all([(cold(), Flight(KEY, None, 0))], surroundings(ways=())[0], {}, {}),
        (Look, RawRead(stored("v"))),
    ).ends()
    assert [sight.value for sight in fresh] == ["v"]


def test_a_refresh_over_an_entry_of_unknown_end_claims_the_key() -> None:
    env, _ = surroundings()
    seen = RawRead(stored("old"), refusal="NOPERM")
    talk = script(
        refresh(cold(), env),
        (Look, seen),
        (LookAndLease, RawRead(stored("old"), left_ms=None)),
        (Commit(KEY, stored("old"), filling(2), LEASE_MS, CommitWay.IFEQ), refused()),
        (Load, Loaded("v", 5.0)),
    )
    assert talk.ends().value == "v"


def test_a_refresh_that_fails_without_a_way_leaves_the_old_entry() -> None:
    env, _, _ = without_ways()
    talk = script(refresh(cold(), env), (Load, Raised(KeyError(), 5.0)))
    assert isinstance(talk.ends().error, KeyError)


def test_each_way_that_is_lacking_is_left_out() -> None:
    env, events = surroundings(ways=(CommitWay.IFEQ, CommitWay.SCRIPT, CommitWay.EVAL))
    script(
        commit_one(KEY, b"old", b"new", 9, env),
        (Commit(KEY, b"old", b"new", 9, CommitWay.IFEQ), UNSUPPORTED),
        (Commit(KEY, b"old", b"new", 9, CommitWay.SCRIPT), UNSUPPORTED),
        (Commit(KEY, b"old", b"new", 9, CommitWay.EVAL), STORED),
    ).returns(STORED)
    assert env.health.ways == (CommitWay.EVAL,)
    assert events == []


def readonly() -> BackendRefused:
    error = BackendRefused("no", code="DC202")
    error.prefix = "READONLY"
    return error


def test_a_deletion_that_a_demoted_server_refuses_is_tried_on_another_connection() -> None:
    left: list[bool] = []
    clock = Clock()
    env, _ = surroundings(elapsed_ms=clock, leave_server=lambda: left.append(True))
    script(attempt(Delete((KEY,)), env), (Delete, readonly()), (Delete, 1)).returns(1)
    assert left == [True]


def test_a_server_that_stays_a_replica_is_left_once_a_second() -> None:
    left: list[bool] = []
    clock = Clock()
    env, _ = surroundings(elapsed_ms=clock, leave_server=lambda: left.append(True))
    refusals = ((Delete, readonly()), (Delete, readonly()))
    script(attempt(Delete((KEY,)), env), *refusals).raises(BackendRefused)
    script(attempt(Delete((KEY,)), env), refusals[0]).raises(BackendRefused)
    assert left == [True]
    clock.now_ms = LEAVE_PAUSE_MS
    script(attempt(Delete((KEY,)), env), *refusals).raises(BackendRefused)
    assert left == [True, True]
