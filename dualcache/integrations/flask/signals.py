"""Signals of blinker: events in the caches of applications.

The sender is the application; `event` is the event of dualcache, and `cache` is the cache that
emitted it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet, ref

from blinker import Namespace

from dualcache import BackendDown, BackendUp, Invalidated, Loaded, LoadFailed, NotStored

if TYPE_CHECKING:
    from blinker import Signal
    from flask import Flask

    from dualcache import Cache, Event

__all__ = [
    "Telling",
    "backend_down",
    "backend_up",
    "invalidated",
    "load_failed",
    "loaded",
    "not_stored",
]

_named: Final = Namespace()
invalidated: Final = _named.signal("dualcache-invalidated")
"""Keys, tags or patterns were invalidated in this process."""
backend_down: Final = _named.signal("dualcache-backend-down")
"""The server cannot be used; loads go on without it."""
backend_up: Final = _named.signal("dualcache-backend-up")
"""The server can be used again."""
loaded: Final = _named.signal("dualcache-loaded")
"""A function or a view ran, since nothing was stored."""
load_failed: Final = _named.signal("dualcache-load-failed")
"""A function or a view raised."""
not_stored: Final = _named.signal("dualcache-not-stored")
"""A result was returned, and cannot be stored."""

SIGNALS: Final[dict[type[Event], Signal]] = {
    Invalidated: invalidated,
    BackendDown: backend_down,
    BackendUp: backend_up,
    Loaded: loaded,
    LoadFailed: load_failed,
    NotStored: not_stored,
}
_tellings: Final[WeakSet[Telling]] = WeakSet()


class Telling:
    """Sends the events of one cache as signals, from the first receiver on.

    It does not listen before, because each hit of the front tier would then be an event, too.
    """

    def __init__(self, app: Flask, cache: Cache) -> None:
        self._app = ref(app)
        self._cache = cache
        self._is_on = False
        _tellings.add(self)
        if any(signal.receivers for signal in SIGNALS.values()):
            self.begin()

    def begin(self) -> None:
        """Send signals from now on."""
        if not self._is_on:
            self._is_on = True
            self._cache.on_event(self._tell)

    def _tell(self, event: Event) -> None:
        signal, app = SIGNALS.get(type(event)), self._app()
        if signal is not None and signal.receivers and app is not None:
            signal.send(app, event=event, cache=self._cache)


def _begin(_: Any, **__: Any) -> None:
    for telling in list(_tellings):
        telling.begin()


for _signal in SIGNALS.values():
    _signal.receiver_connected.connect(_begin)
