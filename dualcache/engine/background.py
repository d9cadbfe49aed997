"""Loading in the background: a value is served at once, and loaded anew beside its readers.

Only age makes an entry stale. One whose tag was invalidated, or that a set has replaced, is never
read as stale, so none of these is served here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.background import Spawn, SpawnReply
from dualcache.core.events import RefreshRefused
from dualcache.core.flight import Flight
from dualcache.core.ops import Look, do
from dualcache.engine.commit_ways import can_commit
from dualcache.engine.flights import join_of
from dualcache.engine.freshness import FRESH, is_within
from dualcache.engine.lead import load_stored, run_flight
from dualcache.engine.leases import keep_lost, release_all
from dualcache.engine.read import served, served_stale
from dualcache.engine.recovery import ask
from dualcache.engine.starting import Start, give_up, take_refresh
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from dualcache.core.flight import Outcome
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult

__all__ = ["serve_read"]


def serve_read(call: Call, read: ReadResult, env: Env) -> Flow[Outcome | None]:
    """Serve what was read, if it may be; have it loaded anew in the background if that is due.

    So a fresh value whose reader was elected, and a stale one within its window (RFC 5861, 3).
    """
    if read.state is FRESH:
        if read.is_due:
            yield from _start_refreshing(call, read, env)
        return served(call, read, env)
    if not is_within(read, call.policy.stale_while_revalidate_ms):
        return None
    yield from _start_refreshing(call, read, env)
    return served_stale(call, read, env)


def _start_refreshing(call: Call, read: ReadResult, env: Env) -> Flow[None]:
    """Start to load anew what was read, unless this process is at it; wait for nothing."""
    reply = yield from do(Spawn(call.key, _refresh_beside(call, read, env)))
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
        start = yield from _start_over(call, read, sent, env)
        if start is None:
            return None
        return (yield from load_stored(call, start, flight, env))
    except BaseException:  # as in `lead`
        yield from release_all(sent, env)
        raise


def _start_over(
    call: Call, read: ReadResult, sent: dict[bytes, str], env: Env
) -> Flow[Start | None]:
    """Take the lease under which an entry is loaded anew, if that entry is still there."""
    if not can_commit(env):
        return None
    try:
        start = yield from take_refresh(call, read, sent, env)
        if not isinstance(start, Start):
            return None
        # Read again under the lease. Its last holder may have stored between the look and the
        # lease: the compare would refuse this load's value, but the source would be asked twice.
        now = yield from ask(Look(call.key), env)
    except BackendError:
        keep_lost(sent, env)
        return None
    if now.raw == start.expected:
        return start._replace(is_beside=True)
    yield from give_up(call, start, env)
    return None
