"""Loading in the background: a value is served at once, and loaded anew beside its readers.

Only age makes an entry stale. One whose tag was invalidated, or that a set has replaced, is never
read as stale, so none of these is served here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from dualcache.core.background import Spawn, SpawnReply
from dualcache.core.events import RefreshRefused
from dualcache.core.flight import Flight
from dualcache.core.ops import Look, do
from dualcache.engine.commit_ways import can_commit
from dualcache.engine.flights import join_of
from dualcache.engine.freshness import SERVED, is_within
from dualcache.engine.lead import load_stored, run_flight
from dualcache.engine.leases import keep_lost, release_all
from dualcache.engine.pipelines import one_trip, replies_of, slices
from dualcache.engine.read import served, served_stale
from dualcache.engine.recovery import ask
from dualcache.engine.refresh_lease import take_refreshes
from dualcache.engine.starting import Start, held_by
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.flight import Outcome
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult

__all__ = ["note_spawned", "serve_read", "start_over_all"]


def serve_read(call: Call, read: ReadResult, env: Env) -> Flow[Outcome | None]:
    """Serve what was read, if it may be; have it loaded anew in the background if that is due.

    So a fresh value whose reader was elected, and a stale one within its window (RFC 5861, 3).
    """
    if read.state in SERVED:
        if read.is_due:
            yield from _start_refreshing(call, read, env)
        return served(call, read, env)
    if not is_within(read, call.policy.stale_while_revalidate_ms):
        return None
    yield from _start_refreshing(call, read, env)
    return served_stale(call, read, env, "revalidate")


def _start_refreshing(call: Call, read: ReadResult, env: Env) -> Flow[None]:
    """Start to load anew what was read, unless this process is at it; wait for nothing."""
    note_spawned(call, (yield from do(Spawn(call.key, _refresh_beside(call, read, env)))), env)


def note_spawned(call: Call, reply: SpawnReply, env: Env) -> None:
    """Count a load in the background that was refused, as too many run."""
    if reply is SpawnReply.FULL:
        call.policy.counters.refused += 1
        env.emit(RefreshRefused(call.policy.label))


def _refresh_beside(call: Call, read: ReadResult, env: Env) -> Flow[None]:
    """Load an entry anew as one of a whole cluster; those who have to wait for it may follow."""
    ask_join = join_of(call, read.sequence, read, None, is_stored=True)
    flight = yield from do(ask_join)
    if isinstance(flight, Flight) and flight.leader is ask_join:
        yield from run_flight(flight, _load_anew(call, read, flight, env))


def _load_anew(call: Call, read: ReadResult, flight: Flight, env: Env) -> Flow[Outcome | None]:
    """Load over the entry that was read; `None` where that is left to another process."""
    sent: dict[bytes, str] = {}
    try:
        (start,) = yield from start_over_all(((call, read),), sent, env)
        if start is None:
            return None
        return (yield from load_stored(call, start, flight, env))
    except BaseException:  # as in `lead`
        yield from release_all(sent, env)
        raise


def start_over_all(
    wanted: Sequence[tuple[Call, ReadResult]], sent: dict[bytes, str], env: Env
) -> Flow[list[Start | None]]:
    """Take the leases under which entries are loaded anew; `None` where that is left to another.

    The calls are of one policy; never fails for the backend. `sent` is as for `take_refreshes`.
    """
    nothing: list[Start | None] = [None] * len(wanted)
    if not can_commit(env):
        return nothing
    try:
        found = yield from take_refreshes(wanted, sent, env)
        starts = [start if isinstance(start, Start) else None for start in found]
        taken = [at for at, start in enumerate(starts) if start is not None]
        # Read again under the lease. Its last holder may have stored between the look and the
        # lease: the compare would refuse this load's value, but the source would be asked twice.
        now: list[bytes | None] = []
        for places in slices(taken):
            looks = [Look(wanted[at][0].key) for at in places]
            replies = replies_of(looks, (yield from ask(one_trip(looks), env)))
            now += [raw_read.raw for raw_read in replies]
    except BackendError:
        keep_lost(sent, env)
        return nothing
    changed: dict[bytes, str] = {}
    for at, raw in zip(taken, now, strict=True):
        (call, _), start = wanted[at], starts[at]
        assert start is not None
        if raw == start.expected:
            starts[at] = replace(start, is_beside=True)
        else:
            starts[at] = None
            changed.update(held_by(call, start, env))
    if changed:
        yield from release_all(changed, env)
    return starts
