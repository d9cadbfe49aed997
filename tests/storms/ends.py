"""When a process of a storm ends: after so many seconds, or when the test tells it to."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

TOLD: Final = "told"


def ending(until: str) -> Callable[[], bool]:
    """Return a predicate for the end: a number of seconds from now, or `TOLD`."""
    if until == TOLD:
        return _closed()
    ends = time.monotonic() + float(until)
    return lambda: time.monotonic() >= ends


def _closed() -> Callable[[], bool]:
    """Return a predicate that is true when stdin was closed: by the test, or by its death."""
    is_closed = threading.Event()

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        is_closed.set()

    threading.Thread(target=wait, daemon=True).start()
    return is_closed.is_set


def enough(history: Sized, least: int, is_over: Callable[[], bool]) -> Callable[[], bool]:
    """Return a predicate that is not true before the history has so many steps.

    On a busy machine a process goes on until it has done enough to be judged.
    """
    return lambda: len(history) >= least and is_over()
