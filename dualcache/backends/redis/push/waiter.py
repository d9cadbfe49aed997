"""How the listener waits: every wait of its thread is here, so that tests need not wait."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Event

    from redis.connection import AbstractConnection

__all__ = ["Waiter"]


class Waiter:
    """Waits by the machine's own clock, whatever clock the tier has."""

    def now(self) -> float:
        """Return the time of the clock by which this waits, in seconds."""
        return monotonic()

    def until_readable(self, connection: AbstractConnection, seconds: float) -> bool:
        """Wait until a connection has something to be read; False: not within so many seconds."""
        return bool(connection.can_read(timeout=seconds))

    def until_set(self, stopping: Event, seconds: float) -> None:
        """Wait for so many seconds, or until the thread is to end."""
        stopping.wait(seconds)
