from __future__ import annotations

from typing import Any

from dualcache.codecs.envelope import seal_tombstone
from dualcache.core.entry import Tag
from dualcache.core.events import StaleHit, StoresStopped, WaitExpired
from dualcache.core.flight import Flight
from dualcache.core.front import NoFront
from dualcache.core.ops import (
    WRONG_TYPE,
    AwaitChange,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    Join,
    Land,
    Load,
    Loaded,
    Look,
    LookAndLease,
    Raised,
    ReadTags,
    Seen,
    TryLease,
)
from dualcache.engine.acquire import MOST_ROUNDS
from dualcache.engine.load import get_or_load
from tests.engine.conversation import (
    KEY,
    LEASE_MS,
    NOW_MS,
    cold,
    filling,
    lead,
    refused,
    script,
    slow,
    stored,
    surroundings,
    token,
)

STORED = CommitReply.STORED
STALE = stored("old", fresh_ms=100, created_ms=NOW_MS - 500)
HELD = Seen(filling(50))
LED = (Join, lead)
LANDED = (Land, None)
NEW = (Load, Loaded("new", 5.0))


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now_ms = 0

    def __call__(self) -> int:
        return self.now_ms

    def passes(self, ms: int, reply: Any) -> Any:
        def answer(_: object) -> Any:
            self.now_ms += ms
            return reply

        return answer


class Marks(NoFront):
    """A front tier that hears of changes."""

    def mark(self, _: str) -> int:  # type: ignore[override]
        return 7


def kept_long(**options: Any) -> Any:
    return cold(stale_if_error_ms=60_000, **options)


def test_whoever_finds_a_marker_waits_and_is_served_what_its_holder_stored() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease(KEY, filling(1), LEASE_MS), HELD),
        (AwaitChange(KEY, 3_000.0), None),
        (Look(KEY), HELD),
        (AwaitChange(KEY, 3_000.0), None),
        (Look(KEY), Seen(stored("theirs"))),
        LANDED,
    ).ends()
    assert outcome.value == "theirs"


def test_whoever_waits_leases_anew_where_the_holder_gave_up() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, HELD),
        (AwaitChange, None),
        (Look, Seen(None)),
        (LookAndLease(KEY, filling(2), LEASE_MS), Seen(filling(2))),
        NEW,
        (Commit(KEY, filling(2), stored("new", 3, load_ms=5), 60_000, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()


def test_whoever_waited_long_enough_loads_without_storing() -> None:
    clock = Clock()
    env, events = surroundings(elapsed_ms=clock)
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, HELD),
        (AwaitChange(KEY, 3_000.0), clock.passes(2_000, None)),
        (Look, HELD),
        (AwaitChange(KEY, 1_000.0), clock.passes(1_000, None)),
        (Look, HELD),
        NEW,
        LANDED,
    ).ends()
    assert WaitExpired("k") in events


def test_a_wait_is_for_a_change_since_before_the_lease_was_asked_for() -> None:
    env, _ = surroundings(front=Marks())
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, HELD),
        (AwaitChange(KEY, 3_000.0, 7), None),
        (Look, Seen(stored("theirs"))),
        LANDED,
    ).ends()


def test_nobody_tells_of_a_change_of_what_was_read_untracked() -> None:
    env, _ = surroundings(front=Marks())
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, Seen(filling(50), stream=0)),
        (AwaitChange(KEY, 3_000.0, None), None),
        (Look, Seen(stored("theirs"))),
        LANDED,
    ).ends()


def test_a_key_that_keeps_changing_is_loaded_without_storing_in_the_end() -> None:
    env, _ = surroundings()
    rounds = [(LookAndLease, HELD), (AwaitChange, None), (Look, Seen(None))] * MOST_ROUNDS
    outcome = script(get_or_load(cold(), env), LED, *rounds, NEW, LANDED).ends()
    assert outcome.value == "new"


def test_a_lease_that_does_not_arrive_leaves_a_load_that_is_not_stored() -> None:
    env, _ = surroundings()
    script(get_or_load(cold(), env), LED, (LookAndLease, refused()), NEW, LANDED).ends()


def test_a_server_that_takes_no_writes_leaves_a_load_that_is_not_stored() -> None:
    env, events = surroundings()
    script(
        get_or_load(cold(), env), LED, (LookAndLease, Seen(None, refusal="OOM")), NEW, LANDED
    ).ends()
    assert StoresStopped(reason="OOM") in events


def test_nothing_is_stored_over_a_hold() -> None:
    env, _ = surroundings()
    hold = seal_tombstone(KEY, token=token(50), created_ms=NOW_MS)
    script(get_or_load(cold(), env), LED, (LookAndLease, Seen(hold)), NEW, LANDED).ends()


def test_an_entry_that_nobody_can_read_is_replaced() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, Seen(b"foreign")),
        (Commit(KEY, b"foreign", filling(2), LEASE_MS, CommitWay.IFEQ), STORED),
        NEW,
        (Commit(KEY, filling(2), stored("new", 3, load_ms=5), 60_000, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()


def test_a_key_of_another_type_is_deleted_and_leased_anew() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, Seen(WRONG_TYPE)),
        (Delete((KEY,)), 1),
        (LookAndLease, Seen(filling(2))),
        NEW,
        (Commit, STORED),
        LANDED,
    ).ends()


def test_an_unreadable_entry_that_another_replaced_is_looked_at_anew() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, Seen(b"foreign")),
        (Commit, CommitReply.REFUSED),
        (LookAndLease, Seen(stored("theirs"))),
        LANDED,
    ).ends()


def test_a_marker_that_may_have_replaced_an_entry_is_given_back_by_an_interrupted_caller() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, Seen(b"foreign")),
        (Commit, KeyboardInterrupt()),
        (Commit(KEY, filling(2), filling(2), 1, CommitWay.IFEQ), STORED),
        LANDED,
    ).raises(KeyboardInterrupt)


def test_an_entry_that_cannot_be_replaced_leaves_a_load_that_is_not_stored() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, Seen(b"foreign")),
        (Commit, slow()),
        NEW,
        LANDED,
    ).ends()


def test_an_entry_whose_tag_is_dead_is_replaced() -> None:
    env, _ = surroundings()
    dead = stored("old", tags=[Tag("~t:a", token(50))])
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, Seen(dead)),
        (ReadTags(("~t:a",)), (None,)),
        (Commit(KEY, dead, filling(2), LEASE_MS, CommitWay.IFEQ), STORED),
        NEW,
        (Commit, STORED),
        LANDED,
    ).ends()


def test_nobody_waits_for_the_marker_of_a_load_whose_tags_were_invalidated() -> None:
    env, _ = surroundings()
    doomed = Flight(KEY, object(), 0)
    doomed.basis = (filling(50), ())

    def led(op: Join) -> Flight:
        flight = lead(op)
        flight.doomed = doomed
        return flight

    script(
        get_or_load(cold(), env),
        (Join, led),
        (LookAndLease, HELD),
        (Commit(KEY, filling(50), filling(2), LEASE_MS, CommitWay.IFEQ), STORED),
        NEW,
        (Commit, STORED),
        LANDED,
    ).ends()


def test_a_stale_entry_is_loaded_anew_by_whoever_takes_its_lease() -> None:
    env, _ = surroundings()
    blob = stored("new", 3, fresh_ms=60_000, load_ms=5)
    script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, Seen(STALE)),
        (TryLease("~r:k", token(2), LEASE_MS), True),
        NEW,
        (Commit(KEY, STALE, blob, 120_000, CommitWay.IFEQ), STORED),
        (Commit("~r:k", token(2), token(2), 1, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()


def test_a_stale_entry_is_served_where_its_load_fails() -> None:
    env, events = surroundings()
    asked = kept_long()
    outcome = script(
        get_or_load(asked, env),
        LED,
        (LookAndLease, Seen(STALE)),
        (TryLease, True),
        (Load, Raised(OSError(), 5.0)),
        (Commit("~r:k", token(2), token(2), 1, CommitWay.IFEQ), refused()),
        LANDED,
    ).ends()
    assert (outcome.value, outcome.error) == ("old", None)
    assert StaleHit("k", "redis") in events
    assert asked.policy.usage.stale_hits == 1


def test_whoever_does_not_get_the_lease_of_a_stale_entry_waits_for_its_holder() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, Seen(STALE)),
        (TryLease, False),
        (AwaitChange, None),
        (Look, Seen(stored("theirs"))),
        LANDED,
    ).ends()
    assert outcome.value == "theirs"


def test_the_lease_of_a_stale_entry_is_tried_again_after_each_wait() -> None:
    env, _ = surroundings()
    script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, Seen(STALE)),
        (TryLease, False),
        (AwaitChange, None),
        (Look, Seen(STALE)),
        (TryLease("~r:k", token(3), LEASE_MS), True),
        NEW,
        (Commit, STORED),
        (Commit("~r:k", token(3), token(3), 1, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()


def test_whoever_waited_for_a_stale_entry_has_it_to_serve_where_his_own_load_fails() -> None:
    clock = Clock()
    env, _ = surroundings(elapsed_ms=clock)
    outcome = script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, Seen(STALE)),
        (TryLease, False),
        (AwaitChange, clock.passes(3_000, None)),
        (Look, Seen(STALE)),
        (TryLease, False),
        (Load, Raised(OSError(), 5.0)),
        LANDED,
    ).ends()
    assert outcome.value == "old"


def test_a_stale_entry_is_remembered_where_the_backend_fails_during_the_wait() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, Seen(STALE)),
        (TryLease, False),
        (AwaitChange, None),
        (Look, refused()),
        (Load, Raised(OSError(), 5.0)),
        LANDED,
    ).ends()
    assert outcome.value == "old"


def test_the_lease_of_a_stale_entry_that_does_not_arrive_leaves_a_load_without_it() -> None:
    env, _ = surroundings()
    script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, Seen(STALE)),
        (TryLease, slow()),
        NEW,
        LANDED,
    ).ends()


def test_an_interrupted_caller_gives_back_the_lease_of_a_stale_entry() -> None:
    env, _ = surroundings(prefix="shop:")
    script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, Seen(STALE)),
        (TryLease("shop:~r:k", token(2), LEASE_MS), KeyboardInterrupt()),
        (Commit("shop:~r:k", token(2), token(2), 1, CommitWay.IFEQ), STORED),
        LANDED,
    ).raises(KeyboardInterrupt)
