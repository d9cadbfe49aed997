from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from msgspec.structs import replace

from dualcache.core.entry import Tag
from dualcache.core.envelope import open_envelope
from dualcache.core.events import Coalesced, Hit, LoadFailed, Miss, WaitExpired
from dualcache.core.events import Loaded as LoadedEvent
from dualcache.core.flight import (
    ABANDONED,
    ANY_TAG,
    AwaitFlight,
    EndFlight,
    Flight,
    FlightResult,
    Join,
    JoinReply,
    Load,
    Outcome,
    Stage,
    TakeOver,
)
from dualcache.core.ops import (
    Commit,
    CommitReply,
    CommitWay,
    Loaded,
    Look,
    LookAndLease,
    Raised,
    RawRead,
)
from dualcache.core.policy import Counters
from dualcache.engine.freshness import FILLING, ReadResult
from dualcache.engine.lead import Begun
from dualcache.engine.load import get_or_load
from dualcache.engine.renewal import Lease
from dualcache.engine.starting import Start
from tests.engine.conversation import (
    KEY,
    LANDED,
    LEASE_MS,
    LEASED,
    LED,
    Shelf,
    call,
    cold,
    filling,
    lead,
    pack,
    refused,
    script,
    stored,
    surroundings,
    token,
)
from tests.soft_limit import SoftLimit, soft_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualcache.core.policy import Call

STORED = CommitReply.STORED
MINE = RawRead(filling(1))
LATER = 1_000
"""A tick after any that a conversation draws."""


class Lonely:
    """A value that can neither be stored nor copied."""

    def __deepcopy__(self, _: object) -> NoReturn:
        raise TypeError


def other() -> Flight:
    """Return a flight that somebody else leads."""
    return Flight(KEY, object(), 0)


def result(value: object, sequence: int = LATER) -> FlightResult:
    return FlightResult(Outcome(value, None, sequence))


def test_a_fresh_entry_is_served_in_one_trip() -> None:
    env, events = surroundings(hits_are_heard=True)
    outcome = script(get_or_load(call(), env), (Look(KEY), RawRead(stored("v")))).ends()
    assert outcome == Outcome("v", None, 2)
    assert events == [Hit("k", "redis")]


def test_an_absent_key_is_leased_loaded_and_committed_over_the_lease() -> None:
    env, events = surroundings()
    asked = call()
    blob = stored("v", 2, load_ms=5)
    outcome = script(
        get_or_load(asked, env),
        (Look(KEY), RawRead(None)),
        LED,
        (LookAndLease(KEY, filling(1), LEASE_MS), MINE),
        (Load, Loaded("v", 5.0)),
        (Commit(KEY, filling(1), blob, 60_000, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()
    assert outcome == Outcome("v", None, 4, pack("v"))
    assert events == [Miss("k", "absent"), LoadedEvent("k", 5.0, "stored")]
    assert (asked.policy.counters.misses, asked.policy.counters.loads) == (1, 1)


def test_where_nobody_listens_a_miss_is_no_event() -> None:
    env, events = surroundings(misses_are_heard=False)
    asked = call()
    script(
        get_or_load(asked, env),
        (Look(KEY), RawRead(None)),
        LED,
        (LookAndLease(KEY, filling(1), LEASE_MS), MINE),
        (Load, Loaded("v", 5.0)),
        (Commit(KEY, filling(1), stored("v", 2, load_ms=5), 60_000, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()
    assert events == []
    assert (asked.policy.counters.misses, asked.policy.counters.loads) == (1, 1)


def test_a_function_that_seldom_hits_leases_without_looking_first() -> None:
    env, events = surroundings()
    script(
        get_or_load(cold(), env), *LEASED, (Load, Loaded("v", 5.0)), (Commit, STORED), LANDED
    ).ends()
    assert events[0] == Miss("k", "absent")


def test_a_value_that_appears_before_the_lease_is_served() -> None:
    env, _ = surroundings()
    asked = cold()
    outcome = script(
        get_or_load(asked, env), LED, (LookAndLease, RawRead(stored("v"))), LANDED
    ).ends()
    assert outcome.value == "v"
    assert (asked.policy.counters.hits, asked.policy.counters.misses) == (1, 0)


def test_what_the_front_tier_keeps_is_served_without_asking_anybody() -> None:
    env, events = surroundings(hits_are_heard=True)
    asked = call(front=Shelf("kept"))
    script(get_or_load(asked, env)).returns(Outcome("kept", None, 1))
    assert events == [Hit("k", "front")]
    assert asked.policy.counters.hits == 0


def test_what_the_front_tier_does_not_keep_is_read_and_kept() -> None:
    env, _ = surroundings()
    shelf = Shelf()
    script(
        get_or_load(call(front=shelf), env),
        (Look(KEY, (), with_ttl=True), RawRead(stored("v"), (), 1_000)),
    ).ends()
    assert [(value, read.life_ms) for value, read in shelf.installed] == [("v", 1_000)]


def test_a_ttl_of_zero_shares_loads_and_stores_nothing() -> None:
    env, events = surroundings()
    script(get_or_load(call(ttl_ms=0), env), LED, (Load, Loaded("v", 5.0)), LANDED).ends()
    assert events == [Miss("k", "not_stored"), LoadedEvent("k", 5.0, "not_stored")]


def test_a_backend_that_fails_at_the_look_leaves_a_shared_load() -> None:
    env, _ = surroundings()
    joins: list[Join] = []

    def note(op: Join) -> Flight:
        joins.append(op)
        return lead(op)

    outcome = script(
        get_or_load(call(), env), (Look, refused()), (Join, note), (Load, Loaded("v", 5.0)), LANDED
    ).ends()
    assert outcome.value == "v"
    assert joins[0].is_patient
    assert not joins[0].is_lenient


def test_a_follower_gets_its_own_copy() -> None:
    env, events = surroundings()
    asked = call()
    shared = ["v"]
    outcome = script(
        get_or_load(asked, env),
        (Look, RawRead(None)),
        (Join, other()),
        (AwaitFlight, result(shared)),
    ).ends()
    assert outcome.value == shared
    assert outcome.value is not shared
    assert events[-1] == Coalesced("k")
    assert asked.policy.counters.coalesced == 1


def test_a_follower_decodes_its_copy_from_what_the_leader_encoded() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        (Join, other()),
        (AwaitFlight, FlightResult(Outcome("v", None, LATER, pack("decoded")))),
    ).returns(Outcome("decoded", None, LATER, pack("decoded")))


def test_a_follower_deep_copies_a_value_that_it_cannot_decode() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(cold(), env),
        (Join, other()),
        (AwaitFlight, FlightResult(Outcome("v", None, LATER, pack("broken")))),
    ).ends()
    assert outcome.value == "v"


def test_a_follower_loads_a_value_that_cannot_be_copied() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(cold(), env),
        (Join, other()),
        (AwaitFlight, result(Lonely())),
        (Load, Loaded("mine", 5.0)),
    ).ends()
    assert outcome.value == "mine"


@pytest.fixture
def interrupted() -> Iterator[Callable[..., NoReturn]]:
    """What a signal interrupts by an exception."""
    with soft_limit() as reach:

        def interrupt(*_: object) -> NoReturn:
            reach()
            raise AssertionError

        yield interrupt


def test_an_interrupt_of_a_copy_is_no_reason_to_load(
    interrupted: Callable[..., NoReturn],
) -> None:
    env, _ = surroundings()
    copied = type("Copied", (), {"__deepcopy__": interrupted})
    script(get_or_load(cold(), env), (Join, other()), (AwaitFlight, result(copied()))).raises(
        SoftLimit
    )


def test_an_interrupt_of_the_policys_callables_is_no_failure_of_the_load(
    interrupted: Callable[..., NoReturn],
) -> None:
    env, _ = surroundings()
    talk = script(
        get_or_load(cold(condition=interrupted), env),
        LED,
        (LookAndLease, lambda op: RawRead(op.filling)),
        (Load, Loaded("v", 5.0)),
        (Commit, CommitReply.STORED),
        LANDED,
    )
    talk.raises(SoftLimit)


def test_a_follower_gets_the_exception_of_the_leader() -> None:
    env, _ = surroundings()
    outcome = Outcome(None, OSError(), LATER)
    script(get_or_load(cold(), env), (Join, other()), (AwaitFlight, FlightResult(outcome))).returns(
        outcome
    )


def test_the_first_whose_wait_is_over_takes_over_and_ends_the_flight_for_all() -> None:
    env, events = surroundings()
    flight = other()
    results: list[FlightResult] = []
    script(
        get_or_load(cold(), env),
        (Join, flight),
        (AwaitFlight(flight, 30_000.0), None),
        (TakeOver(flight, Stage()), take),
        (Load, Loaded("mine", 5.0)),
        (EndFlight, lambda op: results.append(op.result)),
    ).ends()
    assert WaitExpired("k") in events
    assert [each.outcome and each.outcome.value for each in results] == ["mine"]


def test_a_follower_that_does_not_take_over_waits_twice_as_long_again() -> None:
    env, events = surroundings()
    flight = other()
    counters = Counters()
    counters.recent_hits, counters.load_ms = 0.0, 5.0

    def taken(_: TakeOver) -> bool:
        flight.takeovers = 1
        return False

    script(
        get_or_load(call(counters=counters), env),
        (Join, flight),
        (AwaitFlight(flight, 1_000.0), None),
        (TakeOver, taken),
        (AwaitFlight(flight, 2_000.0), result("theirs")),
    ).ends()
    assert WaitExpired("k") not in events


def test_a_follower_waits_for_as_long_as_another_process_announced() -> None:
    env, _ = surroundings()
    flight = other()
    flight.announced_ms = 4_000
    script(
        get_or_load(cold(), env), (Join, flight), (AwaitFlight(flight, 12_000.0), result("theirs"))
    ).ends()


def take(op: TakeOver) -> bool:
    op.is_taken = True
    return True


def taken_over(flight: Flight) -> tuple[tuple[Any, Any], ...]:
    """Return the exchanges in which a follower's wait ends and it becomes the successor."""
    return (Join, flight), (AwaitFlight, None), (TakeOver, take)


@pytest.mark.parametrize("is_taken", [True, False])
def test_a_follower_interrupted_while_it_takes_over_gives_the_flight_back(
    *, is_taken: bool
) -> None:
    env, _ = surroundings()
    flight = other()

    def interrupted(op: TakeOver) -> KeyboardInterrupt:
        op.is_taken = is_taken
        return KeyboardInterrupt()

    given_back = [(EndFlight(flight, ABANDONED), None)] if is_taken else []
    script(
        get_or_load(cold(), env),
        (Join, flight),
        (AwaitFlight, None),
        (TakeOver, interrupted),
        *given_back,
    ).raises(KeyboardInterrupt)


def beside(*tags: str) -> tuple[Flight, Call]:
    """Return a flight whose load holds a lease, and a call that comes to it."""
    flight = other()
    start = Start(ReadResult(FILLING, 1, filling(50)), filling(50))
    lease = Lease({filling(50): KEY}, LEASE_MS, LEASE_MS, set())
    flight.start = Begun(start, {"t": token(60)}, lease, b"")
    return flight, cold(*tags)


@pytest.mark.parametrize("reply", [CommitReply.STORED, CommitReply.REFUSED])
def test_a_successor_commits_over_the_lease_of_the_leader(reply: CommitReply) -> None:
    env, _ = surroundings()
    flight, asked = beside("t")
    commits: list[Commit] = []

    def note(op: Commit) -> CommitReply:
        commits.append(op)
        return reply

    outcome = script(
        get_or_load(asked, env),
        *taken_over(flight),
        (Load, Loaded("mine", 5.0)),
        (Commit, note),
        LANDED,
    ).ends()
    assert outcome.value == "mine"
    assert commits[0].expected == filling(50)
    assert open_envelope(KEY, commits[0].blob).tags == (Tag("t", token(60)),)


def test_a_successor_who_has_tags_that_the_leader_does_not_know_stores_nothing() -> None:
    env, _ = surroundings()
    flight, asked = beside("t", "other")
    script(get_or_load(asked, env), *taken_over(flight), (Load, Loaded("mine", 5.0)), LANDED).ends()


def test_a_successor_of_another_function_stores_nothing() -> None:
    env, _ = surroundings()
    flight, asked = beside("t")
    flight.start = replace(flight.start, owner=b"another!")
    script(get_or_load(asked, env), *taken_over(flight), (Load, Loaded("mine", 5.0)), LANDED).ends()


def test_a_successor_whose_load_fails_leaves_the_lease_to_the_leader() -> None:
    env, _ = surroundings()
    flight, asked = beside()
    error = OSError()
    outcome = script(
        get_or_load(asked, env), *taken_over(flight), (Load, Raised(error, 5.0)), LANDED
    ).ends()
    assert outcome.error is error


def test_a_successor_who_is_interrupted_gives_the_flight_back() -> None:
    env, _ = surroundings()
    flight, asked = beside()
    script(
        get_or_load(asked, env),
        *taken_over(flight),
        (Load, KeyboardInterrupt()),
        (EndFlight(flight, ABANDONED), None),
    ).raises(KeyboardInterrupt)


@pytest.mark.parametrize("ending", [ABANDONED, result("too old", 0)])
def test_a_follower_of_a_load_that_is_too_old_asks_again(ending: FlightResult) -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(cold(), env),
        (Join, other()),
        (AwaitFlight, ending),
        LED,
        (LookAndLease, RawRead(stored("v"))),
        LANDED,
    ).ends()
    assert outcome.value == "v"


def test_an_old_result_is_taken_by_a_caller_who_saw_what_its_load_started_from() -> None:
    env, _ = surroundings()
    marker = filling(50)
    flight = other()
    flight.seen_version = (marker, ())
    outcome = script(
        get_or_load(call(), env),
        (Look, RawRead(marker)),
        (Join, flight),
        (AwaitFlight, result("v", 0)),
    ).ends()
    assert outcome.value == "v"


def test_a_caller_whose_wait_would_never_end_loads_alone() -> None:
    env, events = surroundings()
    script(get_or_load(cold(), env), (Join, JoinReply.ALONE), (Load, Loaded("v", 5.0))).ends()
    assert events[0] == Miss("k", "unread")


def test_a_caller_who_must_look_is_served_what_is_fresh() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(cold(), env), (Join, JoinReply.MUST_LOOK), (Look, RawRead(stored("v")))
    ).ends()
    assert outcome.value == "v"


def test_a_caller_who_looked_and_found_nothing_asks_again_as_one_who_looked() -> None:
    env, _ = surroundings()
    looked: list[bool] = []

    def note(op: Join) -> Flight:
        looked.append(op.has_looked)
        return other()

    script(
        get_or_load(cold(), env),
        (Join, JoinReply.MUST_LOOK),
        (Look, RawRead(None)),
        (Join, note),
        (AwaitFlight, result("v")),
    ).ends()
    assert looked == [True]


def test_a_caller_who_must_look_and_cannot_shares_a_load_that_is_not_stored() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        (Join, JoinReply.MUST_LOOK),
        (Look, refused()),
        LED,
        (Load, Loaded("v", 5.0)),
        LANDED,
    ).ends()


def test_a_flight_whose_tags_come_with_its_result_counts_as_having_any() -> None:
    env, _ = surroundings()
    tags: list[tuple[str, ...]] = []

    def note(op: Join) -> Flight:
        tags.append(op.tags)
        return other()

    script(
        get_or_load(cold("~t:a", tags_of=lambda _: ()), env),
        (Join, note),
        (AwaitFlight, result("v")),
    ).ends()
    assert tags == [("~t:a", ANY_TAG)]


def test_an_interrupted_leader_gives_the_lease_back_and_hands_over() -> None:
    env, _ = surroundings()
    ends: list[FlightResult] = []
    script(
        get_or_load(cold(), env),
        *LEASED,
        (Load, KeyboardInterrupt()),
        (Commit(KEY, filling(1), filling(1), 1, CommitWay.IFEQ), STORED),
        (EndFlight, lambda op: ends.append(op.result)),
    ).raises(KeyboardInterrupt)
    assert ends == [ABANDONED]


def test_the_exception_of_the_users_function_is_returned_and_the_lease_given_back() -> None:
    env, events = surroundings()
    error = OSError()
    outcome = script(
        get_or_load(cold(), env),
        *LEASED,
        (Load, Raised(error, 5.0)),
        (Commit(KEY, filling(1), filling(1), 1, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()
    assert outcome.error is error
    assert events[-1] == LoadFailed("k", "OSError")


def test_a_callable_ttl_of_a_value_decides_how_long_it_is_stored() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(ttl_ms=60_000, ttl_of=lambda value: len(value) * 1_000), env),
        *LEASED,
        (Load, Loaded("four", 5.0)),
        (Commit(KEY, filling(1), stored("four", 2, load_ms=5), 4_000, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()
