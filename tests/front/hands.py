"""Time that stands still until a test moves it: for a cache, its front tier and its listener."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from dualcache.backends.redis.push.waiter import Waiter
from dualcache.engine.health import FIRST_PAUSE_MS

if TYPE_CHECKING:
    from threading import Event

    from dualcache.engine.health import Breaker

LOOK_SECONDS: Final = 0.003
"""How long the listener is deaf to what a test does with the time, by the machine's clock."""


class Hands(Waiter):
    """A clock for `Cache(clock=…)`, and how its listener waits by it."""

    def __init__(self) -> None:
        self._seconds = time.time()
        self._pause_ends = 0.0
        self.breaker: Breaker | None = None
        """The circuit breaker of the cache; a call that came to its time-out may have opened it."""

    def __call__(self) -> float:
        return self._seconds

    def now(self) -> float:
        return self._seconds

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._seconds += seconds

    def end_pauses(self) -> None:
        """Let the listener try again at once if it pauses after a failure, and the cache soon.

        Time moves only if one of them pauses. Else an outage would never end: a machine that stands
        still for as long as a short time-out is enough for one.
        """
        self._seconds = max(self._seconds, self._pause_ends)
        if self.breaker is not None and not self.breaker.is_closed:
            self.move(FIRST_PAUSE_MS / 1_000)

    def until_readable(self, connection: Any, seconds: float) -> bool:
        ends = self._seconds + seconds
        while not connection.can_read(timeout=LOOK_SECONDS):
            if self._seconds >= ends:
                return False
        return True

    def until_set(self, stopping: Event, seconds: float) -> None:
        self._pause_ends = self._seconds + seconds
        while self._seconds < self._pause_ends and not stopping.wait(LOOK_SECONDS):
            pass
        self._pause_ends = 0.0
