"""How long a cache waits for its server, changed while it runs.

A call that is to time out needs a short time-out. All other calls of the same test need a long one:
on a busy machine a healthy server is late, too.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec.structs import force_setattr

from dualcache.backends.redis.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Generator

    from dualcache import Cache
    from dualcache.options.target import Target
    from tests.colours import Colour


def patient(url: str) -> str:
    """Return a URL of a cache that waits long for its server."""
    if url == "memory://":
        return url
    mark = "&" if "?" in url else "?"
    return f"{url}{mark}socket_timeout=10&socket_connect_timeout=10"


@contextmanager
def hasty(colour: Colour, cache: Cache, seconds: float = 0.1) -> Generator[None]:
    """Let calls to the server time out after `seconds`; after the block as the cache was told.

    That holds for connections that are open, and for those that are made in the block.
    """
    target = cache._runtime.backend.target
    before = target.socket_timeout, target.socket_connect_timeout
    colour.run(_set, cache, seconds, seconds)
    try:
        yield
    finally:
        colour.run(_set, cache, *before)


def _set(cache: Cache, seconds: float, connect_seconds: float) -> None:
    """Change the time-outs; called in the event loop whose connections it changes."""
    backend = cache._runtime.backend
    force_setattr(backend.target, "socket_timeout", seconds)
    force_setattr(backend.target, "socket_connect_timeout", connect_seconds)
    store: Any = backend._server
    if store._sync is not None:
        store._sync._pool._seconds = seconds
        for tracked in store._sync._pool.connections:
            if tracked.connection is not None:
                _set_sync(tracked.connection, backend.target)
    for connections in () if store._by_loop is None else store._by_loop._by_loop.values():
        for connector in (connections._shared, connections._large):
            if connector.connection is not None:
                _set_async(connector.connection, backend.target)


def _set_sync(connection: Any, target: Target) -> None:
    connection.socket_timeout = connection.budget.patience = target.socket_timeout
    connection._longest = target.longest_call
    connection._relax()


def _set_async(connection: Any, target: Target) -> None:
    connection._patience = target.socket_timeout
    connection._watchdog = Watchdog(target.socket_timeout, target.longest_call)
    if connection._timer is not None:  # it would look again when the old time-out ends
        connection._timer.cancel()
        connection._timer = None
