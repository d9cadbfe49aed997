"""Waiting for a flight: another caller's, or one's own where its load runs in the background."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dualcache.core.background import Spawn, SpawnReply
from dualcache.core.entry import MISSING
from dualcache.core.events import Coalesced, RefreshRefused, WaitExpired
from dualcache.core.flight import ABANDONED, AwaitFlight, EndFlight, Outcome, TakeOver
from dualcache.core.interrupts import interrupt_in
from dualcache.core.ops import do
from dualcache.engine.flights import wait_bound_ms
from dualcache.engine.lead import load_beside, load_unstored, run_flight
from dualcache.engine.read import reason_of
from dualcache.engine.telling import key_told
from dualcache.errors import DecodeError

if TYPE_CHECKING:
    from dualcache.core.flight import Flight, FlightResult, Join
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.timeouts import Wait

__all__ = ["follow", "lead_beside", "load_missed"]


def lead_beside(
    wait: Wait, flight: Flight, ask_join: Join, loading: Flow[Outcome], env: Env
) -> Flow[Outcome | None]:
    """Load in the background for all who follow; `None` where the load was given up.

    It leads the flight from its start: its caller waits for it as the others do, and may leave.
    """
    call = wait.call
    ended: list[Outcome] = []
    running = run_flight(flight, _noting(loading, ended))
    reply = yield from do(Spawn(call.key, running, is_awaited=True, join=ask_join))
    if reply is not SpawnReply.STARTED:
        call.policy.counters.refused += 1
        env.emit(RefreshRefused(call.policy.label))
        return (yield from running)
    result = yield from _await_result(wait, flight, env)
    if ended:  # the value itself: the load was this caller's
        return ended.pop()
    if result is None:
        return (yield from _succeed(call, flight, env))
    return result if isinstance(result, Outcome) else result.outcome


def _noting(loading: Flow[Outcome], ended: list[Outcome]) -> Flow[Outcome]:
    """Note how a load has ended before its flight lands."""
    # A flight keeps no exception, so a load that fails before its caller begins to wait would be
    # told to nobody, and run once more. Nothing is kept in this frame: see `value_of`.
    ended.append((yield from loading))
    return ended[0]


def follow(wait: Wait, flight: Flight, ask_join: Join, env: Env) -> Flow[Outcome | None]:
    """Wait for another caller's load; `None` where its result is not for this caller."""
    call, began_ms = wait.call, env.elapsed_ms()
    result = yield from _await_result(wait, flight, env)
    if isinstance(result, Outcome):
        return result
    if result is None:
        return (yield from _succeed(call, flight, env))
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
    waited_ms = env.elapsed_ms() - began_ms
    env.emit(Coalesced(call.policy.label, waited_ms, flight.trace, key_told(call, env)))
    call.policy.counters.coalesced += 1
    if outcome.error is not None:
        return outcome
    try:
        own = replace(outcome, value=_own_copy(call, outcome))
    except Exception as error:  # whatever the user's type does when it is copied
        if interrupt_in(error) is not None:
            raise
        return (yield from load_missed(call, None, env, "not_copied"))
    call.policy.counters.hits += 1
    return own


def load_missed(call: Call, flight: Flight | None, env: Env, why: str) -> Flow[Outcome]:
    """Load without storing, and count the miss."""
    call.policy.counters.count_miss(reason_of(call, why))
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


def _await_result(wait: Wait, flight: Flight, env: Env) -> Flow[FlightResult | Outcome | None]:
    """Wait for a flight to land; `None` where this caller has become its leader's successor.

    An outcome is what a caller gets whose own time is over.
    """
    # Of all whose wait ends only the first takes over, and the others go on waiting for both loads:
    # if each loaded, a source that is slow would get all callers at once, and be slower still. Each
    # successor is given twice the time of the one before, so a few are enough.
    call = wait.call
    while True:
        stage = flight.stage
        bound_ms = wait_bound_ms(call.policy.counters, stage.announced_ms, stage.takeovers)
        left_ms = wait.left_ms(env.elapsed_ms())
        result = yield from do(AwaitFlight(flight, min(bound_ms, left_ms)))
        if result is not None:
            return result
        if left_ms <= bound_ms:
            return wait.passed(env)
        taking = TakeOver(flight, stage)
        try:
            yield from do(taking)
        except BaseException:
            if taking.is_taken:  # interrupted between the takeover and its reply: one leader less
                yield EndFlight(flight, ABANDONED)
            raise
        if not taking.is_taken:
            continue
        if not wait.is_timed:
            return None
        # The successor's load runs in the background too: its caller may leave before it ends.
        succeeding = _succeed(call, flight, env)
        reply = yield from do(Spawn(call.key, succeeding, is_awaited=True))
        if reply is not SpawnReply.STARTED:
            return None


def _succeed(call: Call, flight: Flight, env: Env) -> Flow[Outcome]:
    """Load beside a leader who takes too long."""
    env.emit(WaitExpired(call.policy.label, key_told(call, env)))
    call.policy.counters.count_miss("waited")
    return (yield from run_flight(flight, load_beside(call, flight, env)))
