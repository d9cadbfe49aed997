"""Getting the right to store several keys at once, waiting for nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dualcache.core.ops import Look, LookAndLease
from dualcache.engine.acquire import is_replaceable, reclaim_all, start_of
from dualcache.engine.commit_ways import can_commit
from dualcache.engine.freshness import FRESH, OTHER, REPLACED, UNKNOWN, UNTYPED, is_within
from dualcache.engine.leases import keep_lost, take_leases
from dualcache.engine.looks import FirstLook
from dualcache.engine.named_tags import classify_again
from dualcache.engine.pipelines import paced
from dualcache.engine.read import left_of
from dualcache.engine.read_many import look_many
from dualcache.engine.refresh_lease import take_refreshes
from dualcache.engine.serve import classify, ids_of, keep
from dualcache.engine.starting import NOTHING, UNREACHED, Start
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualcache.core.flight import Flight
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult
    from dualcache.engine.leases import Leased
    from dualcache.engine.refresh_lease import Paused

    _Wanted = tuple[Call, Flight]
    _Found = Start | Paused | ReadResult | None

__all__ = ["acquire_all"]


def acquire_all(
    wanted: Sequence[_Wanted],
    env: Env,
    sent: dict[bytes, str],
    known: Mapping[str, bytes | None],
) -> Flow[list[_Found]]:
    """Get the leases of several keys in one trip; never fail for the backend.

    For each: where its load starts, what is there to be served, or what is of another shape.
    `Paused` where others have just failed to load it, `NOTHING` where it may not be stored.
    `UNREACHED` where the backend failed, `None` where it is to be acquired by itself, as another
    holds it.
    `known` are the ids of tags that a look found just now; `sent` is as for `acquire`.
    """
    # Nobody is waited for while leases are held: two callers who each hold what the other waits for
    # would both wait to the bound. What another holds is loaded when the own keys are stored.
    calls = [call for call, _ in wanted]
    if not can_commit(env):
        return (yield from _look_at_all(calls, env))
    # Before the trip, as for a look: its hits may be kept in front.
    tickets = yield from paced(_begin_read, calls)
    leased = yield from take_leases(LookAndLease, calls, env, sent, known)
    found_all = zip(calls, tickets, leased, strict=True)
    reads = yield from paced(lambda found: _classified(*found, env), found_all)
    starts: list[_Found] = [NOTHING] * len(wanted)
    rest: dict[int, tuple[Call, Flight, Leased, ReadResult]] = {}
    for at, (each, read) in enumerate(zip(leased, reads, strict=True)):
        starts[at] = UNREACHED if each is None else start_of(each, read)
        if each is not None and starts[at] is None:
            rest[at] = (*wanted[at], each, read)
    try:
        found: Sequence[_Found] = yield from _settle([*rest.values()], sent, env)
    except BackendError:
        found = [UNREACHED] * len(rest)
        keys = {call.key for call in calls}  # the others are those of stale entries' leases
        keep_lost({token: key for token, key in sent.items() if key not in keys}, env)
    for at, start in zip(rest, found, strict=True):
        starts[at] = start
    _keep_lost(calls, starts, sent, env)
    return starts


def _begin_read(call: Call) -> Any:
    """Return the ticket under which the front tier may keep what a lease finds, if it may."""
    front = call.policy.front
    return None if front is None else front.begin_read((call.key, *call.tags))


def _classified(call: Call, ticket: Any, leased: Leased | None, env: Env) -> ReadResult:
    """Classify what a lease found; the front tier may keep what is fresh."""
    if leased is None:
        return NOTHING
    raw_read, front, left_ms = leased.raw_read, call.policy.front, left_of(leased.raw_read)
    read = classify(call, raw_read.raw, ids_of(call, raw_read), leased.sequence, env, left_ms)
    # Without the right to ask for the time left, how long a copy may live is not known.
    is_kept = read.state is FRESH and not read.is_due and raw_read.left_ms is not None
    if front is not None and is_kept:
        told = replace(raw_read, left_ms=left_ms)
        look = FirstLook(Look(call.key), leased.sequence, 0, (ticket,), told, read)
        keep(call, front, look, raw_read.push_epoch, env)
    return read


def _keep_lost(
    calls: Sequence[Call],
    starts: Sequence[_Found],
    sent: Mapping[bytes, str],
    env: Env,
) -> None:
    """Keep the markers of keys that are not loaded under one, though one may have arrived."""
    # Of one that was put in the place of another, too: where the reply to that was lost, and it was
    # sent again, the second reply says that the key holds something else.
    lost = {
        call.key
        for call, start in zip(calls, starts, strict=True)
        if start is None or start is NOTHING or start is UNREACHED
    }
    if lost:
        keep_lost({token: key for token, key in sent.items() if key in lost}, env)


def _look_at_all(calls: Sequence[Call], env: Env) -> Flow[list[_Found]]:
    """Read all keys where nothing can be stored: no lease is taken."""
    try:
        reads = yield from look_many(calls, env)
    except BackendError:
        return [UNREACHED] * len(calls)
    windows = [call.policy.stale_while_revalidate_ms for call in calls]
    return [
        read if read.state in (FRESH, OTHER) or is_within(read, window_ms) else NOTHING
        for read, window_ms in zip(reads, windows, strict=True)
    ]


def _settle(
    rest: Sequence[tuple[Call, Flight, Leased, ReadResult]], sent: dict[bytes, str], env: Env
) -> Flow[list[_Found]]:
    """Judge entries by the tags that they alone name, and replace what can never be served."""
    calls = [call for call, *_ in rest]
    reads = yield from classify_again(calls, [read for *_, read in rest], env)
    starts: list[_Found] = []
    revoked: list[int] = []
    for at, (read, (_, flight, leased, _)) in enumerate(zip(reads, rest, strict=True)):
        starts.append(start_of(leased, read))
        if read.state in (UNTYPED, UNKNOWN) and read.raw and not calls[at].policy.owner:
            # It cannot stand in for a load as a stale entry could, so nobody need wait for a lease.
            starts[at] = Start(read, read.raw)
        if read.state is OTHER:
            starts[at] = read
        if starts[at] is None and is_replaceable(flight, leased, read, sent):
            revoked.append(at)
    replaced = yield from reclaim_all([(calls[at], reads[at]) for at in revoked], sent, env)
    for at, start in zip(revoked, replaced, strict=True):
        starts[at] = start
    yield from _start_over_stale(calls, reads, starts, sent, env)
    return starts


def _start_over_stale(
    calls: Sequence[Call],
    reads: Sequence[ReadResult],
    starts: list[_Found],
    sent: dict[bytes, str],
    env: Env,
) -> Flow[None]:
    """Take the leases of entries that stay until they are replaced, unless they may be served."""
    stale: list[int] = []
    for at, (call, read) in enumerate(zip(calls, reads, strict=True)):
        if starts[at] is None and read.state in REPLACED:
            if is_within(read, call.policy.stale_while_revalidate_ms):
                starts[at] = read
            else:
                stale.append(at)
    if stale:
        taken = yield from take_refreshes([(calls[at], reads[at]) for at in stale], sent, env)
        for at, start in zip(stale, taken, strict=True):
            starts[at] = start
