"""How a thread waits for something that another thread brings about."""

from __future__ import annotations

from functools import partial
from queue import Empty, SimpleQueue
from time import sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.ops import Pause


__all__ = ["Waking", "let_pass"]


class Waking:
    """A wait of one thread that any thread may end by `wake`.

    Not an Event: that takes its lock in Python code, so an interrupt of the thread that wakes could
    leave it locked, and the waiter would hang in spite of its time-out.
    """

    __slots__ = ("_woken", "wake")

    def __init__(self) -> None:
        self._woken: SimpleQueue[None] = SimpleQueue()
        self.wake: Callable[[], None] = partial(self._woken.put, None)

    def wait(self, seconds: float) -> bool:
        """Wait; tell whether it was woken before the time was over."""
        try:
            self._woken.get(timeout=seconds)
        except Empty:
            return False
        return True


def let_pass(op: Pause) -> None:
    """Block this thread for a while."""
    sleep(op.wait_ms / 1000)
