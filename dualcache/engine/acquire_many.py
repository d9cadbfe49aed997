"""Getting the right to store several keys at once, waiting for nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.ops import LookAndLease
from dualcache.engine.acquire import is_replaceable, reclaim_all, start_of
from dualcache.engine.commit_ways import can_commit
from dualcache.engine.freshness import FRESH, OTHER, UNKNOWN, UNTYPED
from dualcache.engine.leases import keep_lost, take_leases
from dualcache.engine.pipelines import paced
from dualcache.engine.read import classify_again, left_of
from dualcache.engine.read_many import look_many
from dualcache.engine.serve import classify, ids_of
from dualcache.engine.starting import NOTHING, Start
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualcache.core.flight import Flight
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult
    from dualcache.engine.leases import Leased

    _Wanted = tuple[Call, Flight]

__all__ = ["acquire_all"]


def acquire_all(
    wanted: Sequence[_Wanted],
    env: Env,
    sent: dict[bytes, str],
    known: Mapping[str, bytes | None],
) -> Flow[list[Start | ReadResult | None]]:
    """Get the leases of several keys in one trip; never fail for the backend.

    For each: where its load starts, what is fresh or of another shape, or `NOTHING` where it may
    not be stored. `None` where it is to be acquired by itself: another holds it, or a stale entry
    is there to stand in.
    `known` are the ids of tags that a look found just now; `sent` is as for `acquire`.
    """
    # Nobody is waited for while leases are held: two callers who each hold what the other waits for
    # would both wait to the bound. What another holds is loaded when the own keys are stored.
    calls = [call for call, _ in wanted]
    if not can_commit(env):
        return (yield from _look_at_all(calls, env))
    leased = yield from take_leases(LookAndLease, calls, env, sent, known)

    def classified(found: tuple[Call, Leased | None]) -> ReadResult:
        call, each = found
        if each is None:
            return NOTHING
        raw_read = each.raw_read
        return classify(
            call, raw_read.raw, ids_of(call, raw_read), each.sequence, env, left_of(raw_read)
        )

    reads = yield from paced(classified, zip(calls, leased, strict=True))
    starts: list[Start | ReadResult | None] = [NOTHING] * len(wanted)
    rest: dict[int, tuple[Call, Flight, Leased, ReadResult]] = {}
    for at, (each, read) in enumerate(zip(leased, reads, strict=True)):
        starts[at] = NOTHING if each is None else start_of(each, read)
        if each is not None and starts[at] is None:
            rest[at] = (*wanted[at], each, read)
    try:
        found: Sequence[Start | ReadResult | None] = yield from _settle([*rest.values()], sent, env)
    except BackendError:
        found = [NOTHING] * len(rest)
    for at, start in zip(rest, found, strict=True):
        starts[at] = start
    _keep_lost(calls, starts, sent, env)
    return starts


def _keep_lost(
    calls: Sequence[Call],
    starts: Sequence[Start | ReadResult | None],
    sent: Mapping[bytes, str],
    env: Env,
) -> None:
    """Keep the markers of keys that are not loaded under one, though one may have arrived."""
    # Of one that was put in the place of another, too: where the reply to that was lost, and it was
    # sent again, the second reply says that the key holds something else.
    lost = {
        call.key
        for call, start in zip(calls, starts, strict=True)
        if start is None or start is NOTHING
    }
    if lost:
        keep_lost({token: key for token, key in sent.items() if key in lost}, env)


def _look_at_all(calls: Sequence[Call], env: Env) -> Flow[list[Start | ReadResult | None]]:
    """Read all keys where nothing can be stored: no lease is taken."""
    try:
        reads = yield from look_many(calls, env)
    except BackendError:
        return [NOTHING] * len(calls)
    return [read if read.state in (FRESH, OTHER) else NOTHING for read in reads]


def _settle(
    rest: Sequence[tuple[Call, Flight, Leased, ReadResult]], sent: dict[bytes, str], env: Env
) -> Flow[list[Start | ReadResult | None]]:
    """Judge entries by the tags that they alone name, and replace what can never be served."""
    calls = [call for call, *_ in rest]
    reads = yield from classify_again(calls, [read for *_, read in rest], env)
    starts: list[Start | ReadResult | None] = []
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
    return starts
