"""Who may follow a flight, and how long anybody waits: pure rules of the single-flight.

A follower takes the leader's result only where no invalidation acknowledged before the follower
began can have come after the load began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.core.ops import JoinReply
from dualcache.core.policy import UNMEASURED_LOAD_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.flight import Flight
    from dualcache.core.ops import Join
    from dualcache.core.policy import Usage

LEAST_WAIT_MS: Final = 1_000.0
MOST_WAIT_MS: Final = 30_000.0


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

    A load that has not begun, or began after the caller, is always young enough. An older one is so
    only where the caller has read the key since and found what that load started from. A lenient
    caller (the backend is down, or nothing is stored) takes any open flight.
    """
    if flight is None or not flight.is_open:
        return False
    if would_never_end(flight, leads, thread, is_blocking=is_blocking):
        return JoinReply.ALONE
    if ask.is_lenient or is_young(flight, ask.began):
        return True
    if not ask.has_looked:
        return JoinReply.MUST_LOOK
    return ask.basis is not None and flight.basis == ask.basis


def is_young(flight: Flight, began: int) -> bool:
    """Tell whether the flight's load has not begun, or began after `began`."""
    return flight.load_tick is None or flight.load_tick > began


def would_never_end(
    flight: Flight, leads: tuple[Flight, ...], thread: int, *, is_blocking: bool
) -> bool:
    """Tell whether waiting for `flight` is waiting for oneself.

    So where an ancestor leads it, where its leader waits (at any distance) for a flight that this
    context leads, or where blocking this thread stops the leader, who runs on it.
    """
    if is_blocking and flight.thread == thread:
        return True
    return bool(leads) and reaches(flight, leads)


def reaches(flight: Flight, targets: Sequence[Flight]) -> bool:
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


def wait_bound_ms(usage: Usage, announced_ms: float = 0.0) -> float:
    """Return how long a caller waits for another's load before it loads itself.

    Three times the measured load (here, or as the other process announced it), at least one second,
    at most thirty.
    """
    measured = UNMEASURED_LOAD_MS if usage.load_ms is None else usage.load_ms
    return min(MOST_WAIT_MS, max(LEAST_WAIT_MS, 3 * max(measured, announced_ms)))
