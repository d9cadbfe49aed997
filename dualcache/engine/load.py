"""Get or load: the flow behind every decorated function.

Look, join or lead a flight; what leading means is in `lead.py`. The user's function is an op like
any other, so the whole is one straight generator that both colours run.
"""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dualcache.core.entry import MISSING
from dualcache.core.events import Coalesced, WaitExpired
from dualcache.core.flight import (
    ABANDONED,
    AwaitFlight,
    EndFlight,
    Flight,
    FlightResult,
    Join,
    JoinReply,
    Outcome,
    TakeOver,
)
from dualcache.core.interrupts import interrupt_in
from dualcache.core.ops import Delete, do
from dualcache.engine.acquire import start_refresh
from dualcache.engine.background import serve_read
from dualcache.engine.beside import call_beside
from dualcache.engine.commit_ways import can_commit
from dualcache.engine.flights import join_of, wait_bound_ms
from dualcache.engine.freshness import FRESH, ReadResult
from dualcache.engine.lead import lead, load_beside, load_stored, load_unstored, run_flight
from dualcache.engine.leases import keep_lost, release_all
from dualcache.engine.read import get, look, served, tell_miss
from dualcache.engine.recovery import ask
from dualcache.engine.serve import LIKELY_HITS, find_in_front
from dualcache.engine.tags import NO_IDS
from dualcache.errors import BackendError, DecodeError

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.serve import FirstLook

__all__ = ["get_or_load", "get_or_run", "refresh"]


def get_or_load(call: Call, env: Env, first: FirstLook | None = None) -> Flow[Outcome]:
    """Serve a fresh value, or load one: once for all callers of all processes.

    `first` is the look that a driver performed before, where that could not serve the call.
    """
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
        if not (is_hit_likely or call.policy.stale_while_revalidate_ms):
            return (yield from _share(call, began, None, env, is_stored=True))
    else:
        began = first.sequence
        if first.is_lost:
            return (yield from _share(call, began, None, env, is_stored=False))
    try:
        read = yield from look(call, env, first)
    except BackendError:
        return (yield from _share(call, began, None, env, is_stored=False))
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
    value = yield from get(call, env)
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
    if read is not None or not is_stored:
        tell_miss(call, read.state.value if read else "not_stored", env)
    is_told = read is not None or not is_stored
    after: Flight | None = None
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
            if read.state is FRESH:
                return served(call, read, env)
            continue
        if isinstance(flight, Flight) and flight.leader is ask_join:
            # The ids that were read go into the marker, so that others see when its load is lost.
            known = read.ids if read else NO_IDS
            loading = (
                lead(call, flight, env, known, get_or_load, is_told=is_told)
                if is_stored
                else _load_missed(call, flight, env)
            )
            return (yield from run_flight(flight, loading))
        if not is_told:
            tell_miss(call, "unread", env)
            is_told = True
        if not isinstance(flight, Flight):
            # The flight is led by this caller's own context, or would wait for it: a recursive
            # function that waited for itself would never end.
            return (yield from _load_missed(call, None, env))
        outcome = yield from _follow(call, flight, ask_join, env)
        if outcome is not None:
            return outcome
        # What was read before the wait is old by now. `after` lets all who waited for this flight
        # find the same next one, even if it has landed already; without that each would load.
        read, after = None, flight


def _follow(call: Call, flight: Flight, ask_join: Join, env: Env) -> Flow[Outcome | None]:
    """Wait for another caller's load; `None` where its result is not for this caller."""
    result = yield from _await_result(call, flight)
    if result is None:
        env.emit(WaitExpired(call.policy.label))
        call.policy.counters.count_miss()
        return (yield from run_flight(flight, load_beside(call, flight, env)))
    outcome = result.outcome
    if outcome is None or (outcome.value is MISSING and not call.may_lack):
        return None
    # The load may have begun while this caller waited, by a leader that took over, or before it by
    # one that this caller joined at its version. An older result may be from before an invalidation
    # that was acknowledged when this caller began: it asks again.
    is_same_version = (
        ask_join.seen_version is not None and flight.seen_version == ask_join.seen_version
    )
    if outcome.sequence <= ask_join.began and not is_same_version and not ask_join.is_lenient:
        return None
    env.emit(Coalesced(call.policy.label))
    call.policy.counters.coalesced += 1
    if outcome.error is not None:
        return outcome
    try:
        own = replace(outcome, value=_own_copy(call, outcome))
    except Exception as error:  # whatever the user's type does when it is copied
        if interrupt_in(error) is not None:
            raise
        return (yield from _load_missed(call, None, env))
    call.policy.counters.hits += 1
    return own


def _load_missed(call: Call, flight: Flight | None, env: Env) -> Flow[Outcome]:
    """Load without storing, and count the miss."""
    call.policy.counters.count_miss()
    return (yield from load_unstored(call, flight, env))


def _own_copy(call: Call, outcome: Outcome) -> object:
    """Return a follower's own copy of the leader's value."""
    packed = outcome.packed
    if packed is None:
        return deepcopy(outcome.value)
    try:
        return call.policy.value_codec.copy(packed)
    except DecodeError:  # the leader's function has another type than this caller's
        return deepcopy(outcome.value)


def _await_result(call: Call, flight: Flight) -> Flow[FlightResult | None]:
    """Wait for a flight to land; `None` where this caller has become its leader's successor."""
    # Of all whose wait ends only the first takes over, and the others go on waiting for both loads:
    # if each loaded, a source that is slow would get all callers at once, and be slower still. Each
    # successor is given twice the time of the one before, so a few are enough.
    while True:
        stage = flight.stage
        wait_ms = wait_bound_ms(call.policy.counters, stage.announced_ms, stage.takeovers)
        result = yield from do(AwaitFlight(flight, wait_ms))
        if result is not None:
            return result
        taking = TakeOver(flight, stage)
        try:
            yield from do(taking)
        except BaseException:
            if taking.is_taken:  # interrupted between the takeover and its reply: one leader less
                yield EndFlight(flight, ABANDONED)
            raise
        if taking.is_taken:
            return None
