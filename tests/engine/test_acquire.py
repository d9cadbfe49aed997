from __future__ import annotations

from typing import Any

import pytest

from dualcache.core.entry import Tag
from dualcache.core.envelope import open_envelope, seal_filling, seal_tombstone
from dualcache.core.events import Miss, StaleHit, StoresStopped, Unusable, WaitExpired
from dualcache.core.flight import Flight, Join, Load
from dualcache.core.front_ports import NoTier
from dualcache.core.ops import (
    FOR_EVER,
    WRONG_TYPE,
    AwaitChange,
    Batch,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    Look,
    LookAndLease,
    NewTag,
    Raised,
    RawRead,
    ReadTags,
    TryLease,
)
from dualcache.engine.acquire import MOST_ROUNDS
from dualcache.engine.leases import MOST_TOLD
from dualcache.engine.load import get_or_load
from tests.engine.conversation import (
    DAY_MS,
    KEY,
    LANDED,
    LEASE_MS,
    LED,
    NEW,
    NOW_MS,
    STORED_NEW,
    call,
    cold,
    cut,
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
HELD = RawRead(filling(50))


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


class Marks(NoTier):
    """A front tier that hears of changes."""

    def mark(self, _: str) -> int:  # type: ignore[override]
        return 7


LOADED_ELSEWHERE = (Look("~r:k", (), with_ttl=True), RawRead(token(70), (), 9_000))
"""Another process loads what is stale."""


def kept_long(**options: Any) -> Any:
    return cold(stale_if_error_ms=60_000, **options)


def test_a_caller_that_finds_a_marker_waits_and_is_served_what_its_holder_stored() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease(KEY, filling(1), LEASE_MS), HELD),
        (AwaitChange(KEY, 30_000.0), None),
        (Look(KEY), HELD),
        (AwaitChange(KEY, 30_000.0), None),
        (Look(KEY), RawRead(stored("theirs"))),
        LANDED,
    ).ends()
    assert outcome.value == "theirs"


def test_a_waiter_takes_the_lease_when_its_holder_gave_up() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, HELD),
        (AwaitChange, None),
        (Look, RawRead(None)),
        (LookAndLease(KEY, filling(2), LEASE_MS), RawRead(filling(2))),
        NEW,
        (Commit(KEY, filling(2), stored("new", 3, load_ms=5), 60_000, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()


def test_a_waiter_whose_bound_is_over_loads_without_storing() -> None:
    clock = Clock()
    env, events = surroundings(elapsed_ms=clock)
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, HELD),
        (AwaitChange(KEY, 30_000.0), clock.passes(29_000, None)),
        (Look, HELD),
        (AwaitChange(KEY, 1_000.0, None, 29_000), clock.passes(1_000, None)),
        (Look, HELD),
        NEW,
        LANDED,
    ).ends()
    assert WaitExpired("k") in events


def test_a_wait_ends_for_a_change_since_before_the_lease_was_asked_for() -> None:
    env, _ = surroundings(front=Marks())
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, HELD),
        (AwaitChange(KEY, 30_000.0, 7), None),
        (Look, RawRead(stored("theirs"))),
        LANDED,
    ).ends()


def test_a_key_read_on_an_untracked_connection_is_polled() -> None:
    env, _ = surroundings(front=Marks())
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, RawRead(filling(50), push_epoch=0)),
        (AwaitChange(KEY, 30_000.0, None), None),
        (Look, RawRead(stored("theirs"))),
        LANDED,
    ).ends()


def test_a_key_that_keeps_changing_is_loaded_without_storing_in_the_end() -> None:
    env, _ = surroundings()
    rounds = [(LookAndLease, HELD), (AwaitChange, None), (Look, RawRead(None))] * MOST_ROUNDS
    outcome = script(get_or_load(cold(), env), LED, *rounds, NEW, LANDED).ends()
    assert outcome.value == "new"


def test_a_lease_that_does_not_arrive_leaves_a_load_that_is_not_stored() -> None:
    env, events = surroundings()
    script(get_or_load(cold(), env), LED, (LookAndLease, refused()), NEW, LANDED).ends()
    assert Miss("k", "backend_down") in events


def test_a_server_that_takes_no_writes_leaves_a_load_that_is_not_stored() -> None:
    env, events = surroundings()
    script(
        get_or_load(cold(), env), LED, (LookAndLease, RawRead(None, refusal="OOM")), NEW, LANDED
    ).ends()
    assert StoresStopped(reason="OOM") in events


def test_nothing_is_stored_over_a_hold() -> None:
    env, _ = surroundings()
    hold = seal_tombstone(KEY, token=token(50), created_ms=NOW_MS)
    script(get_or_load(cold(), env), LED, (LookAndLease, RawRead(hold)), NEW, LANDED).ends()


@pytest.mark.parametrize(
    "raw", [filling(50), seal_tombstone(KEY, token=token(50), created_ms=NOW_MS)]
)
def test_nobody_waits_for_a_marker_or_a_hold_that_never_ends(raw: bytes) -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, RawRead(raw, (), FOR_EVER)),
        (Commit(KEY, raw, filling(2), LEASE_MS, CommitWay.IFEQ), STORED),
        NEW,
        (Commit(KEY, filling(2), stored("new", 3, load_ms=5), 60_000, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()


def test_an_entry_that_nobody_can_read_is_replaced() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, RawRead(b"foreign")),
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
        (LookAndLease, RawRead(WRONG_TYPE)),
        (Delete((KEY,)), 1),
        (LookAndLease, RawRead(filling(2))),
        *STORED_NEW,
    ).ends()


def test_an_unreadable_entry_that_another_caller_replaced_is_read_again() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, RawRead(b"foreign")),
        (Commit, CommitReply.REFUSED),
        (LookAndLease, RawRead(stored("theirs"))),
        LANDED,
    ).ends()


def test_a_marker_that_may_have_replaced_an_entry_is_given_back_by_an_interrupted_caller() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, RawRead(b"foreign")),
        (Commit, KeyboardInterrupt()),
        (Commit(KEY, filling(2), filling(2), 1, CommitWay.IFEQ), STORED),
        LANDED,
    ).raises(KeyboardInterrupt)


def test_an_entry_that_cannot_be_replaced_leaves_a_load_that_is_not_stored() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, RawRead(b"foreign")),
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
        (LookAndLease, RawRead(dead)),
        (ReadTags(("~t:a",)), (None,)),
        (Commit(KEY, dead, filling(2), LEASE_MS, CommitWay.IFEQ), STORED),
        *STORED_NEW,
    ).ends()


def test_nobody_waits_for_the_marker_of_a_load_whose_tags_were_invalidated() -> None:
    env, _ = surroundings()
    revoked = Flight(KEY, object(), 0)
    revoked.seen_version = (filling(50), ())

    def led(op: Join) -> Flight:
        flight = lead(op)
        flight.revoked = revoked
        return flight

    script(
        get_or_load(cold(), env),
        (Join, led),
        (LookAndLease, HELD),
        (Commit(KEY, filling(50), filling(2), LEASE_MS, CommitWay.IFEQ), STORED),
        *STORED_NEW,
    ).ends()


def told(number: int, *tags: Tag) -> bytes:
    """Return the marker of a load that tells its tags."""
    return seal_filling(KEY, token=token(number), created_ms=NOW_MS, load_ms=0, tags=tags)


ALIVE = Tag("~t:a", b"its life")
THEIRS = told(50, ALIVE)
DEAD = (b"new life",)


def test_a_marker_names_the_tags_that_a_look_found_and_those_made_with_the_lease() -> None:
    env, _ = surroundings()
    made = (NewTag("~t:a", token(1), DAY_MS), NewTag("~t:b", token(2), DAY_MS))
    ours = told(3, ALIVE, Tag("~t:b", token(2)))
    script(
        get_or_load(call("~t:a", "~t:b"), env),
        (Look(KEY, ("~t:a", "~t:b")), RawRead(None, (b"its life", None))),
        LED,
        (
            LookAndLease(KEY, ours, LEASE_MS, made),
            RawRead(ours, (b"its life", token(2)), None, (DAY_MS, DAY_MS)),
        ),
        *STORED_NEW,
    ).ends()


def test_a_marker_names_a_bounded_number_of_tags() -> None:
    env, _ = surroundings()
    names = [f"~t:{number}" for number in range(MOST_TOLD + 1)]
    markers = []

    def lease(op: LookAndLease) -> RawRead:
        markers.append(op.filling)
        return RawRead(op.filling, tuple(tag.id for tag in op.tags))

    script(
        get_or_load(call(*names), env),
        (Look, RawRead(None, (None,) * len(names))),
        LED,
        (LookAndLease, lease),
        *STORED_NEW,
    ).ends()
    assert [tag.name for tag in open_envelope(KEY, markers[0]).tags] == names[:MOST_TOLD]


def test_nobody_waits_for_a_marker_that_names_a_dead_tag() -> None:
    env, _ = surroundings()
    ours = told(3, Tag("~t:a", DEAD[0]))
    script(
        get_or_load(cold("~t:a"), env),
        LED,
        (LookAndLease, RawRead(THEIRS, DEAD, None, (DAY_MS,))),
        (Commit(KEY, THEIRS, ours, LEASE_MS, CommitWay.IFEQ), STORED),
        *STORED_NEW,
    ).ends()


def test_a_waiter_replaces_the_marker_when_a_tag_that_it_names_dies() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold("~t:a"), env),
        LED,
        (LookAndLease, RawRead(THEIRS, (b"its life",), None, (DAY_MS,))),
        (AwaitChange, None),
        (Look, RawRead(THEIRS, (b"its life",))),
        (AwaitChange, None),
        (Look, RawRead(THEIRS, (None,))),
        (LookAndLease, RawRead(THEIRS, DEAD, None, (DAY_MS,))),
        (Commit(KEY, THEIRS, told(5, Tag("~t:a", DEAD[0])), LEASE_MS, CommitWay.IFEQ), STORED),
        *STORED_NEW,
    ).ends()


def test_a_marker_is_not_replaced_for_a_tag_that_the_caller_did_not_read() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold("~t:b"), env),
        LED,
        (LookAndLease, RawRead(THEIRS, (b"other-id",), None, (DAY_MS,))),
        (AwaitChange, None),
        (Look, RawRead(stored("theirs"), (b"other-id",))),
        LANDED,
    ).ends()


def test_a_marker_of_ours_that_names_an_old_id_of_a_tag_is_replaced() -> None:
    env, _ = surroundings()
    wrong = told(2, Tag("~t:a", token(1)))
    right = told(3, Tag("~t:a", DEAD[0]))
    script(
        get_or_load(call("~t:a"), env),
        (Look, RawRead(None, (None,))),
        LED,
        (LookAndLease, RawRead(wrong, DEAD, None, (DAY_MS,))),
        (Commit(KEY, wrong, right, LEASE_MS, CommitWay.IFEQ), STORED),
        NEW,
        (
            Commit(
                KEY,
                right,
                stored("new", 4, tags=[Tag("~t:a", DEAD[0])], load_ms=5),
                60_000,
                CommitWay.IFEQ,
            ),
            STORED,
        ),
        LANDED,
    ).ends()


def test_a_marker_of_ours_whose_reply_was_lost_is_replaced_and_not_waited_for() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease(KEY, filling(1), LEASE_MS), cut()),
        (LookAndLease(KEY, filling(2), LEASE_MS), RawRead(filling(1))),
        (Commit(KEY, filling(1), filling(3), LEASE_MS, CommitWay.IFEQ), STORED),
        NEW,
        (Commit(KEY, filling(3), stored("new", 4, load_ms=5), 60_000, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()


def test_a_marker_whose_commit_reply_was_lost_is_found_to_be_there() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, RawRead(b"foreign")),
        (Commit(KEY, b"foreign", filling(2), LEASE_MS, CommitWay.IFEQ), cut()),
        (Commit(KEY, b"foreign", filling(2), LEASE_MS, CommitWay.IFEQ), CommitReply.REFUSED),
        (Look(KEY), RawRead(filling(2))),
        NEW,
        (Commit(KEY, filling(2), stored("new", 3, load_ms=5), 60_000, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()


def test_a_marker_that_was_sent_twice_and_is_not_there_is_asked_for_again() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease, RawRead(b"foreign")),
        (Commit(KEY, b"foreign", filling(2), LEASE_MS, CommitWay.IFEQ), cut()),
        (Commit(KEY, b"foreign", filling(2), LEASE_MS, CommitWay.IFEQ), CommitReply.REFUSED),
        (Look(KEY), RawRead(None)),
        (LookAndLease(KEY, filling(3), LEASE_MS), RawRead(filling(2))),  # it came late
        (Commit(KEY, filling(2), filling(4), LEASE_MS, CommitWay.IFEQ), STORED),
        *STORED_NEW,
    ).ends()


def test_an_interrupted_caller_gives_back_every_marker_that_may_have_arrived() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease(KEY, filling(1), LEASE_MS), cut()),
        (LookAndLease(KEY, filling(2), LEASE_MS), KeyboardInterrupt()),
        (
            Batch(
                (
                    Commit(KEY, filling(1), filling(1), 1, CommitWay.IFEQ),
                    Commit(KEY, filling(2), filling(2), 1, CommitWay.IFEQ),
                )
            ),
            (STORED, CommitReply.REFUSED),
        ),
        LANDED,
    ).raises(KeyboardInterrupt)


def test_a_stale_entry_is_loaded_anew_by_the_caller_that_takes_its_lease() -> None:
    env, _ = surroundings()
    blob = stored("new", 3, fresh_ms=60_000, load_ms=5)
    script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, RawRead(STALE)),
        (TryLease("~r:k", token(2), LEASE_MS), True),
        NEW,
        (Commit(KEY, STALE, blob, 120_000, CommitWay.IFEQ), STORED),
        (Commit("~r:k", token(2), token(2), 1, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()


def undecided(error: Exception) -> bool:
    return bool(error.args[5])


@pytest.mark.parametrize(("stale_on", "raised"), [((KeyError,), OSError), (undecided, IndexError)])
def test_a_stale_entry_is_not_served_for_an_exception_that_does_not_count(
    stale_on: Any, raised: type[Exception]
) -> None:
    env, events = surroundings()
    asked, error = kept_long(stale_on=stale_on), OSError()
    outcome = script(
        get_or_load(asked, env),
        LED,
        (LookAndLease, RawRead(STALE)),
        (TryLease, True),
        (Load, Raised(error, 5.0)),
        (Commit("~r:k", token(2), token(2), 1, CommitWay.IFEQ), refused()),
        LANDED,
    ).ends()
    assert type(outcome.error) is raised
    assert outcome.error is error or outcome.error.__context__ is error
    assert StaleHit("k", "redis") not in events
    assert asked.policy.counters.stale_hits == 0


def test_a_stale_entry_is_served_where_its_load_fails() -> None:
    env, events = surroundings()
    asked = kept_long()
    outcome = script(
        get_or_load(asked, env),
        LED,
        (LookAndLease, RawRead(STALE)),
        (TryLease, True),
        (Load, Raised(OSError(), 5.0)),
        (Commit("~r:k", token(2), b"pause\x01to", 2_000, CommitWay.IFEQ), refused()),
        LANDED,
    ).ends()
    assert (outcome.value, outcome.error) == ("old", None)
    assert StaleHit("k", "redis") in events
    assert asked.policy.counters.stale_hits == 1


def test_a_caller_without_the_lease_of_a_stale_entry_waits_for_its_holder() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, RawRead(STALE)),
        (TryLease, False),
        LOADED_ELSEWHERE,
        (AwaitChange, None),
        (Look, RawRead(stored("theirs"))),
        LANDED,
    ).ends()
    assert outcome.value == "theirs"


@pytest.mark.parametrize("is_mine", [True, False])
def test_a_foreign_key_in_place_of_a_stale_entrys_lease_is_deleted(
    is_mine: bool,
) -> None:
    env, events = surroundings()
    given_back = (Commit("~r:k", token(3), token(3), 1, CommitWay.IFEQ), STORED)
    then: list[tuple[Any, Any]] = [
        LOADED_ELSEWHERE,
        (AwaitChange, None),
        (Look, RawRead(stored("new"))),
    ]
    if is_mine:
        then = [NEW, (Commit, STORED), given_back]
    outcome = script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, RawRead(STALE)),
        (TryLease("~r:k", token(2), LEASE_MS), None),
        (Delete(("~r:k",)), 1),
        (TryLease("~r:k", token(3), LEASE_MS), is_mine),
        *then,
        LANDED,
    ).ends()
    assert outcome.value == "new"
    assert Unusable("k", "foreign") in events


def test_the_lease_of_a_stale_entry_is_tried_again_after_each_wait() -> None:
    env, _ = surroundings()
    script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, RawRead(STALE)),
        (TryLease, False),
        LOADED_ELSEWHERE,
        (AwaitChange, None),
        (Look, RawRead(STALE)),
        (TryLease("~r:k", token(3), LEASE_MS), True),
        NEW,
        (Commit, STORED),
        (Commit("~r:k", token(3), token(3), 1, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()


def test_a_waiter_serves_the_stale_entry_where_its_own_load_fails() -> None:
    clock = Clock()
    env, _ = surroundings(elapsed_ms=clock)
    outcome = script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, RawRead(STALE)),
        (TryLease, False),
        LOADED_ELSEWHERE,
        (AwaitChange, clock.passes(30_000, None)),
        (Look, RawRead(STALE)),
        (TryLease, False),
        LOADED_ELSEWHERE,
        (Load, Raised(OSError(), 5.0)),
        LANDED,
    ).ends()
    assert outcome.value == "old"


def test_a_stale_entry_is_served_where_the_backend_fails_during_the_wait() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, RawRead(STALE)),
        (TryLease, False),
        LOADED_ELSEWHERE,
        (AwaitChange, None),
        (Look, refused()),
        (Load, Raised(OSError(), 5.0)),
        LANDED,
    ).ends()
    assert outcome.value == "old"


def test_a_stale_entry_is_loaded_without_storing_where_its_lease_does_not_arrive() -> None:
    env, _ = surroundings()
    script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, RawRead(STALE)),
        (TryLease, slow()),
        NEW,
        LANDED,
    ).ends()


OWNER = b"function"
FOREIGN = (LookAndLease, RawRead(STALE))
ADOPTED = stored("old", 3, fresh_ms=100, created_ms=NOW_MS - 500, owner=OWNER)


def test_a_stale_entry_of_another_function_is_adopted_before_it_is_loaded_anew() -> None:
    env, _ = surroundings()
    script(
        get_or_load(kept_long(owner=OWNER), env),
        LED,
        (LookAndLease(KEY, filling(1, owner=OWNER), LEASE_MS), RawRead(STALE)),
        (TryLease("~r:k", token(2), LEASE_MS), True),
        (Look(KEY, (), with_ttl=True), RawRead(STALE, (), 9_000)),
        (Commit(KEY, STALE, ADOPTED, 9_000, CommitWay.IFEQ), STORED),
        NEW,
        (
            Commit(
                KEY,
                ADOPTED,
                stored("new", 4, fresh_ms=60_000, load_ms=5, owner=OWNER),
                120_000,
                CommitWay.IFEQ,
            ),
            STORED,
        ),
        (Commit("~r:k", token(2), token(2), 1, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()


def test_a_stale_entry_of_the_same_function_is_loaded_anew_as_it_is() -> None:
    env, _ = surroundings()
    own = stored("old", fresh_ms=100, created_ms=NOW_MS - 500, owner=OWNER)
    script(
        get_or_load(kept_long(owner=OWNER), env),
        LED,
        (LookAndLease, RawRead(own)),
        (TryLease, True),
        NEW,
        (Commit, STORED),
        (Commit, STORED),
        LANDED,
    ).ends()


def test_an_entry_that_changes_before_it_is_adopted_is_looked_at_again() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(kept_long(owner=OWNER), env),
        LED,
        FOREIGN,
        (TryLease, True),
        (Look, RawRead(STALE, (), 9_000)),
        (Commit(KEY, STALE, ADOPTED, 9_000, CommitWay.IFEQ), CommitReply.REFUSED),
        (Commit("~r:k", token(2), token(2), 1, CommitWay.IFEQ), STORED),
        (AwaitChange, None),
        (Look, RawRead(STALE)),
        (TryLease, True),
        (Look, RawRead(None)),
        (Commit("~r:k", token(4), token(4), 1, CommitWay.IFEQ), STORED),
        (AwaitChange, None),
        (Look, RawRead(stored("theirs"))),
        LANDED,
    ).ends()
    assert outcome.value == "theirs"


def test_a_caller_interrupted_while_it_adopts_gives_back_the_lease() -> None:
    env, _ = surroundings()
    script(
        get_or_load(kept_long(owner=OWNER), env),
        LED,
        FOREIGN,
        (TryLease, True),
        (Look, KeyboardInterrupt()),
        (Commit("~r:k", token(2), token(2), 1, CommitWay.IFEQ), STORED),
        LANDED,
    ).raises(KeyboardInterrupt)


def test_an_interrupted_caller_gives_back_the_lease_of_a_stale_entry() -> None:
    env, _ = surroundings(prefix="shop:")
    script(
        get_or_load(kept_long(), env),
        LED,
        (LookAndLease, RawRead(STALE)),
        (TryLease("shop:~r:k", token(2), LEASE_MS), KeyboardInterrupt()),
        (Commit("shop:~r:k", token(2), token(2), 1, CommitWay.IFEQ), STORED),
        LANDED,
    ).raises(KeyboardInterrupt)
