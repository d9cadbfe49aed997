"""How a thread waits for something that another thread brings about."""

from __future__ import annotations

from threading import Lock
from time import sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualcache.core.ops import Pause


__all__ = ["Waking", "let_pass"]


class Waking:
    """A wait of one thread that any thread may end by `wake`.

    Not an Event: that takes its lock in Python code, so an interrupt of the thread that wakes could
    leave it locked, and the waiter would hang in spite of its time-out. Not a SimpleQueue: before
    Python 3.13 its `get` never ends if a signal handler runs past the end of the time-out.
    """

    __slots__ = ("_asleep",)

    def __init__(self) -> None:
        self._asleep = Lock()
        self._asleep.acquire()

    def wake(self) -> None:
        """End the wait, or the next one if nobody waits now."""
        # No suppress(): an interrupt could come while that is made, and nobody would be woken.
        try:  # noqa: SIM105
            self._asleep.release()
        except RuntimeError:  # it was woken before
            pass

    def wait(self, seconds: float) -> bool:
        """Wait; tell whether it was woken before the time was over."""
        return self._asleep.acquire(timeout=seconds)


def let_pass(op: Pause) -> None:
    """Block this thread for a while."""
    sleep(op.wait_ms / 1000)
