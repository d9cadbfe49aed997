"""A flight: one load of one key that several callers of this process share.

Plain state. Who may join is decided in `engine/flights.py`; waiting and locking is a driver's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.entry import Packed


class Outcome(Struct, frozen=True):
    """How a read ended: with a value, or with the exception that the user's function raised.

    `tick` is when the value was known to be current: nobody who began later may take it unseen.
    `packed` is the value as bytes, where followers can have copies made of it.
    """

    value: Any
    error: Exception | None = None
    tick: int = -1
    packed: Packed | None = None


class Landing(NamedTuple):
    """How a flight ended; `outcome` is `None` where its leader was cancelled or interrupted."""

    outcome: Outcome | None


ABANDONED = Landing(None)


class Flight:
    """The load of `key`, led by one caller.

    `load_tick` says when the load began, `basis` what the key held then: a caller who finds the
    same there knows that nothing was invalidated since. `thread` is the leader's, `awaited` are the
    flights that the leader's context waits for. `landed` are called once, after the landing.
    `doomed` is a flight of this key whose tags were invalidated while it loads.
    """

    __slots__ = (
        "awaited",
        "basis",
        "doomed",
        "is_open",
        "key",
        "landed",
        "landing",
        "leader",
        "load_tick",
        "tags",
        "thread",
    )

    def __init__(self, key: str, leader: object, thread: int, tags: tuple[str, ...] = ()) -> None:
        self.key = key
        self.tags = tags
        self.leader = leader
        self.thread = thread
        self.is_open = True
        self.load_tick: int | None = None
        self.basis: tuple[bytes, Any] | None = None
        self.doomed: Flight | None = None
        self.awaited: list[Flight] = []
        self.landing: Landing | None = None
        self.landed: list[Callable[[], None]] = []
