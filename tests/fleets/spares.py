"""The next fleet starts while a test uses the one before: what makes a start slow is waiting."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Spares"]


class Fleet(Protocol):
    """What is started ahead."""

    def stop(self) -> None: ...
    def wait_until_ready(self) -> None: ...


F = TypeVar("F", bound=Fleet)


class Spares(Generic[F]):
    """Hands out new fleets; from the first one on, the next is always under way.

    One thread starts all of them and lives until the end: the system kills a server when the thread
    that started it ends.
    """

    def __init__(self, make: Callable[[], F]) -> None:
        self._make = make
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._made: SimpleQueue[F | Exception] = SimpleQueue()
        self._thread: Thread | None = None

    def take(self) -> F:
        """Return a fleet of the caller's own, who stops it."""
        if self._thread is None:
            # A thread of the tests' own, which no test is blamed for.
            self._thread = Thread(target=self._run, name="proxy", daemon=True)
            self._thread.start()
            self._wanted.put(True)
        self._wanted.put(True)
        made = self._made.get()
        if isinstance(made, Exception):
            raise made
        made.wait_until_ready()
        return made

    def close(self) -> None:
        """Stop the one that nobody took."""
        if self._thread is not None:
            made = self._made.get()
            if not isinstance(made, Exception):
                made.stop()
            self._wanted.put(False)
            self._thread.join()

    def _run(self) -> None:
        while self._wanted.get():
            try:
                self._made.put(self._make())
            except Exception as error:  # noqa: BLE001  the test that takes it fails
                self._made.put(error)
