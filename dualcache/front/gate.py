"""The gate of a front tier: whether compiled wrappers may serve hits on their own."""

from __future__ import annotations

from threading import RLock
from types import CellType
from typing import TYPE_CHECKING, Final

from dualcache.core.scope import current_load
from dualcache.drivers.loads import RUNNING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.engine.coherence import Coherence

__all__ = ["Gate"]

END_OF_TIME: Final = float("inf")


class Gate:
    """Whether compiled wrappers may serve hits on their own.

    They read the time through one `clock` that they share. Where the gate is closed that clock
    stands at the end of time, past the end of every entry: so a hit need not ask. While loads run,
    it also stands there for calls in a load that may not be served copies.
    """

    __slots__ = ("__weakref__", "_coherence", "_is_open", "_lock", "_now", "_now_by_load", "clock")

    def __init__(self, now: Callable[[], float], coherence: Coherence) -> None:
        self._now = now
        self._now_by_load = _clock_by_load(now, coherence)
        self._coherence = coherence
        self._is_open = False
        self._lock = RLock()
        self.clock = CellType(_end_of_time)
        RUNNING.watch(self)

    def set(self, *, is_open: bool) -> None:
        """Open or close it."""
        with self._lock:
            self._is_open = is_open
            self.settle()

    def settle(self) -> None:
        """Choose the clock: by whether the gate is open, and whether loads run."""
        # The look and the choice are one step. Else a thread that saw no load could put the plain
        # clock back after a load has begun: that settles too, before it runs its function.
        with self._lock:
            clock = self._now
            if not self._is_open:
                clock = _end_of_time
            elif RUNNING.loads and self._coherence.heard < END_OF_TIME:
                clock = self._now_by_load
            self.clock.cell_contents = clock

    def after_fork(self) -> None:
        """Begin anew in a forked child: a thread of the parent may have held the lock."""
        self._lock = RLock()


def _end_of_time() -> float:
    """Return a moment past all others."""
    return END_OF_TIME


def _clock_by_load(now: Callable[[], float], coherence: Coherence) -> Callable[[], float]:
    """Return a clock that stands at the end of time for loads that may not be served copies."""
    loading = current_load.get

    def now_by_load() -> float:
        load = loading()
        # The rule of `Coherence.may_serve_load`, without a call.
        return now() if load is None or coherence.heard > load.began else END_OF_TIME

    return now_by_load
