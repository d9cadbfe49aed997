"""Sources that come into a flow from outside: the time, and bytes that were never drawn before."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from dualcache.core.entry import TOKEN_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.typing import Clock

__all__ = ["new_token", "steady_clock", "wall_clock"]


# From the system each time, not from a pool of this process: a fork that Python does not hear of,
# or a restored snapshot of the machine, would give the same bytes out twice.
new_token: Final = partial(os.urandom, TOKEN_BYTES)
"""Draw a token or tag id that was never used."""


def wall_clock(clock: Clock | None) -> Callable[[], int]:
    """Return the clock that entries are stamped with, in ms."""
    seconds = clock or time.time
    return lambda: int(seconds() * 1000)


def steady_clock(clock: Clock | None) -> Callable[[], int]:
    """Return a clock that never goes back, in ms."""
    seconds = clock or time.monotonic
    return lambda: int(seconds() * 1000)
