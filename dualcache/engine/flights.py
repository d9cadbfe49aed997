"""Who may follow a flight, and how long anybody waits: pure rules of the single-flight.

A follower takes the leader's result only where no invalidation acknowledged before the follower
began can have come after the load began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.core.flight import ANY_TAG, Join, JoinReply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.flight import Flight, Stage
    from dualcache.core.policy import Call, Counters
    from dualcache.engine.freshness import ReadResult

__all__ = ["LEAST_WAIT_MS", "join_of", "may_follow", "may_take_over", "wait_bound_ms"]

LEAST_WAIT_MS: Final = 1_000.0
_MOST_WAIT_MS: Final = 30_000.0


def join_of(
    call: Call, began: int, read: ReadResult | None, after: Flight | None, *, is_stored: bool
) -> Join:
    """Return the op by which a caller asks for a flight, with what it knows of the key."""
    # Tags that only the result will tell are not among the ids that were read: an invalidation of
    # one leaves the version as it was, so an equal version proves nothing there.
    has_known_tags = call.policy.tags_of is None
    return Join(
        call.key,
        began,
        read.seen_version if read and has_known_tags else None,
        has_looked=read is not None or not is_stored,
        is_lenient=not is_stored and call.policy.ttl_ms == 0,
        is_patient=not is_stored,
        after=after,
        tags=call.tags if has_known_tags else (*call.tags, ANY_TAG),
    )


def may_follow(
    ask: Join,
    flight: Flight | None,
    leads: tuple[Flight, ...],
    thread: int,
    is_blocking: bool,
) -> bool | JoinReply:
    """Decide whether a caller follows `flight` (True), leads a new one (False), or neither.

    `leads` are the flights that the caller's context leads, `thread` is where it runs, and
    `is_blocking` whether waiting would block that thread.

    A load that has not begun, or began after the caller, is always young enough. A lenient caller
    (nothing is stored: the ttl is 0) takes the result of any open flight; a patient one (the
    backend cannot be asked) waits for its end and takes that of the next.
    """
    if flight is None or not (flight.is_open or _is_next(ask, flight)):
        return False
    if _would_never_end(flight, leads, thread, is_blocking=is_blocking):
        return JoinReply.ALONE
    if ask.is_lenient or ask.is_patient or _is_young(flight, ask.began):
        return True
    if not ask.has_looked:
        return JoinReply.MUST_LOOK
    # An older load is young enough only where the caller has read the key since it began and found
    # what that load started from: an invalidation between the two would have changed it. What two
    # callers both failed to find proves nothing.
    return ask.seen_version is not None and flight.seen_version == ask.seen_version


def _is_next(ask: Join, flight: Flight) -> bool:
    """Tell whether the caller waited for the flight before this one: it may have landed by now."""
    return ask.after is not None and flight is ask.after.next


def _is_young(flight: Flight, began: int) -> bool:
    """Tell whether the flight's load has not begun, or began after `began`."""
    return flight.load_sequence is None or flight.load_sequence > began


def _would_never_end(
    flight: Flight, leads: tuple[Flight, ...], thread: int, *, is_blocking: bool
) -> bool:
    """Tell whether waiting for `flight` is waiting for oneself.

    So where an ancestor leads it, where its leader waits (at any distance) for a flight that this
    context leads, or where blocking this thread stops the leader, who runs on it.
    """
    if flight.result is not None:
        return False
    if is_blocking and thread in flight.threads:
        return True
    return bool(leads) and _reaches(flight, leads)


def _reaches(flight: Flight, targets: Sequence[Flight]) -> bool:
    """Tell whether `flight` is one of `targets` or awaits one, directly or not."""
    seen: list[Flight] = []
    rest = [flight]
    while rest:
        each = rest.pop()
        if each in targets:
            return True
        if each not in seen:
            seen.append(each)
            rest.extend(each.awaited)
    return False


def may_take_over(flight: Flight, stage: Stage) -> bool:
    """Decide whether a caller whose wait began in `stage`, and is over, leads the flight too."""
    # Only where nothing has happened since: no other took over, and no load began. What began
    # during the wait is waited for anew, so there is one successor for each bound, however many
    # wait: without the compare all of them would load at once.
    return flight.result is None and flight.stage == stage


def wait_bound_ms(counters: Counters, announced_ms: float = 0.0, takeovers: int = 0) -> float:
    """Return how long a follower waits for a load before one of the followers loads too.

    Three times the measured load (here, or as the other process announced it), at least one second,
    twice as long for each successor that loads by now, at most thirty seconds; thirty where nothing
    was measured.
    """
    if counters.load_ms is None and not announced_ms:
        return _MOST_WAIT_MS
    bound_ms = max(LEAST_WAIT_MS, 3 * max(counters.load_ms or 0.0, announced_ms))
    return min(_MOST_WAIT_MS, bound_ms * (1 << takeovers))
