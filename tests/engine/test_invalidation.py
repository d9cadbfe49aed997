from __future__ import annotations

import pytest

from dualcache.core.events import Invalidated, ScansRefused
from dualcache.core.flight import ANY_TAG, CloseFlights
from dualcache.core.front_ports import NoTier
from dualcache.core.ops import Batch, Delete, Fence, Look, RawRead
from dualcache.core.scans import ReadHeads, Scan, ScanPage, Unlink
from dualcache.engine.deletion import FEW_AT_ONCE, ScanRefused
from dualcache.engine.health import MOST_PENDING, Owned, PendingDeletion
from dualcache.engine.invalidation import clear, clear_function, invalidate
from dualcache.engine.recovery import keep_pending, set_aside
from dualcache.engine.upkeep import fence
from dualcache.errors import BackendRefused, BackendUnavailable
from tests.engine.conversation import (
    cut,
    filling,
    refused,
    script,
    slow,
    stored,
    surroundings,
)


class Dropped(NoTier):
    """A front tier that notes whether it was told to forget all."""

    has_forgotten = False

    def drop_all(self) -> None:
        self.has_forgotten = True


def test_a_key_dies_with_its_variants_and_its_flights_are_closed_after_the_trip() -> None:
    env, events = surroundings(prefix="shop:")
    names = ("shop:k", "shop:~b:k")
    done = Invalidated("label", keys=1, removed=1)
    script(
        invalidate(["shop:k"], [], [], env, "label"),
        (Delete(names), 1),
        (CloseFlights(names), None),
    ).returns(done)
    assert events == [done]


def test_a_tag_closes_the_flights_whose_tags_come_with_their_result() -> None:
    env, _ = surroundings()
    script(
        invalidate([], ["~t:a"], [], env),
        (Delete(("~t:a",)), 1),
        (CloseFlights(("~t:a", ANY_TAG)), None),
    ).returns(Invalidated(tags=1, removed=1))


def test_what_matches_a_pattern_is_found_page_by_page_with_its_base_tags() -> None:
    env, _ = surroundings(prefix="shop:")
    script(
        invalidate([], [], ["user:*"], env),
        (Scan, ScanPage(7, (b"shop:user:1", b"shop:~b:user:1", b"shop:~t:user:1"))),
        (Unlink((b"shop:user:1", b"shop:~b:user:1")), 2),
        (Scan, ScanPage(0, ())),
        (CloseFlights(None), None),
    ).returns(Invalidated(patterns=1, removed=2))


OWNER, OTHER = b"function", b"another."


def test_clearing_a_function_deletes_values_and_markers_that_carry_its_owner() -> None:
    env, _ = surroundings(prefix="shop:")
    keys = tuple(b"shop:user:%d" % number for number in range(5))
    heads = (
        stored("x" * 50, owner=OWNER)[:40],
        filling(1, owner=OWNER),
        stored("x" * 50, owner=OTHER)[:40],
        stored("by hand")[:40],
        b"of another program",
    )
    script(
        clear_function(OWNER, "user:*", env, "user:{i}"),
        (Scan(0, "shop:user:*", 1000), ScanPage(7, keys)),
        (ReadHeads(keys), heads),
        (Unlink(keys[:2]), 2),
        (Unlink((b"shop:~b:user:0", b"shop:~b:user:1")), 1),
        (Scan(7, "shop:user:*", 1000), ScanPage(0, ())),
        (CloseFlights(None), None),
    ).returns(Invalidated("user:{i}", patterns=1, removed=2))


def denied() -> BackendRefused:
    error = BackendRefused("no right", code="DC209")
    error.prefix, error.is_lacking = "NOPERM", True
    return error


def test_without_the_right_to_getrange_whole_entries_are_read_for_their_owner() -> None:
    env, _ = surroundings()
    keys = tuple(b"k%d" % number for number in range(FEW_AT_ONCE + 1))
    entry = stored("x" * 50, owner=OWNER)
    script(
        clear_function(OWNER, "*", env),
        (Scan, ScanPage(0, keys)),
        (ReadHeads, denied()),
        (Batch(tuple(Look(key.decode()) for key in keys[:-1])), (RawRead(None),) * FEW_AT_ONCE),
        (Batch((Look(keys[-1].decode()),)), (RawRead(entry),)),
        (Unlink((keys[-1],)), 1),
        (Unlink, 0),
        (CloseFlights(None), None),
    ).returns(Invalidated(patterns=1, removed=1))


def test_a_clear_whose_read_is_refused_for_another_reason_is_pending() -> None:
    env, _ = surroundings()
    error = BackendRefused("busy", code="DC209")
    error.prefix = "BUSY"
    script(
        clear_function(OWNER, "*", env),
        (Scan, ScanPage(0, (b"k",))),
        (ReadHeads, error),
        (CloseFlights, None),
    ).returns(Invalidated(patterns=1, pending=1))


def test_the_search_for_a_functions_keys_leaves_out_short_names_that_do_not_match() -> None:
    env, _ = surroundings()
    long = b"doc:" + b"x" * 200 + b"~digest"
    script(
        clear_function(OWNER, "doc:*:end*", env),
        (Scan(0, "doc:*", 1000), ScanPage(0, (b"doc:1:end", b"doc:1:start", long))),
        (ReadHeads((b"doc:1:end", long)), (b"", b"")),
        (CloseFlights(None), None),
    ).returns(Invalidated(patterns=1))


def test_a_function_that_could_not_be_cleared_is_cleared_before_the_next_read() -> None:
    env, _ = surroundings()
    script(
        clear_function(OWNER, "*", env),
        (Scan, slow()),
        (CloseFlights, None),
    ).returns(Invalidated(patterns=1, pending=1))
    assert list(env.health.pending.values()) == [PendingDeletion((), (), (Owned(OWNER, "*"),))]
    script(
        invalidate(["k"], [], [], env),
        (Scan(0, "*", 1000), ScanPage(0, (b"a",))),
        (ReadHeads((b"a",)), (stored("v", owner=OWNER),)),
        (Unlink((b"a",)), 1),
        (Unlink((b"~b:a",)), 0),
        (Delete, 1),
        (CloseFlights, None),
    ).returns(Invalidated(keys=1, removed=1))


def test_a_deletion_is_sent_once_more_where_its_connection_was_cut() -> None:
    env, _ = surroundings()
    script(
        invalidate([], ["~t:a"], [], env),
        (Delete, cut()),
        (Delete, 1),
        (CloseFlights, None),
    ).returns(Invalidated(tags=1, removed=1))


def test_a_deletion_that_does_not_arrive_is_pending() -> None:
    env, _ = surroundings()
    script(
        invalidate(["k"], [], [], env),
        (Delete, slow()),
        (CloseFlights, None),
    ).returns(Invalidated(keys=1, pending=1))
    assert list(env.health.pending.values()) == [PendingDeletion(("k", "~b:k"))]


def test_a_strict_cache_raises_for_a_deletion_that_stays_pending() -> None:
    env, _ = surroundings(is_strict=True)
    script(invalidate(["k"], [], [], env), (Delete, refused()), (CloseFlights, None)).raises(
        BackendUnavailable
    )
    assert len(env.health.pending) == 1


def test_an_interrupted_deletion_is_pending_and_closes_its_flights() -> None:
    env, _ = surroundings()
    script(
        invalidate(["k"], [], [], env),
        (Delete, KeyboardInterrupt()),
        (CloseFlights(("k", "~b:k")), None),
    ).raises(KeyboardInterrupt)
    assert len(env.health.pending) == 1


def test_a_clear_ends_the_state_in_which_too_many_deletions_were_pending() -> None:
    env, _ = surroundings()
    for number in range(MOST_PENDING + 1):
        keep_pending(PendingDeletion((f"k{number}",)), env)
    script(invalidate(["k"], [], [], env), (CloseFlights, None)).returns(
        Invalidated(keys=1, pending=1)
    )
    script(
        clear(env),
        (Delete, 0),
        (Scan, ScanPage(0, (b"k",))),
        (Unlink((b"k",)), 1),
        (CloseFlights(None), None),
    ).returns(Invalidated(patterns=1, removed=1))
    assert env.health.is_clear


def test_a_clear_that_does_not_arrive_ends_nothing() -> None:
    env, _ = surroundings()
    script(clear(env), (Scan, slow()), (CloseFlights, None)).returns(
        Invalidated(patterns=1, pending=1)
    )
    assert not env.health.is_clear


@pytest.mark.parametrize("is_proved", [True, False])
def test_a_fence_that_is_not_proved_empties_the_front_tier(is_proved: bool) -> None:
    front = Dropped()
    env, _ = surroundings(front=front)
    script(fence(env), (Fence(), is_proved)).returns(None)
    assert front.has_forgotten is not is_proved


def lacking() -> BackendRefused:
    error = denied()
    error.is_lacking = True
    return error


def test_a_pattern_that_the_server_refuses_to_look_for_does_not_stop_reads() -> None:
    env, events = surroundings()
    script(invalidate([], [], ["a*"], env), (Scan, lacking()), (CloseFlights, None)).returns(
        Invalidated(patterns=1, pending=1)
    )
    assert env.health.is_clear
    assert events[0] == ScansRefused(reason="NOPERM")
    assert len(env.health.refused) == 1
    script(
        invalidate(["k"], [], [], env),
        (Scan, lacking()),
        (Delete, 1),
        (CloseFlights, None),
    ).returns(Invalidated(keys=1, removed=1))
    script(
        invalidate(["k"], [], [], env),
        (Scan, ScanPage(0, (b"a1",))),
        (Unlink((b"a1",)), 1),
        (Delete, 1),
        (CloseFlights, None),
    ).returns(Invalidated(keys=1, removed=1))
    assert not env.health.refused
    assert events.count(ScansRefused(reason="NOPERM")) == 1


def test_a_pattern_that_is_refused_at_its_replay_is_set_aside() -> None:
    env, _ = surroundings()
    script(invalidate([], [], ["a*"], env), (Scan, slow()), (CloseFlights, None)).ends()
    script(
        invalidate(["k"], [], [], env),
        (Scan, lacking()),
        (Scan, lacking()),
        (Delete, 1),
        (CloseFlights, None),
    ).returns(Invalidated(keys=1, removed=1))
    assert env.health.is_clear
    assert len(env.health.refused) == 1


def test_a_strict_cache_raises_what_the_server_refuses() -> None:
    env, _ = surroundings(is_strict=True)
    with pytest.raises(BackendUnavailable) as caught:
        script(clear(env), (Scan, lacking()), (CloseFlights, None)).ends()
    assert caught.value.code == "DC183"


def test_of_too_many_deletions_that_are_set_aside_the_oldest_is_dropped() -> None:
    env, _ = surroundings()
    refused = ScanRefused("refused", code="DC183")
    for number in range(MOST_PENDING + 1):
        set_aside(PendingDeletion((), (f"{number}*",)), refused, env)
    assert len(env.health.refused) == MOST_PENDING
    assert next(iter(env.health.refused.values())) == PendingDeletion((), ("1*",))


def test_a_scan_that_is_refused_for_now_is_pending() -> None:
    env, _ = surroundings()
    error = BackendRefused("too many requests", code="DC202")
    script(clear(env), (Scan, error), (CloseFlights, None)).returns(
        Invalidated(patterns=1, pending=1)
    )
    assert len(env.health.pending) == 1


def test_of_a_page_without_a_matching_key_nothing_is_read() -> None:
    env, _ = surroundings()
    script(
        clear_function(OWNER, "user:*:posts*", env),
        (Scan, ScanPage(0, (b"user:1", b"user:2"))),
        (CloseFlights, None),
    ).returns(Invalidated(patterns=1))
