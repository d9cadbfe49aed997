"""Sources that come into a flow from outside: the time, and bytes that were never drawn before."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from dualcache.core.entry import TOKEN_BYTES
from dualcache.options.durations import to_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.typing import Clock, Duration

__all__ = ["MovableClock", "new_token", "steady_clock", "wall_clock"]


# From the system each time, not from a pool of this process: a fork that Python does not hear of,
# or a restored snapshot of the machine, would give the same bytes out twice.
new_token: Final = partial(os.urandom, TOKEN_BYTES)
"""Draw a token or tag id that was never used."""


class MovableClock:
    """A clock for tests: the system's time plus the time that you advanced it by.

    It follows `time.time`, and so also freezegun and time-machine, until `stop()`.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        self._stands_at: float | None = None

    def __call__(self) -> float:
        """Return the seconds since the epoch."""
        return (time.time() if self._stands_at is None else self._stands_at) + self._ahead

    def advance(self, duration: Duration) -> None:
        """Go forward by seconds, `"5m"` or a `timedelta`. Raises `UsageError` for anything else."""
        self._ahead += to_ms(duration, "the duration", owner="advance()") / 1000

    def stop(self) -> None:
        """Stand still: from now on only `advance` moves it."""
        if self._stands_at is None:
            self._stands_at = time.time()


def wall_clock(clock: Clock | None) -> Callable[[], int]:
    """Return the clock that entries are stamped with, in ms."""
    seconds = clock or time.time
    return lambda: int(seconds() * 1000)


def steady_clock(clock: Clock | None) -> Callable[[], int]:
    """Return a clock that never goes back, in ms."""
    seconds = clock or time.monotonic
    return lambda: int(seconds() * 1000)
