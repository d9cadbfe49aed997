"""The state of an entry, and whether it may be served: plain decisions about one read."""

from __future__ import annotations

from enum import Enum
from math import log
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from dualcache.core.entry import HEADER_BYTES, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualcache.core.entry import Stored
    from dualcache.core.policy import Policy

__all__ = [
    "ABSENT",
    "FILLING",
    "FRESH",
    "LOST",
    "NEGATIVE",
    "OTHER",
    "REPLACED",
    "SERVED",
    "STALE",
    "TOMBSTONE",
    "UNKNOWN",
    "UNTYPED",
    "UNUSABLE",
    "ReadResult",
    "State",
    "early_ms",
    "fresh_left_ms",
    "is_fresh",
    "is_outage",
    "is_within",
    "keepable_ms",
    "lifetime_ms",
]


class State(Enum):
    """The state of a key, from the point of view of one reader."""

    ABSENT = "absent"
    FRESH = "fresh"
    NEGATIVE = "negative"
    """Fresh, with an exception in the place of a value: a call that lists its type raises it."""
    STALE = "stale"
    """No longer fresh, but kept to be served while it is loaded anew, or where its load fails."""
    UNTYPED = "untyped"
    """Good for others: only a reader who knows its type reads it exactly, and this one does not."""
    UNKNOWN = "unknown_type"
    """Good for others: of a type that this process learns by the load that follows."""
    OTHER = "shape"
    """Good for others: of another release, whose types have another shape. It is left alone."""
    FILLING = "filling"
    TOMBSTONE = "tombstone"
    UNUSABLE = "unusable"
    """There, but never to be served: foreign, broken, or one of its tags is dead.

    So too the marker of a load, if it tells the tags and one is dead.
    """
    LOST = "backend_down"
    """Not known: its node did not answer, though others of the same trip did."""


# Looking up a member costs more than the rest of a comparison on CPython 3.11.
ABSENT: Final = State.ABSENT
FRESH: Final = State.FRESH
NEGATIVE: Final = State.NEGATIVE
STALE: Final = State.STALE
UNTYPED: Final = State.UNTYPED
UNKNOWN: Final = State.UNKNOWN
OTHER: Final = State.OTHER
FILLING: Final = State.FILLING
TOMBSTONE: Final = State.TOMBSTONE
UNUSABLE: Final = State.UNUSABLE
LOST: Final = State.LOST


SERVED: Final = (FRESH, NEGATIVE)
"""The states of an entry that answers a call; the first alone with a value."""
REPLACED: Final = (STALE, UNTYPED, UNKNOWN)
"""The states of an entry that stays until what is loaded in its place is stored."""


_MOST_SKEW_MS: Final = 1_000
"""How far the clocks of two machines may lie apart for an entry's age to be taken from them."""
_SERVER_ERROR: Final = 500
"""The least status of an answer that says that the source failed; those below are answers."""
_ANSWERS_OF_DJANGO: Final = frozenset(
    {"Http404", "PermissionDenied", "SuspiciousOperation", "BadRequest"}
)
"""Exceptions that become a status below 500 and do not carry it."""


class ReadResult(Struct, frozen=True):
    """One look at one key: its state, its bytes, and the tags' ids as they were then.

    `value` is set where the state is FRESH or STALE; where that is NEGATIVE it makes the exception,
    or is `None` for a reader that does not decode. `sequence` was drawn before the look.
    `is_doubtful`: a value of ours, but not of this key: it may be the reply to another command.
    `left_ms` is what the backend said that the key has left, where it was asked. `shape`: that of
    the caller's type, where the entry's is OTHER. `fresh_left_ms`: for how long a value stays
    fresh, below 1 for how long it has been stale; `None` where its expiry alone decides. `is_due`:
    it is fresh, and this reader is elected to have it loaded anew.
    """

    state: State
    sequence: int
    raw: bytes | None = None
    stored: Stored | None = None
    value: Any = None
    ids: Mapping[str, bytes | None] = {}
    is_doubtful: bool = False
    left_ms: int | None = None
    shape: bytes = b""
    fresh_left_ms: int | None = None
    is_due: bool = False

    @property
    def seen_version(self) -> object:
        """The version that a load from here depends on: the header and the tags' ids."""
        raw = self.raw
        return None if raw is None else (bytes(raw[:HEADER_BYTES]), tuple(self.ids.items()))


def is_fresh(stored: Stored, now_ms: int, left_ms: int | None = None, stale_ms: int = 0) -> bool:
    """Decide whether an entry is fresh; one without a stale window is so as long as it exists.

    `left_ms` is what the backend says that the entry has left, `stale_ms` its stale window. A clock
    that went back makes no entry immortal: the backend's own expiry ends it.
    """
    return stored.fresh_ms is None or fresh_left_ms(stored, now_ms, left_ms, stale_ms) > 0


def fresh_left_ms(stored: Stored, now_ms: int, left_ms: int | None, stale_ms: int) -> int:
    """Return for how long an entry with a stale window stays fresh; below 1: it is not.

    So long as both say so: the clocks, and where it is known what the entry has left beyond its
    stale window. A writer's clock that is ahead made its entries look young until they were gone.
    An entry from the future has no known age: then the backend decides, or it is not fresh.
    """
    fresh_ms = stored.fresh_ms or 0
    is_told = left_ms is not None and stale_ms > 0
    age_ms = now_ms - stored.created_ms
    if age_ms < -_MOST_SKEW_MS:
        age_ms = 0 if is_told else fresh_ms
    by_clock = fresh_ms - age_ms
    if stored.kind is Kind.EXPIRED:  # a clock that is behind would make it fresh again
        by_clock = min(by_clock, 0)
    return by_clock if left_ms is None or not is_told else min(by_clock, left_ms - stale_ms)


def is_within(read: ReadResult, window_ms: int) -> bool:
    """Tell whether an entry that was read is stale, and has been so for less than a window."""
    return read.state is STALE and -(read.fresh_left_ms or 0) < window_ms


def keepable_ms(stored: Stored, left_ms: int | None, now_ms: int, stale_ms: int = 0) -> int | None:
    """Return how long a copy of an entry may be kept: while it is there, and fresh."""
    if stored.fresh_ms is None:
        return left_ms
    fresh_ms = min(stored.fresh_ms, max(0, fresh_left_ms(stored, now_ms, left_ms, stale_ms)))
    return fresh_ms if left_ms is None else min(fresh_ms, left_ms)


def early_ms(load_ms: float, beta: float, draw: float) -> float:
    """Return how long before an entry goes stale the reader who drew this has it loaded anew.

    `draw` is uniform in [0, 1). A larger `beta` loads earlier; 0 never does.
    Rule: now - load_ms * beta * ln(draw) >= fresh_until, for a draw from (0, 1]
    (Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB
    2015).
    """
    return -load_ms * beta * log(1 - draw)


def lifetime_ms(
    ttl_ms: int | None, stale_ms: int, jitter: float, draw: float, *, is_early: bool = False
) -> tuple[int | None, int | None]:
    """Return (time of freshness to store, time to live in the backend), both in ms.

    `jitter` is the share of the ttl that chance may take away, so that entries stored together do
    not expire together. `None`: for ever; freshness is `None` where the expiry alone decides, as
    it does unless there is a stale window, or readers may have the entry loaded anew before.
    """
    if ttl_ms is None:
        return None, None
    ttl_ms = max(1, round(ttl_ms * (1 - jitter * draw)))
    return (ttl_ms, ttl_ms + stale_ms) if stale_ms or is_early else (None, ttl_ms)


def is_outage(policy: Policy, error: Exception) -> bool:
    """Tell whether an exception says that the source failed, rather than what it found.

    A 404 is an answer: the row is gone, and the stale value with it.
    """
    rule = policy.stale_on
    if rule is None:
        status = _status_of(error)
        return status is None or status >= _SERVER_ERROR
    return isinstance(error, rule) if isinstance(rule, tuple) else bool(rule(error))


def _status_of(error: Exception) -> int | None:
    """Return the status that an exception becomes in a web framework, if it says so."""
    status = getattr(error, "status_code", None)
    for kind in type(error).__mro__:
        package = kind.__module__.partition(".")[0]
        if package == "werkzeug":  # Flask's and Quart's
            status = getattr(error, "code", status)
        elif package == "django" and kind.__name__ in _ANSWERS_OF_DJANGO:
            status = _SERVER_ERROR - 1
    return status if isinstance(status, int) else None
