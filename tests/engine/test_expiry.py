"""`expire` as conversations: what stays to be served as stale, and what is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.memory import MemoryStore
from dualcache.core.entry import Kind, Tag
from dualcache.core.envelope import kind_of, open_envelope, owner_of, seal, seal_tombstone
from dualcache.core.events import Invalidated
from dualcache.core.flight import CloseFlights
from dualcache.core.ops import (
    WRONG_TYPE,
    Batch,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    GiveWay,
    Look,
    RawRead,
)
from dualcache.core.revocation import Revocation
from dualcache.engine.expiry import expire
from dualcache.engine.freshness import is_fresh
from tests.engine.conversation import (
    KEY,
    NOW_MS,
    filling,
    pack,
    refused,
    script,
    slow,
    stored,
    surroundings,
    token,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.ops import Flow, Op

BASE = f"~b:{KEY}"
LEASE = f"~r:{KEY}"
NAMES = (KEY, BASE)
LOOK = Look(KEY, (), with_ttl=True)
CLOSED = (CloseFlights(NAMES), None)
STORED, REFUSED = CommitReply.STORED, CommitReply.REFUSED
IFEQ = CommitWay.IFEQ
DELETED = ((Delete(NAMES), 1), CLOSED)
DONE = Invalidated(keys=1, removed=1)


def expired(value: str, fresh_ms: int, number: int = 1, **options: Any) -> bytes:
    """Return the entry that `stored` makes, expired under the `number`-th token."""
    usual: dict[str, Any] = {"created_ms": NOW_MS - 300, "load_ms": 7}
    return seal(
        KEY,
        pack(value),
        version=token(number),
        fresh_ms=fresh_ms,
        is_expired=True,
        **{**usual, **options},
    )


def entry(fresh_ms: int | None = None, **options: Any) -> bytes:
    return stored("v", fresh_ms=fresh_ms, created_ms=NOW_MS - 300, load_ms=7, **options)


@pytest.mark.parametrize(
    ("fresh_ms", "left_ms", "stale_since_ms", "stays_ms"),
    [
        (None, 60_000, 300, 60_000),  # no stale window of its own: a reader may have one
        (None, None, 300, None),
        (1_000, 10_700, 300, 10_000),  # its stale window begins now
        (100, 10_000, 100, 10_000),  # it was stale before, and has been since then
    ],
)
def test_an_entry_stays_as_a_stale_one(
    fresh_ms: int | None, left_ms: int | None, stale_since_ms: int, stays_ms: int | None
) -> None:
    env, events = surroundings()
    before, after = entry(fresh_ms), expired("v", stale_since_ms)
    done = Invalidated("label", keys=1, expired=1)
    script(
        expire((KEY,), env, "label"),
        (LOOK, RawRead(before, (), left_ms)),
        (Commit(KEY, before, after, stays_ms, IFEQ), STORED),
        (Delete((LEASE, BASE)), 0),
        CLOSED,
    ).returns(done)
    assert events == [done]


def test_an_expired_entry_is_whole_and_fresh_to_nobody_whatever_the_clocks_say() -> None:
    tags = (Tag("~t:a", b"id of it"),)
    whole = open_envelope(KEY, expired("v", 300, tags=tags, owner=b"function"))
    assert (whole.kind, whole.tags, bytes(whole.payload)) == (Kind.EXPIRED, tags, b"v")
    for now_ms in (0, NOW_MS - 10_000, NOW_MS - 100, NOW_MS, NOW_MS + 10_000):
        assert not is_fresh(whole, now_ms)
        assert not is_fresh(whole, now_ms, 10**9, 1_000)


def test_its_tags_and_its_owner_stay() -> None:
    store, (env, _) = MemoryStore(lambda: 0.0), surroundings()
    tags = (Tag("~t:a", b"id of it"),)
    store._put(KEY, entry(tags=tags, owner=b"function"), None)
    run(store.perform, expire((KEY,), env))
    raw = store._read(KEY) or b""
    assert (owner_of(raw), open_envelope(KEY, raw).tags) == (b"function", tags)


def run(perform: Callable[[Op[Any]], Any], flow: Flow[Any]) -> Any:
    """Run a flow to its end; what is local is nothing to do."""
    try:
        op = next(flow)
        while True:
            op = flow.send(None if type(op) in {CloseFlights, GiveWay} else perform(op))
    except StopIteration as end:
        return end.value


@pytest.mark.parametrize(
    "found",
    [
        RawRead(None),
        RawRead(WRONG_TYPE),
        RawRead(b"foreign"),
        RawRead(filling(9), (), 5_000),
        RawRead(seal_tombstone(KEY, token=token(9), created_ms=0), (), 5_000),
        RawRead(entry(), (), None, refusal="NOPERM"),
        RawRead(entry(1_000), (), 700),  # no time is left for a stale window
    ],
    ids=["nothing", "a list", "foreign", "a load", "a hold", "no right to PTTL", "no window"],
)
def test_what_cannot_be_served_as_stale_is_deleted(found: RawRead) -> None:
    env, _ = surroundings()
    script(expire((KEY,), env), (LOOK, found), *DELETED).returns(DONE)


def test_an_entry_that_changes_is_looked_at_again_and_deleted_if_it_does_not_rest() -> None:
    env, _ = surroundings()
    read, again = RawRead(entry(), (), 60_000), (Commit, REFUSED)
    script(
        expire((KEY,), env), (LOOK, read), again, (LOOK, read), again, (LOOK, read), again, *DELETED
    ).returns(DONE)


def test_where_nothing_can_be_compared_all_is_deleted() -> None:
    env, _ = surroundings(ways=())
    script(expire((KEY,), env), *DELETED).returns(DONE)


def test_where_the_backend_fails_the_deletion_is_pending() -> None:
    env, _ = surroundings()
    talk = script(expire((KEY,), env), (LOOK, refused()), CLOSED)
    talk.returns(Invalidated(keys=1, pending=1))
    assert [deletion.keys for deletion in env.health.pending.values()] == [NAMES]


def test_where_the_commit_fails_the_entry_is_deleted() -> None:
    env, _ = surroundings()
    read = RawRead(entry(), (), 60_000)
    script(expire((KEY,), env), (LOOK, read), (Commit, slow()), *DELETED).returns(DONE)


def test_an_interrupted_caller_leaves_the_deletion_pending() -> None:
    env, _ = surroundings()
    script(expire((KEY,), env), (LOOK, KeyboardInterrupt())).raises(KeyboardInterrupt)
    assert [deletion.keys for deletion in env.health.pending.values()] == [NAMES]


def test_others_are_told_with_the_change_itself() -> None:
    env, _ = surroundings(channel="~c")
    notice = Revocation("~c", (KEY,))
    script(
        expire((KEY,), env),
        (LOOK, RawRead(entry(), (), 60_000)),
        (Commit(KEY, entry(), expired("v", 300), 60_000, IFEQ, notice), STORED),
        (Delete((LEASE, BASE), Revocation("~c", (LEASE, BASE))), 0),
        CLOSED,
    ).returns(Invalidated(keys=1, expired=1))


def test_many_keys_take_few_trips() -> None:
    env, _ = surroundings()
    keys = [f"k{number}" for number in range(1_500)]
    trips: list[int] = []
    store = MemoryStore(lambda: 0.0)
    for key in keys[::2]:
        store._put(key, stored("v", key=key), None)

    def perform(op: Any) -> Any:
        if type(op) is Batch and type(op.ops[0]) is not Delete:
            trips.append(len(op.ops))
        return store.perform(op)

    done = run(perform, expire(keys, env))
    assert (done.keys, done.expired) == (1_500, 750)
    assert trips == [1_000, 500, 500, 250]
    assert kind_of(store._read("k0") or b"") is Kind.EXPIRED
