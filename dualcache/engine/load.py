"""Get or load: the flow behind every decorated function.

Look, join or lead a flight; what leading means is in `lead.py`. The user's function is an op like
any other, so the whole is one straight generator that both colours run.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

from dualcache.core.entry import MISSING
from dualcache.core.flight import (
    Flight,
    JoinReply,
    Outcome,
)
from dualcache.core.ops import Delete, do
from dualcache.engine.background import serve_read
from dualcache.engine.beside import call_beside
from dualcache.engine.commit_ways import can_commit
from dualcache.engine.flights import join_of
from dualcache.engine.following import follow, lead_beside, load_missed
from dualcache.engine.freshness import SERVED, ReadResult
from dualcache.engine.lead import lead, load_stored, load_unstored, run_flight
from dualcache.engine.leases import keep_lost, release_all
from dualcache.engine.read import found_or_raised, get, look, served, tell_miss
from dualcache.engine.recovery import ask
from dualcache.engine.serve import LIKELY_HITS, find_in_front, is_elected
from dualcache.engine.start_over import start_refresh
from dualcache.engine.tags import NO_IDS
from dualcache.engine.timeouts import wait_of
from dualcache.engine.verify import start_verifying
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.looks import FirstLook

__all__ = ["get_or_load", "get_or_run", "refresh"]


def get_or_load(call: Call, env: Env, first: FirstLook | None = None) -> Flow[Outcome]:
    """Serve a fresh value, or load one: once for all callers of all processes.

    `first` is the look that a driver performed before, where that could not serve the call.
    """
    is_checked = False
    if first is None:
        began = env.sequence()
        kept = find_in_front(call, env)
        if kept is not MISSING:
            return Outcome(kept, None, began)
        if call.policy.ttl_ms == 0:
            return (yield from _share(call, began, None, env, is_stored=False))
        # Where a stale value may be served at once the key is always read first: with the lease the
        # caller would get the load, too.
        is_hit_likely = call.policy.counters.recent_hits >= LIKELY_HITS
        policy = call.policy
        if not (is_hit_likely or policy.stale_while_revalidate_ms or policy.timeout_ms):
            return (yield from _share(call, began, None, env, is_stored=True))
        is_checked = call.policy.verify > 0 and is_elected(call, env)
    else:
        began, is_checked = first.sequence, first.is_elected
        if first.is_lost:
            return (yield from _share(call, began, None, env, is_stored=False))
    try:
        read = yield from look(call, env, first)
    except BackendError:
        return (yield from _share(call, began, None, env, is_stored=False))
    if is_checked:
        yield from start_verifying(call, read, env)
    outcome = yield from serve_read(call, read, env)
    if outcome is not None:
        return outcome
    beside = call_beside(call, read, env)
    if beside is not None:
        return (yield from get_or_load(beside, env))
    return (yield from _share(call, began, read, env, is_stored=True))


def get_or_run(call: Call, env: Env) -> Flow[Outcome]:
    """Serve a fresh value, or load one for this caller alone; store nothing, wait for nobody.

    So for a HEAD request: what its response lacks must not be stored for a GET.
    """
    sequence = env.sequence()
    value = yield from get(call, env, found_or_raised)
    if isinstance(value, Outcome):
        return value
    if value is not MISSING:
        return Outcome(value, None, sequence)
    return (yield from load_unstored(call, None, env))


def refresh(call: Call, env: Env) -> Flow[Outcome]:
    """Load now, whatever is stored, and store it unless that is revoked meanwhile.

    A usable entry goes on being served until the new one replaces it; any other load under way on
    this key loses its right to store. Where the new result is not to be stored, the old entry goes
    all the same; where the load fails, or the backend cannot be asked at all, it stays.
    """
    sent: dict[bytes, str] = {}
    try:
        return (yield from _refresh(call, sent, env))
    except BaseException:  # as in `lead`
        yield from release_all(sent, env)
        raise


def _refresh(call: Call, sent: dict[bytes, str], env: Env) -> Flow[Outcome]:
    """Refresh; `sent` gets each marker that may have arrived."""
    if not can_commit(env):
        # Nothing can be stored, so at least the old entry must not be served after this call. Only
        # after the load: where that fails the old entry stays, as it would have with a commit.
        outcome = yield from load_unstored(call, None, env)
        if outcome.error is None:
            with suppress(BackendError):
                yield from ask(Delete((call.key,)), env)
        return outcome
    try:
        start = yield from start_refresh(call, sent, env)
    except BackendError:
        keep_lost(sent, env)
        return (yield from load_unstored(call, None, env))
    if isinstance(start, ReadResult):
        beside = call_beside(call, start, env)
        if beside is None:
            return (yield from load_unstored(call, None, env))
        return (yield from _refresh(beside, sent, env))
    return (yield from load_stored(call, start, None, env))


def _share(
    call: Call, began: int, read: ReadResult | None, env: Env, *, is_stored: bool
) -> Flow[Outcome]:
    """Follow the flight of this key if its load is young enough, else lead one.

    `read` is what the caller has found, `None` where it did not look. `is_stored=False`: nothing is
    read or stored, since the backend fails or the ttl is 0. Each caller emits its miss once; only a
    caller that loads counts as a miss, and one that is served by another's load as a hit.
    """
    is_told, why = read is not None or not is_stored, _why_missed(call, read, is_stored=is_stored)
    if is_told:
        tell_miss(call, why, env)
    after: Flight | None = None
    wait = wait_of(call, read, env)
    # Each round asks anew, since the table of flights changes during a wait or a look: the flight
    # may have landed, been closed by an invalidation, or been taken over.
    while True:
        ask_join = join_of(call, began, read, after, is_stored=is_stored)
        flight = yield from do(ask_join)
        if flight is JoinReply.MUST_LOOK:
            # A load that began before this caller may have read the source before an invalidation
            # that this caller has seen acknowledged. If the key still holds what that load started
            # from, none has come between, and it may be followed; so the key is read first.
            try:
                read = yield from look(call, env)
            except BackendError:
                # It cannot learn what others invalidated before it began, so any older load may be
                # too old: from here on it waits for that one to end, and shares the next.
                is_stored = False
                continue
            if read.state in SERVED:
                return served(call, read, env)
            wait.note(read)
            continue
        if isinstance(flight, Flight) and flight.leader is ask_join:
            # The ids that were read go into the marker, so that others see when its load is lost.
            known = read.ids if read else NO_IDS
            loading = (
                lead(call, flight, env, known, get_or_load, why=why, is_told=is_told)
                if is_stored
                else load_missed(call, flight, env, why)
            )
            # In a list, so that this frame keeps no outcome: see `value_of`.
            ended = [
                (
                    yield from (
                        lead_beside(wait, flight, ask_join, loading, env)
                        if wait.is_timed
                        else run_flight(flight, loading)
                    )
                )
            ]
        else:
            if not is_told:
                tell_miss(call, "unread", env)
                is_told, why = True, "unread"
            if not isinstance(flight, Flight):
                # The flight is led by this caller's own context, or would wait for it: a recursive
                # function that waited for itself would never end.
                return (yield from load_missed(call, None, env, why))
            ended = [(yield from follow(wait, flight, ask_join, env))]
        if ended[0] is not None:
            return cast("Outcome", ended.pop())
        # What was read before the wait is old by now. `after` lets all who waited for this flight
        # find the same next one, even if it has landed already; without that each would load.
        read, after = None, flight


def _why_missed(call: Call, read: ReadResult | None, *, is_stored: bool) -> str:
    """Return why a caller has no value; the lease that reads the key may not find one either."""
    if read is not None:
        return read.state.value
    if is_stored:
        return "absent"
    return "not_stored" if call.policy.ttl_ms == 0 else "backend_down"
