"""Which connections the server tracks for the listener, and for which stream of pushes.

The server forgets what a connection read when that connection goes, and tells nobody. So the end
of a tracked connection is a loss.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Redirect", "Tracking"]


class Redirect(NamedTuple):
    """The stream that is open, and the client id of its listener.

    The id is 0 where the stream does not depend on which connection reads; the stream still
    identifies the node of a cluster.
    """

    push_epoch: int
    client_id: int


class Tracking:
    """Shared by the listener and the drivers; `redirect` is `None` where reads are not tracked."""

    def __init__(self, on_gone: Callable[[], None]) -> None:
        self._on_gone = on_gone
        self._lock = Lock()
        self._ids: set[int] = set()
        self.redirect: Redirect | None = None

    def open(self, push_epoch: int, client_id: int) -> None:
        """From now on reads are tracked for this stream."""
        self.redirect = Redirect(push_epoch, client_id)

    def close(self) -> None:
        """There is no stream; connections are tracked anew for the next one."""
        self.redirect = None
        with self._lock:
            self._ids.clear()

    def after_fork(self) -> None:
        """Begin anew in a forked child."""
        self._lock = Lock()
        self._ids = set()
        self.redirect = None

    def ids(self) -> tuple[int, ...]:
        """Return the ids of all tracked connections."""
        with self._lock:
            return tuple(self._ids)

    def add(self, client_id: int) -> None:
        """Note that a connection is tracked."""
        with self._lock:
            self._ids.add(client_id)

    def gone(self, client_id: int) -> None:
        """Note that a tracked connection has ended: changes of its reads may be missed."""
        with self._lock:
            was_tracked = client_id in self._ids
            self._ids.discard(client_id)
        if was_tracked:
            self._on_gone()

    def forget(self, ids: Iterable[int]) -> None:
        """Forget connections that the server no longer has."""
        with self._lock:
            self._ids.difference_update(ids)
