"""Getting the right to store: the lease of a key, or a wait for its holder.

Nothing here fails for the backend: a caller that cannot get the right loads without storing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.core.entry import HEADER_BYTES, OWNED_HEADER_BYTES
from dualcache.core.events import WaitExpired
from dualcache.core.front_ports import UNTRACKED
from dualcache.core.ops import (
    FOR_EVER,
    WRONG_TYPE,
    AwaitChange,
    CommitReply,
    Delete,
    LookAndLease,
)
from dualcache.engine.commit import Change, commit_all
from dualcache.engine.commit_ways import can_commit
from dualcache.engine.flights import wait_bound_ms
from dualcache.engine.freshness import (
    ABSENT,
    FILLING,
    OTHER,
    REPLACED,
    SERVED,
    STALE,
    TOMBSTONE,
    UNUSABLE,
    ReadResult,
)
from dualcache.engine.leases import keep_lost, lease_ms, marker, take_together
from dualcache.engine.read import classify_with_tags, look
from dualcache.engine.recovery import ask
from dualcache.engine.refresh_lease import Paused, take_refresh
from dualcache.engine.serve import ids_of
from dualcache.engine.starting import NOTHING, UNREACHED, Start
from dualcache.engine.tags import NO_IDS
from dualcache.engine.telling import key_told
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from dualcache.core.flight import Flight
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.leases import Leased

__all__ = [
    "MOST_ROUNDS",
    "acquire",
    "after_claim",
    "is_replaceable",
    "reclaim_all",
    "start_of",
]


MOST_ROUNDS: Final = 8
"""How often a key may change under a leader's hands before it loads without storing."""


def acquire(
    call: Call,
    flight: Flight,
    env: Env,
    sent: dict[bytes, str],
    known: Mapping[str, bytes | None] = NO_IDS,
) -> Flow[Start | Paused | ReadResult]:
    """Get the lease of a key, waiting for its holder; never raise for the backend.

    `known` are the ids of tags that a look found just now. Returns where the load starts from; a
    stale entry to be served without a load, as others have just failed; or what was read: a fresh
    entry to be served; one of another shape; else the caller may not store, and the entry is stale
    where it may stand in for a load that fails. `sent` gets each token that
    may have arrived, with its key, before it is sent: the caller gives all of them back if it is
    interrupted.
    """
    began_ms: int | None = None
    stale = NOTHING
    try:
        if not can_commit(env):
            return (yield from _look_alone(call, env))
        for _ in range(MOST_ROUNDS):
            # Marked before the key is read: a change that comes between the read and the wait then
            # ends that wait at once. Marked afterwards, it would be waited for to the full bound.
            mark = env.front.mark(call.key)
            (leased,) = yield from take_together(LookAndLease, (call,), env, sent, known)
            # What the key holds after the marker was sent decides, never the reply to the sending:
            # that is lost with a connection, and says nothing of what came between the two.
            if leased.raw_read.raw == leased.filling and len(leased.filling) <= OWNED_HEADER_BYTES:
                # Our own marker, to the letter, too short to tell a tag that may have died.
                return Start(after_claim(call, leased), leased.filling)
            if leased.raw_read.push_epoch == UNTRACKED:
                mark = None  # no push will tell of a change of what this connection read
            read = yield from classify_with_tags(call, leased.raw_read, leased.sequence, env)
            known = read.ids
            if read.state is OTHER:
                return read
            start: Start | Paused | ReadResult | None = start_of(leased, read)
            if start is None and is_replaceable(flight, leased, read, sent):
                (start,) = yield from reclaim_all(((call, read),), sent, env)
            elif start is None and read.state is not ABSENT:
                stale = read if read.state is STALE else stale
                began_ms = env.elapsed_ms() if began_ms is None else began_ms
                start = yield from _refresh_or_wait(call, flight, read, began_ms, mark, sent, env)
            if start is not None:
                return start
    except BackendError:
        keep_lost(sent, env)
        return UNREACHED if stale is NOTHING else stale
    return stale


def _look_alone(call: Call, env: Env) -> Flow[ReadResult]:
    """Read the key where nothing can be stored: no lease is taken."""
    read = yield from look(call, env)
    return read if read.state in {*SERVED, STALE, OTHER} else NOTHING


def start_of(leased: Leased, read: ReadResult) -> Start | ReadResult | None:
    """Return where the load of a key starts from; `None` where it is another's, or has changed."""
    if read.raw == leased.filling and read.state is FILLING:
        return Start(read, leased.filling)
    if read.state in SERVED:
        return read
    is_held = read.state is TOMBSTONE and leased.raw_read.left_ms != FOR_EVER
    if is_held or (read.state is ABSENT and leased.raw_read.refusal):
        return NOTHING
    return None


def is_replaceable(
    flight: Flight, leased: Leased, read: ReadResult, sent: Container[bytes]
) -> bool:
    """Tell whether a key holds what nobody need wait for; it is replaced under a compare."""
    # An entry that can never be served, or the marker of a load that has lost already, as one of
    # its tags has died: a waiter would find nothing stored.
    if read.state is UNUSABLE:
        return True
    # A marker or a hold without an end is none of ours, and its writer will not give it back.
    if read.state in (FILLING, TOMBSTONE) and leased.raw_read.left_ms == FOR_EVER:
        return True
    if read.state is not FILLING or read.raw is None:
        return False
    # A load of this process whose tags were invalidated: its flight says so, its marker cannot. And
    # a marker of this very caller, whose reply was lost: it would wait for itself. That one is not
    # taken for the lease, since an invalidation may have come between the two trips.
    seen_version = flight.revoked.seen_version if flight.revoked is not None else None
    is_revoked = seen_version is not None and seen_version[0] == read.raw[:HEADER_BYTES]
    return is_revoked or read.raw in sent


def reclaim_all(
    wanted: Sequence[tuple[Call, ReadResult]], sent: dict[bytes, str], env: Env
) -> Flow[list[Start | None]]:
    """Put our markers over keys that need not be waited for, together.

    `None` if the key has changed since, or was of another type and is deleted.
    """
    # Each under a compare with what was read: of several callers who find the same, one gets the
    # lease. A deletion and a new lease instead would take away the lease that another got between.
    foreign = tuple([call.key for call, read in wanted if read.raw == WRONG_TYPE])
    if foreign:
        yield from ask(Delete(foreign), env)
    changes = [
        Change(call.key, read.raw, marker(call, read.ids, env), lease_ms(call.policy.counters))
        for call, read in wanted
        if read.raw
    ]
    sent.update({change.blob: change.key for change in changes})
    replies = yield from commit_all(changes, env)
    ours = {
        change.key: change.blob
        for change, reply in zip(changes, replies, strict=True)
        if reply is CommitReply.STORED
    }
    return [Start(read, ours[call.key]) if call.key in ours else None for call, read in wanted]


def _refresh_or_wait(
    call: Call,
    flight: Flight,
    read: ReadResult,
    began_ms: int,
    mark: int | None,
    sent: dict[bytes, str],
    env: Env,
) -> Flow[Start | Paused | ReadResult | None]:
    """Take the lease of a stale entry, or wait for the caller that holds it or the key."""
    start: Start | Paused | None = None
    if read.state in REPLACED:
        start = yield from take_refresh(call, read, sent, env)
    return start or (yield from _await_other(call, flight, read, began_ms, mark, sent, env))


def _await_other(
    call: Call,
    flight: Flight,
    read: ReadResult,
    began_ms: int,
    mark: int | None,
    sent: dict[bytes, str],
    env: Env,
) -> Flow[Start | Paused | ReadResult | None]:
    """Wait for another process's load; `None` where the key has changed and is to be leased anew.

    When the bound is over this caller loads itself, without storing.
    """
    # The holder renews its lease while its load lives: that of a dead one ends before the bound
    # does, and is taken then. So the bound only guards against a load that hangs but still renews.
    raw = read.raw
    # A load time measured here goes before that of a marker, which anybody may have written.
    is_measured = call.policy.counters.load_ms is not None
    announced_ms = read.stored.load_ms if read.stored and not is_measured else 0
    flight.announced_ms = max(flight.announced_ms, announced_ms)  # followers wait as long
    ends_ms = began_ms + wait_bound_ms(call.policy.counters, announced_ms)
    while (left_ms := ends_ms - (now_ms := env.elapsed_ms())) > 0:
        yield AwaitChange(call.key, left_ms, mark, now_ms - began_ms)
        mark = env.front.mark(call.key)  # before the look, as above
        read = yield from look(call, env)
        if read.state in SERVED:
            return read
        if read.raw != raw or read.state is UNUSABLE:
            return None
        if read.state in REPLACED:
            start = yield from take_refresh(call, read, sent, env)
            if start is not None:
                return start
    env.emit(WaitExpired(call.policy.label, key_told(call, env)))
    return read if read.state is STALE else NOTHING


def after_claim(call: Call, leased: Leased) -> ReadResult:
    """Return the reading of a key after a claim: it holds our marker."""
    return ReadResult(
        FILLING, leased.sequence, leased.filling, None, None, ids_of(call, leased.raw_read)
    )
