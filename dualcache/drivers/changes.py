"""Waiters for changes of keys: woken by pushes, in threads and in tasks of any loop."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Changes:
    """Who waits for which name.

    `mark` tells the counter of a name: it has risen where a push came before the wait began.
    `ask_proof` asks for proof that all pushes so far were fed. Where nobody hears pushes there is
    no mark, and no proof to be had.
    """

    mark: Callable[[str], int | None]
    ask_proof: Callable[[Callable[[], None]], bool]

    def __init__(self) -> None:
        self.mark = lambda _: None
        self.ask_proof = lambda _: False
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
        if not self._waiting:
            return
        with self._lock:
            woken = [wake for name in names for wake in self._waiting.pop(name, ())]
        for wake in woken:
            wake()

    def notify_all(self) -> None:
        """Wake everybody: what they wait for may have been missed."""
        self.notify(list(self._waiting))
