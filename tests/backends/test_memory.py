from __future__ import annotations

import itertools
from contextlib import suppress

import pytest

from dualcache.backends.memory import MemoryStore
from dualcache.core.ops import (
    FOR_EVER,
    Batch,
    Claim,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    DropConnections,
    Look,
    LookAndLease,
    MakeTags,
    NewTag,
    Ping,
    ProlongTag,
    RawRead,
    ReadTags,
    TryLease,
)
from dualcache.core.scans import ReadHeads, Scan, Unlink
from tests.behaviour.interrupting import interrupted

TAG = NewTag("t", b"id", 500)
ETERNAL_TAG = NewTag("e", b"id", None)


class Clock:
    def __init__(self) -> None:
        self.now_ms = 0.0

    def __call__(self) -> float:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock)


def commit(expected: bytes, blob: bytes, ttl_ms: int | None = None, key: str = "k") -> Commit:
    return Commit(key, expected, blob, ttl_ms, CommitWay.IFEQ)


def put(store: MemoryStore, key: str, content: bytes, life_ms: int = 1_000) -> None:
    store.perform(Claim(key, content, life_ms))


def test_a_lease_is_taken_where_the_key_is_absent_and_only_there(store: MemoryStore) -> None:
    assert store.perform(LookAndLease("k", b"mine", 9)) == RawRead(b"mine", (), 9)
    assert store.perform(LookAndLease("k", b"other", 5)) == RawRead(b"mine", (), 9)
    assert store.perform(commit(b"mine", b"for ever")) is CommitReply.STORED
    assert store.perform(LookAndLease("k", b"other", 5)) == RawRead(b"for ever", (), FOR_EVER)


def test_a_claim_takes_whatever_the_key_holds(store: MemoryStore) -> None:
    put(store, "k", b"old")
    assert store.perform(Claim("k", b"mine", 9)) == RawRead(b"mine")
    assert store.perform(Look("k")) == RawRead(b"mine")


def test_a_commit_is_stored_over_what_it_expects_and_over_nothing_else(store: MemoryStore) -> None:
    assert store.perform(commit(b"old", b"new")) is CommitReply.REFUSED
    put(store, "k", b"old")
    assert store.perform(commit(b"another", b"new")) is CommitReply.REFUSED
    assert store.perform(commit(b"old", b"new")) is CommitReply.STORED
    assert store.perform(Look("k", (), with_ttl=True)) == RawRead(b"new", (), None)


def test_a_marker_that_is_given_back_is_gone_at_once(store: MemoryStore) -> None:
    put(store, "k", b"mine")
    assert store.perform(commit(b"mine", b"mine", 1)) is CommitReply.STORED
    assert store.perform(Look("k")) == RawRead(None)


def test_what_is_stored_lives_as_long_as_it_was_stored_for(
    store: MemoryStore, clock: Clock
) -> None:
    put(store, "k", b"v", 100)
    clock.now_ms = 99.0
    assert store.perform(Look("k", (), with_ttl=True)) == RawRead(b"v", (), 1)
    clock.now_ms = 100.0
    assert store.perform(Look("k", (), with_ttl=True)) == RawRead(None)
    assert store.perform(LookAndLease("k", b"next", 9)) == RawRead(b"next", (), 9)


def test_tags_are_made_where_they_are_absent_and_read_where_they_are_not(
    store: MemoryStore,
) -> None:
    lease = LookAndLease("k", b"f", 9, (TAG, ETERNAL_TAG))
    assert store.perform(lease) == RawRead(b"f", (b"id", b"id"), 9, (500, -1))
    again = MakeTags((NewTag("t", b"other", 500), NewTag("u", b"new", 500)))
    assert store.perform(again) == (b"id", b"new")
    assert store.perform(ReadTags(("t", "absent"))) == (b"id", None)
    assert store.perform(Look("k", ("t", "absent"))) == RawRead(b"f", (b"id", None))


@pytest.mark.parametrize(("life_ms", "left_ms"), [(700, 700), (None, None)])
def test_a_tag_is_prolonged(store: MemoryStore, life_ms: int | None, left_ms: int | None) -> None:
    store.perform(MakeTags((TAG,)))
    store.perform(ProlongTag("t", life_ms))
    assert store.perform(Look("t", (), with_ttl=True)) == RawRead(b"id", (), left_ms)


def test_a_tag_that_is_gone_is_not_brought_back(store: MemoryStore) -> None:
    store.perform(ProlongTag("t", 700))
    assert store.perform(ReadTags(("t",))) == (None,)


def test_an_efficiency_lease_is_held_by_one(store: MemoryStore, clock: Clock) -> None:
    assert store.perform(TryLease("r", b"one", 100)) is True
    assert store.perform(TryLease("r", b"two", 100)) is False
    clock.now_ms = 100.0
    assert store.perform(TryLease("r", b"two", 100)) is True


def test_a_deletion_counts_what_was_there(store: MemoryStore, clock: Clock) -> None:
    put(store, "a", b"v")
    put(store, "b", b"v")
    put(store, "gone", b"v", 1)
    clock.now_ms = 5.0
    assert store.perform(Delete(("a", "absent", "gone"))) == 1
    assert store.perform(Unlink((b"b", b"absent"))) == 1


def test_a_scan_finds_the_keys_that_match_and_are_alive(store: MemoryStore, clock: Clock) -> None:
    put(store, "user:1", b"v")
    put(store, "user:2", b"v", 1)
    put(store, "item:1", b"v")
    clock.now_ms = 5.0
    page = store.perform(Scan(0, "user:*", 10))
    assert (page.cursor, page.keys) == (0, (b"user:1",))


def test_the_head_of_a_key_is_its_first_forty_bytes(store: MemoryStore) -> None:
    put(store, "long", b"v" * 50)
    put(store, "short", b"v")
    assert store.perform(ReadHeads((b"long", b"absent", b"short"))) == (b"v" * 40, b"", b"v")


def test_a_batch_replies_in_order(store: MemoryStore) -> None:
    batch = Batch((LookAndLease("k", b"f", 9), Look("k"), Ping(), DropConnections()))
    assert store.perform(batch) == (RawRead(b"f", (), 9), RawRead(b"f"), None, None)


def test_the_entry_that_was_not_used_for_longest_goes_first(clock: Clock) -> None:
    store = MemoryStore(clock, max_entries=2)
    put(store, "a", b"v")
    put(store, "b", b"v")
    store.perform(Look("a"))
    put(store, "c", b"v")
    assert [store.perform(Look(key)).raw for key in "abc"] == [b"v", None, b"v"]


def test_a_bound_on_bytes_counts_keys_and_contents(clock: Clock) -> None:
    store = MemoryStore(clock, max_bytes=22)
    put(store, "a", b"x" * 10)
    put(store, "b", b"x" * 10)
    assert store.perform(Look("a")).raw is not None
    put(store, "a", b"x" * 11)
    assert [store.perform(Look(key)).raw for key in "ab"] == [b"x" * 11, None]
    store.perform(Delete(("a",)))
    put(store, "c", b"x" * 21)
    assert store.perform(Look("c")).raw == b"x" * 21


def test_an_entry_larger_than_the_bound_is_not_kept(clock: Clock) -> None:
    store = MemoryStore(clock, max_bytes=10)
    put(store, "a", b"x" * 10)
    assert store.perform(Look("a")) == RawRead(None)


def test_a_store_that_is_closed_has_forgotten_everything(store: MemoryStore) -> None:
    put(store, "a", b"v")
    put(store, "b", b"w")
    store.after_fork()
    store.drop(lambda key, content: (key, content) == ("b", b"w"))
    assert store.perform(Look("a")) == RawRead(b"v")
    assert store.perform(Look("b")) == RawRead(None)
    store.close()
    assert store.perform(Look("a")) == RawRead(None)


@pytest.mark.parametrize("max_bytes", [None, 12])
def test_an_interrupt_at_any_point_leaves_a_store_that_works(
    clock: Clock, max_bytes: int | None
) -> None:
    store = MemoryStore(clock, 3, max_bytes)
    for at in itertools.count(1):
        with interrupted(at, KeyboardInterrupt) as countdown, suppress(KeyboardInterrupt):
            put(store, f"k{at % 5}", b"content"[: at % 4], at % 3)
            store.perform(Delete((f"k{at % 4}",)))
        clock.now_ms += 1
        for name in range(5):
            put(store, f"k{name}", b"ab")
        kept = [store.perform(Look(f"k{name}")).raw for name in range(5)]
        assert kept == [None, None, b"ab", b"ab", b"ab"]
        if not countdown.raised_at:
            break
