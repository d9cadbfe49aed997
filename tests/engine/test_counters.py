"""`add` and `incr` as conversations, and every order in which two of them can meet."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.memory import MemoryStore
from dualcache.core.entry import Packed, Tag, ValueCodec
from dualcache.core.envelope import open_envelope
from dualcache.core.events import NotStored
from dualcache.core.flight import CloseFlights
from dualcache.core.ops import (
    WRONG_TYPE,
    AwaitChange,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    Look,
    LookAndLease,
    RawRead,
    ReadTags,
)
from dualcache.core.scans import ReadHeads, Scan, ScanPage
from dualcache.engine.add import add
from dualcache.engine.cut_keys import LARGE_BYTES
from dualcache.engine.health import PendingDeletion
from dualcache.engine.incr import MOST_TRIES, incr
from dualcache.engine.invalidation import invalidate
from dualcache.engine.listing import list_names
from dualcache.errors import BackendRefused, BackendUnavailable, UsageError
from tests.engine.conversation import (
    KEY,
    LEASE_MS,
    NOW_MS,
    call,
    cut,
    filling,
    script,
    slow,
    stored,
    surroundings,
    token,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env

STORED, REFUSED = CommitReply.STORED, CommitReply.REFUSED
IFEQ = CommitWay.IFEQ
CLOSED = (CloseFlights((KEY,)), None)
LEASED = (LookAndLease(KEY, filling(1), LEASE_MS), RawRead(filling(1)))
THEIRS = RawRead(filling(50))
LOOK = Look(KEY, (), with_ttl=True)


def pack(value: int) -> Packed:
    return Packed(6, 0, str(value).encode())


def unpack(_: str, entry: Any) -> int:
    return int(bytes(entry.payload))


NUMBERS = ValueCodec(pack, unpack, lambda packed: int(packed.payload))


def number(**options: Any) -> Any:
    return call(value_codec=NUMBERS, **options)


def test_a_value_is_added_over_a_claim() -> None:
    env, _ = surroundings()
    script(
        add(call(), "v", env),
        LEASED,
        (Commit(KEY, filling(1), stored("v", 2), 60_000, IFEQ), STORED),
        CLOSED,
    ).returns(True)


def test_a_value_is_not_added_where_a_fresh_one_is() -> None:
    env, _ = surroundings()
    script(add(call(), "v", env), (LookAndLease, RawRead(stored("there")))).returns(False)


@pytest.mark.parametrize(
    "there",
    [
        filling(50),
        stored("old", fresh_ms=100, created_ms=NOW_MS - 500),
        stored("broken"),
    ],
)
def test_a_stale_or_unusable_entry_is_replaced_by_a_claim(there: bytes) -> None:
    env, _ = surroundings()
    script(
        add(call(), "v", env),
        (LookAndLease, RawRead(there)),
        (Commit(KEY, there, filling(2), LEASE_MS, IFEQ), STORED),
        (Commit(KEY, filling(2), stored("v", 3), 60_000, IFEQ), STORED),
        CLOSED,
    ).returns(True)


def test_a_key_of_another_type_is_deleted_before_it_is_claimed() -> None:
    env, _ = surroundings()
    script(
        add(call(), "v", env),
        (LookAndLease, RawRead(WRONG_TYPE)),
        (Delete((KEY,)), 1),
        (LookAndLease, lambda op: RawRead(op.filling)),
        (Commit, STORED),
        CLOSED,
    ).returns(True)


def test_a_claim_that_was_overtaken_adds_nothing() -> None:
    env, _ = surroundings()
    script(add(call(), "v", env), LEASED, (Commit, REFUSED), CLOSED).returns(False)


def test_an_addition_whose_commit_may_not_have_arrived_is_taken_back() -> None:
    env, _ = surroundings()
    script(add(call(), "v", env), LEASED, (Commit, slow()), (Delete((KEY,)), 1), CLOSED).returns(
        False
    )


def unsaved() -> BackendRefused:
    error = BackendRefused("it cannot write to its disk", code="DC203")
    error.prefix = "MISCONF"
    return error


def test_a_strict_cache_raises_where_an_addition_could_not_be_taken_back() -> None:
    env, _ = surroundings(is_strict=True)
    script(
        add(call(), "v", env), LEASED, (Commit, slow()), (Delete((KEY,)), unsaved()), CLOSED
    ).raises(BackendUnavailable)
    assert list(env.health.pending.values()) == [PendingDeletion((KEY,))]


def test_a_value_over_a_limit_of_the_server_is_not_added_and_leaves_no_claim() -> None:
    env, events = surroundings()
    script(
        add(call(), "x" * (LARGE_BYTES + 1), env),
        LEASED,
        (Commit, cut()),
        (Delete((KEY,)), 1),
        CLOSED,
    ).returns(False)
    assert any(isinstance(event, NotStored) for event in events)


def test_a_value_as_large_as_one_that_cut_the_connection_is_not_added() -> None:
    env, _ = surroundings()
    blob = stored("x" * (LARGE_BYTES + 1), 2)
    env.health.cut_keys.note_write(KEY, len(blob), 0)
    script(add(call(), "x" * (LARGE_BYTES + 1), env), LEASED, (Delete((KEY,)), 1), CLOSED).returns(
        False
    )


def test_a_value_that_is_not_to_be_stored_is_not_added() -> None:
    env, _ = surroundings()
    script(add(call(ttl_ms=0), "v", env)).returns(False)


def test_nothing_is_added_where_the_claim_does_not_arrive_or_is_turned_down() -> None:
    env, _ = surroundings()
    script(add(call(), "v", env), (LookAndLease, slow())).returns(False)
    refusing, _ = surroundings()
    script(add(call(), "v", refusing), (LookAndLease, RawRead(None, refusal="OOM"))).returns(False)


def test_a_key_that_keeps_changing_is_not_claimed() -> None:
    env, _ = surroundings()
    gone = [(LookAndLease, RawRead(None))] * 8
    script(add(call(), "v", env), *gone).returns(False)


def test_an_interrupted_addition_gives_back_its_claim() -> None:
    env, _ = surroundings()
    script(
        add(call(), "v", env),
        LEASED,
        (Commit, KeyboardInterrupt()),
        (Commit(KEY, filling(1), filling(1), 1, IFEQ), STORED),
    ).raises(KeyboardInterrupt)


def test_a_counter_is_changed_over_what_it_was_and_keeps_its_end_and_tags() -> None:
    env, _ = surroundings(elapsed_ms=count(0, 40).__next__)
    tags = [Tag("~t:a", token(90))]
    before = stored("5", tags=tags, fresh_ms=10**9, created_ms=NOW_MS - 7, load_ms=3)
    after = stored("7", 1, tags=tags, fresh_ms=10**9, created_ms=NOW_MS - 7, load_ms=3)
    script(
        incr(number(), 2, env),
        (LOOK, RawRead(before, (), 9_000)),
        (ReadTags(("~t:a",)), (token(90),)),
        (Commit(KEY, before, after, 8_960, IFEQ), STORED),
        CLOSED,
    ).returns(7)


def test_a_new_counter_is_committed_over_a_claim() -> None:
    env, _ = surroundings()
    script(
        incr(number(), 2, env),
        (LOOK, RawRead(None)),
        LEASED,
        (Commit(KEY, filling(1), stored("2", 2), 60_000, IFEQ), STORED),
        CLOSED,
    ).returns(2)


def test_a_counter_that_changes_meanwhile_is_read_again() -> None:
    env, _ = surroundings()
    script(
        incr(number(), 1, env),
        (LOOK, RawRead(stored("5"))),
        (Commit, REFUSED),
        (LOOK, RawRead(stored("6"))),
        (Commit(KEY, stored("6"), stored("7", 2), None, IFEQ), STORED),
        CLOSED,
    ).returns(7)


def test_a_counter_that_appeared_while_the_key_was_claimed_is_read_again() -> None:
    env, _ = surroundings()
    script(
        incr(number(), 1, env),
        (LOOK, RawRead(None)),
        (LookAndLease, RawRead(stored("5"))),
        (LOOK, RawRead(stored("5"))),
        (Commit, STORED),
        CLOSED,
    ).returns(6)


def test_another_marker_is_replaced_only_if_it_is_still_there_after_a_pause() -> None:
    env, _ = surroundings()
    script(
        incr(number(), 1, env),
        (LOOK, RawRead(None)),
        (LookAndLease, THEIRS),
        (AwaitChange, None),
        (LOOK, THEIRS),
        (LookAndLease, THEIRS),
        (Commit(KEY, filling(50), filling(3), LEASE_MS, IFEQ), STORED),
        (Commit(KEY, filling(3), stored("1", 4), 60_000, IFEQ), STORED),
        CLOSED,
    ).returns(1)


def test_a_caller_whose_commits_keep_being_refused_pauses() -> None:
    env, _ = surroundings()
    tried = [(LOOK, RawRead(stored("5"))), (Commit, REFUSED)]
    script(incr(number(), 1, env), *tried * 3, *[(AwaitChange, None), *tried] * 197).returns(None)
    assert MOST_TRIES == 200


def test_a_commit_whose_reply_is_lost_is_not_repeated() -> None:
    env, _ = surroundings()
    script(incr(number(), 1, env), (LOOK, RawRead(stored("5"))), (Commit, slow())).returns(None)


def test_nothing_is_counted_where_the_server_takes_no_writes_or_cannot_compare() -> None:
    env, _ = surroundings()
    script(
        incr(number(), 1, env), (LOOK, RawRead(None)), (LookAndLease, RawRead(None, refusal="OOM"))
    ).returns(None)
    env, _ = surroundings(ways=())
    script(incr(number(), 1, env), (LOOK, RawRead(stored("5")))).returns(None)


def test_a_counter_whose_end_may_not_be_read_is_left_as_it_is() -> None:
    env, _ = surroundings()
    script(incr(number(), 1, env), (LOOK, RawRead(stored("5"), refusal="NOPERM"))).returns(None)


def test_a_count_that_is_not_stored_gives_back_its_claim() -> None:
    env, _ = surroundings()
    script(
        incr(number(ttl_ms=0), 3, env),
        (LOOK, RawRead(None)),
        LEASED,
        (Commit(KEY, filling(1), filling(1), 1, IFEQ), STORED),
    ).returns(3)


def test_a_value_that_is_no_number_is_not_counted_on() -> None:
    env, _ = surroundings()
    with pytest.raises(UsageError):
        script(incr(call(), 1, env), (LOOK, RawRead(stored("text")))).ends()


# Every order of two callers

STEPS = 14
"""After so many steps one caller runs to its end, and then the other."""


def both_orders(flows: Callable[[Env, Env], tuple[Flow[Any], Flow[Any]]]) -> Iterator[Any]:
    """Run two flows on one store in every order of their first ops; yield store and results."""
    paths: list[tuple[int, ...]] = [()]
    while paths:
        path = paths.pop()
        store = MemoryStore(lambda: 0.0)
        made = flows(surroundings(1)[0], surroundings(50)[0])
        ops: list[Any] = [next(flow) for flow in made]
        results: list[Any] = [None, None]
        running = {0, 1}
        steps = iter(path)
        taken: list[int] = []
        while running:
            turn = next(steps, None)
            if turn is None:
                turn = min(running)
                if len(taken) < STEPS:
                    paths += [(*taken, other) for other in running if other != turn]
            taken.append(turn)
            local = type(ops[turn]) in {CloseFlights, AwaitChange}
            try:
                ops[turn] = made[turn].send(None if local else store.perform(ops[turn]))
            except StopIteration as end:
                results[turn] = end.value
                running.discard(turn)
        yield store, results


def value_in(store: MemoryStore) -> int | None:
    raw = store.perform(Look(KEY)).raw
    if raw is None or (len(raw) <= 40 and open_envelope(KEY, raw).payload == b""):
        return None
    return unpack(KEY, open_envelope(KEY, raw))


def test_two_counts_are_both_counted_in_every_order() -> None:
    orders = 0
    for store, results in both_orders(
        lambda here, there: (incr(number(), 1, here), incr(number(), 10, there))
    ):
        orders += 1
        assert value_in(store) == 11
        assert sorted(results) in ([1, 11], [10, 11])
    assert orders > 100


def test_of_two_adders_one_succeeds_in_every_order() -> None:
    for store, results in both_orders(
        lambda here, there: (add(number(), 1, here), add(number(), 2, there))
    ):
        assert sorted(results) == [False, True]
        assert value_in(store) == 1 + results.index(True)


@pytest.mark.parametrize("write", [add, incr])
def test_a_count_that_is_there_after_an_invalidation_was_stored_after_it(write: Any) -> None:
    for store, (result, done) in both_orders(
        lambda here, there: (write(number(), 1, here), invalidate((KEY,), (), (), there))
    ):
        there = value_in(store)
        assert there in {None, 1}
        if there is None and done.removed == 0:
            assert result is not True


# Names


def test_listed_names_are_those_of_values_without_the_namespace() -> None:
    env, _ = surroundings(prefix="shop:")
    keys = (b"shop:a", b"shop:loading", b"shop:~t:a", b"shop:foreign", b"shop:a", b"shop:\xff")
    heads = (stored("v" * 20)[:40], filling(1), b"foreign", stored("w")[:33])
    script(
        list_names(7, "*", env),
        (Scan(7, "shop:*", 1000), ScanPage(9, keys)),
        (ReadHeads((b"shop:a", b"shop:loading", b"shop:foreign", b"shop:\xff")), heads),
    ).returns((9, ["a", "\udcff"]))


def test_the_heads_of_an_empty_page_are_not_read() -> None:
    env, _ = surroundings()
    script(list_names(0, "a*", env), (Scan(0, "a*", 1000), ScanPage(0, ()))).returns((0, []))


def test_a_counter_of_which_the_end_is_unknown_is_not_stored_for_ever() -> None:
    env, _ = surroundings()
    seen = RawRead(stored("1"), refusal="NOPERM")
    script(incr(number(), 1, env), (LOOK, seen)).returns(None)
