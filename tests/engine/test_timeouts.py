from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.background import Spawn, SpawnReply
from dualcache.core.events import RefreshRefused, StaleHit, WaitExpired
from dualcache.core.flight import (
    ABANDONED,
    AwaitFlight,
    EndFlight,
    Flight,
    FlightResult,
    Join,
    Load,
    Outcome,
    TakeOver,
)
from dualcache.core.ops import Commit, CommitReply, Loaded, Look, LookAndLease, Raised, RawRead
from dualcache.core.policy import Counters
from dualcache.engine.load import get_or_load
from dualcache.errors import LoaderTimeout
from tests.engine.conversation import (
    KEY,
    LEASED,
    LED,
    NEW,
    NOW_MS,
    STORED_NEW,
    call,
    cold,
    lead,
    script,
    stored,
    surroundings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.ops import Flow

STARTED = (Spawn, SpawnReply.STARTED)
READ = RawRead(stored("old", fresh_ms=1_000, created_ms=NOW_MS - 1_500), (), 59_500)
SOFT: dict[str, Any] = {"ttl_ms": 1_000, "stale_if_error_ms": 60_000, "timeout_ms": 50}
THEIRS = FlightResult(Outcome("theirs", None, 9))


def is_bounded_by(wait_ms: float, result: Any = None) -> tuple[Any, Callable[[AwaitFlight], Any]]:
    """Expect a wait of just so long, and say how it ended."""

    def answer(op: AwaitFlight) -> Any:
        assert op.wait_ms == wait_ms
        return result

    return AwaitFlight, answer


def running(begun: list[Spawn], *exchanges: tuple[Any, Any]) -> tuple[Any, Any]:
    """Start what is to run in the background, and let it run to its end at once."""

    def start(op: Spawn) -> SpawnReply:
        begun.append(op)
        script(op.flow, *exchanges).ends()
        return SpawnReply.STARTED

    return Spawn, start


def followed(op: Join) -> Flight:
    """Reply that another caller leads."""
    return lead(Join(op.key, 0))


def test_a_load_with_a_time_out_runs_beside_its_caller_and_leads_the_flight_there() -> None:
    env, events = surroundings()
    begun: list[Spawn] = []
    asked = cold(hard_timeout_ms=100)
    outcome = script(
        get_or_load(asked, env),
        LED,
        running(begun, (LookAndLease, LEASED[1][1]), *STORED_NEW),
        is_bounded_by(100, ABANDONED),
    ).ends()
    assert outcome.value == "new"
    assert begun[0].is_awaited
    assert begun[0].join is not None
    assert (asked.policy.counters.misses, asked.policy.counters.coalesced) == (1, 0)
    assert WaitExpired("k") not in events


def test_a_load_that_fails_before_its_caller_waits_is_told_to_it() -> None:
    env, _ = surroundings()
    error = OSError()
    outcome = script(
        get_or_load(cold(hard_timeout_ms=100), env),
        LED,
        running(
            [],
            (LookAndLease, LEASED[1][1]),
            (Load, Raised(error, 5.0)),
            (Commit, CommitReply.STORED),
            (EndFlight, None),
        ),
        is_bounded_by(100, ABANDONED),
    ).ends()
    assert outcome.error is error


def test_after_a_hard_time_out_a_caller_gets_an_error() -> None:
    env, events = surroundings()
    outcome = script(
        get_or_load(cold(hard_timeout_ms=100), env), LED, STARTED, is_bounded_by(100)
    ).ends()
    assert type(outcome.error) is LoaderTimeout
    assert outcome.error.code == "DC415"
    assert events == []


def test_after_a_soft_time_out_a_caller_gets_the_stale_value() -> None:
    env, events = surroundings()
    outcome = script(
        get_or_load(call(hard_timeout_ms=100, **SOFT), env),
        (Look(KEY, (), with_ttl=True), READ),
        LED,
        STARTED,
        is_bounded_by(50),
    ).ends()
    assert outcome.value == "old"
    assert events[-1] == StaleHit("k", "redis")


def test_a_hard_time_out_that_is_the_shorter_one_ends_with_an_error() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(call(hard_timeout_ms=20, **SOFT), env),
        (Look, READ),
        LED,
        STARTED,
        is_bounded_by(20),
    ).ends()
    assert type(outcome.error) is LoaderTimeout


def test_a_function_that_seldom_hits_reads_what_may_be_served_first() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(cold(**SOFT), env), (Look, READ), LED, STARTED, is_bounded_by(50)
    ).ends()
    assert outcome.value == "old"


def test_what_is_too_old_to_be_served_is_waited_for() -> None:
    env, _ = surroundings()
    usual = call(ttl_ms=1_000, stale_if_error_ms=100, timeout_ms=50)
    outcome = script(
        get_or_load(usual, env), (Look, READ), LED, STARTED, is_bounded_by(30_000, THEIRS)
    ).ends()
    assert outcome.value == "theirs"


def test_a_caller_who_may_not_start_another_load_loads_itself() -> None:
    env, events = surroundings()
    asked = cold(hard_timeout_ms=100)
    outcome = script(
        get_or_load(asked, env),
        LED,
        (Spawn, SpawnReply.FULL),
        (LookAndLease, LEASED[1][1]),
        *STORED_NEW,
    ).ends()
    assert outcome.value == "new"
    assert RefreshRefused("k") in events
    assert asked.policy.counters.refused == 1


def test_a_load_that_was_given_up_is_asked_for_again() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(cold(hard_timeout_ms=100), env),
        LED,
        STARTED,
        is_bounded_by(100, ABANDONED),
        LED,
        STARTED,
        is_bounded_by(100, THEIRS),
    ).ends()
    assert outcome.value == "theirs"


def test_a_follower_waits_no_longer_than_it_may() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(call(**SOFT), env), (Look, READ), (Join, followed), is_bounded_by(50)
    ).ends()
    assert outcome.value == "old"


def slow_one() -> Flow[Any]:
    """Return the flow of a caller that waits longer than loads take."""
    counters = Counters()
    counters.load_ms = 100.0
    counters.recent_hits = 0.0
    return get_or_load(call(hard_timeout_ms=5_000, counters=counters), surroundings()[0])


def test_where_a_load_takes_too_long_its_successor_runs_beside_its_caller_too() -> None:
    begun: list[Spawn] = []
    outcome = script(
        slow_one(),
        LED,
        STARTED,
        is_bounded_by(1_000),
        (TakeOver, taken),
        running(begun, NEW, (EndFlight, None)),
        (AwaitFlight, THEIRS),
    ).ends()
    assert outcome.value == "theirs"
    assert (begun[0].is_awaited, begun[0].join) == (True, None)


def test_who_is_no_successor_goes_on_waiting() -> None:
    outcome = script(
        slow_one(),
        LED,
        STARTED,
        is_bounded_by(1_000),
        (TakeOver, False),
        (AwaitFlight, THEIRS),
    ).ends()
    assert outcome.value == "theirs"


@pytest.mark.parametrize("joined", [lead, followed], ids=["leader", "follower"])
def test_a_successor_that_may_not_start_a_load_loads_itself(joined: Any) -> None:
    begun = [STARTED] if joined is lead else []
    outcome = script(
        slow_one(),
        (Join, joined),
        *begun,
        is_bounded_by(1_000),
        (TakeOver, taken),
        (Spawn, SpawnReply.FULL),
        (Load, Loaded("own", 5.0)),
        (EndFlight, None),
    ).ends()
    assert outcome.value == "own"


def taken(op: TakeOver) -> bool:
    """Reply that the caller leads too."""
    op.is_taken = True
    return True
