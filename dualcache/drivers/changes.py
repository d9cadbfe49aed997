"""Waiters for changes of keys: woken by pushes, in threads and in tasks of any loop.

The front tier's mark of a name shows whether a push came before a wait began.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


__all__ = ["Changes"]


class Changes:
    """The waiters of each name."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        self._lock = Lock()

    def after_fork(self) -> None:
        """Begin anew in a forked child."""
        self._lock = Lock()
        self._waiting = {}

    def wait(self, name: str, wake: Callable[[], None]) -> None:
        """Have `wake` called at the next push of `name`."""
        with self._lock:
            self._waiting.setdefault(name, []).append(wake)

    def forget(self, name: str, wake: Callable[[], None]) -> None:
        """Do not call `wake` any more."""
        with self._lock:
            waiting = self._waiting.get(name, [])
            if wake in waiting:
                waiting.remove(wake)
            if not waiting:
                self._waiting.pop(name, None)

    def notify(self, names: Iterable[str]) -> None:
        """Wake who waits for one of these names."""
        # Without the lock: a waiter looks at the mark of its key after it is entered here, and the
        # mark was set before this call. So one that is missed here does not wait.
        if not self._waiting:
            return
        with self._lock:
            woken = [wake for name in names for wake in self._waiting.pop(name, ())]
        # Outside the lock: to wake a task takes a lock of its loop.
        for wake in woken:
            wake()

    def notify_all(self) -> None:
        """Wake everybody: what they wait for may have been missed."""
        self.notify(list(self._waiting))
