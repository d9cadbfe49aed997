"""Getting the right to store: the lease of a key, or waiting for whoever holds it.

Nothing here fails for the backend: a caller who cannot get the right loads for himself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from dualcache.core.entry import HEADER_BYTES, OWNED_HEADER_BYTES
from dualcache.core.events import WaitExpired
from dualcache.core.front_ports import UNTRACKED
from dualcache.core.ops import (
    FOR_EVER,
    WRONG_TYPE,
    AwaitChange,
    Claim,
    CommitReply,
    Delete,
    Look,
    LookAndLease,
)
from dualcache.engine.commit import Change, commit, commit_all
from dualcache.engine.flights import wait_bound_ms
from dualcache.engine.freshness import (
    ABSENT,
    FILLING,
    FRESH,
    REPLACED,
    STALE,
    TOMBSTONE,
    UNUSABLE,
    ReadResult,
)
from dualcache.engine.leases import lease_ms, marker, take_lease
from dualcache.engine.read import classify_with_tags, look
from dualcache.engine.recovery import ask
from dualcache.engine.serve import ids_of
from dualcache.engine.starting import NOTHING, Start, resealed, take_refresh
from dualcache.engine.tags import NO_IDS
from dualcache.engine.ways import can_commit
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from dualcache.core.flight import Flight
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.leases import Leased


MOST_ROUNDS: Final = 8
"""How often a key may change under a leader's hands before it loads without storing."""


def acquire(
    call: Call,
    flight: Flight,
    env: Env,
    taken: dict[bytes, str],
    known: Mapping[str, bytes | None] = NO_IDS,
) -> Flow[Start | ReadResult]:
    """Get the lease of a key, waiting for whoever holds it; never fail for the backend.

    `known` are the ids of tags that a look found just now. Returns where the load starts from. A
    sight instead is fresh, or says that the caller may not store; it is then stale if something is
    there that may be served where the load fails. `taken` gets each token that may have arrived,
    with its key, before it is sent: the caller gives all of them back if it is interrupted.
    """
    began_ms = env.elapsed_ms()
    stale = NOTHING
    try:
        if not can_commit(env):
            return (yield from look_alone(call, env))
        for _ in range(MOST_ROUNDS):
            mark = env.front.mark(call.key)
            leased = yield from take_lease(LookAndLease, call, env, taken, known)
            if leased.seen.raw == leased.filling and len(leased.filling) <= OWNED_HEADER_BYTES:
                # Our own marker, to the letter, too short to tell a tag that may have died.
                return Start(after_claim(call, leased), leased.filling)
            if leased.seen.push_epoch == UNTRACKED:
                mark = None
            sight = yield from classify_with_tags(call, leased.seen, leased.sequence, env)
            known = sight.ids
            start = claimed(leased, sight)
            if start is None and is_replaceable(flight, leased, sight, taken):
                (start,) = yield from reclaim_all(((call, sight),), taken, env)
            elif start is None and sight.state is not ABSENT:
                stale = sight if sight.state is STALE else stale
                start = yield from refresh_or_wait(call, flight, sight, began_ms, mark, taken, env)
            if start is not None:
                return start
    except BackendError:
        return stale
    return stale


def look_alone(call: Call, env: Env) -> Flow[ReadResult]:
    """Return what there is to be served, where nothing can be stored: no lease is taken."""
    sight = yield from look(call, env)
    return sight if sight.state in {FRESH, STALE} else NOTHING


def claimed(leased: Leased, sight: ReadResult) -> Start | ReadResult | None:
    """Return where the load of a key starts from; `None` where it is another's, or has changed."""
    if sight.raw == leased.filling and sight.state is FILLING:
        return Start(sight, leased.filling)
    if sight.state is FRESH:
        return sight
    is_held = sight.state is TOMBSTONE and leased.seen.left_ms != FOR_EVER
    if is_held or (sight.state is ABSENT and leased.seen.refusal):
        return NOTHING
    return None


def is_replaceable(
    flight: Flight, leased: Leased, sight: ReadResult, sent: Container[bytes]
) -> bool:
    """Tell whether a key holds what nobody need wait for.

    An entry or a marker that can never be served; a marker or a hold without an end, which none of
    ours is; the marker of a load of this process whose tags were invalidated; one of ours whose
    reply was lost: no token is sent twice, so it is replaced.
    """
    if sight.state is UNUSABLE:
        return True
    if sight.state in (FILLING, TOMBSTONE) and leased.seen.left_ms == FOR_EVER:
        return True
    if sight.state is not FILLING or sight.raw is None:
        return False
    seen_version = flight.revoked.seen_version if flight.revoked is not None else None
    is_revoked = seen_version is not None and seen_version[0] == sight.raw[:HEADER_BYTES]
    return is_revoked or sight.raw in sent


def reclaim_all(
    wanted: Sequence[tuple[Call, ReadResult]], sent: dict[bytes, str], env: Env
) -> Flow[list[Start | None]]:
    """Put markers of ours in the place of what need not be waited for, together.

    `None` where the key has changed meanwhile, or was of another type and is deleted.
    """
    foreign = tuple([call.key for call, sight in wanted if sight.raw == WRONG_TYPE])
    if foreign:
        yield from ask(Delete(foreign), env)
    changes = [
        Change(call.key, sight.raw, marker(call, sight.ids, env), lease_ms(call.policy.usage))
        for call, sight in wanted
        if sight.raw
    ]
    sent.update({change.blob: change.key for change in changes})
    replies = yield from commit_all(changes, env)
    ours = {
        change.key: change.blob
        for change, reply in zip(changes, replies, strict=True)
        if reply is CommitReply.STORED
    }
    return [Start(sight, ours[call.key]) if call.key in ours else None for call, sight in wanted]


def refresh_or_wait(
    call: Call,
    flight: Flight,
    sight: ReadResult,
    began_ms: int,
    mark: int | None,
    taken: dict[bytes, str],
    env: Env,
) -> Flow[Start | ReadResult | None]:
    """Load what is to be replaced, or wait for whoever does so or holds the key."""
    start = None
    if sight.state in REPLACED:
        start = yield from take_refresh(call, sight, taken, env)
    return start or (yield from await_other(call, flight, sight, began_ms, mark, taken, env))


def await_other(
    call: Call,
    flight: Flight,
    sight: ReadResult,
    began_ms: int,
    mark: int | None,
    taken: dict[bytes, str],
    env: Env,
) -> Flow[Start | ReadResult | None]:
    """Wait for another process's load; `None` where the key has changed and is to be leased anew.

    When the bound is over this caller loads itself, without storing. The holder renews its lease
    while its load lives: that of a dead one ends before the bound does, and is taken then.
    """
    raw = sight.raw
    # What was measured here goes before what a marker says: anybody could have written that.
    is_measured = call.policy.usage.load_ms is not None
    announced_ms = sight.stored.load_ms if sight.stored and not is_measured else 0
    flight.announced_ms = max(flight.announced_ms, announced_ms)  # followers wait as long
    ends_ms = began_ms + wait_bound_ms(call.policy.usage, announced_ms)
    while (left_ms := ends_ms - env.elapsed_ms()) > 0:
        yield AwaitChange(call.key, left_ms, mark)
        mark = env.front.mark(call.key)
        sight = yield from look(call, env)
        if sight.state is FRESH:
            return sight
        if sight.raw != raw or sight.state is UNUSABLE:
            return None
        if sight.state in REPLACED:
            start = yield from take_refresh(call, sight, taken, env)
            if start is not None:
                return start
    env.emit(WaitExpired(call.policy.label))
    return sight if sight.state is STALE else NOTHING


def start_refresh(call: Call, taken: dict[bytes, str], env: Env) -> Flow[Start]:
    """Get the right to replace what a key holds; every load of it begun before loses its own.

    A usable entry stays for the time it has left, sealed anew under a version that no other load
    started from. Anything else is claimed. `taken` is as for `acquire`.
    """
    sequence = env.sequence()
    began_ms = env.elapsed_ms()
    seen = yield from ask(Look(call.key, call.tags, with_ttl=True), env)
    sight = yield from classify_with_tags(call, seen, sequence, env)
    is_there = sight.state is FRESH or sight.state in REPLACED
    if is_there and sight.stored is not None and not seen.refusal:
        passed_ms = env.elapsed_ms() - began_ms
        left_ms = None if seen.left_ms is None else max(1, seen.left_ms - passed_ms)
        blob = resealed(call, sight.stored, env)
        reply = yield from commit(call.key, sight.raw or b"", blob, left_ms, env)
        if reply is CommitReply.STORED:
            return Start(replace(sight, raw=blob), blob, is_refresh=True)
    leased = yield from take_lease(Claim, call, env, taken, sight.ids)
    return Start(after_claim(call, leased), leased.filling)


def after_claim(call: Call, leased: Leased) -> ReadResult:
    """Return what a key holds after a claim: our marker."""
    return ReadResult(
        FILLING, leased.sequence, leased.filling, None, None, ids_of(call, leased.seen)
    )
