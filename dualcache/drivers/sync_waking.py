"""How a thread waits for something that another thread brings about."""

from __future__ import annotations

from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["Waking"]


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
