"""One asyncio connection of a loop: made on first use, and anew after a failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dualcache.backends.redis.async_connection import MultiplexedConnection
from dualcache.errors import BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.backends.redis.handshake import Handshake
    from dualcache.core.ops import Op
    from dualcache.options.target import Target

__all__ = ["Connector"]


class Connector:
    """Holds a connection, and connects anew where there is none; all callers share one attempt."""

    def __init__(
        self,
        target: Target,
        handshake: Handshake,
        *,
        on_end: Callable[[MultiplexedConnection], None],
        on_slow: Callable[[Op[Any]], None],
    ) -> None:
        self.connection: MultiplexedConnection | None = None
        self._target = target
        self._handshake = handshake
        self._on_end = on_end
        self._on_slow = on_slow
        self._loop = asyncio.get_running_loop()
        self._connecting: asyncio.Task[MultiplexedConnection] | None = None
        self._life = 0

    async def ready(self) -> MultiplexedConnection:
        """Return a connection that is up and takes more."""
        connection = self.connection
        if connection is None or not connection.is_up:
            connection = await self._connected()
        await connection.room()
        return connection

    def drop(self, error: BackendUnavailable | None = None) -> None:
        """Close the connection; commands in flight fail, with `error` where one is given.

        One that is being opened is closed as soon as it is.
        """
        self._life += 1
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.fail(error or _closed())

    def forget(self) -> None:
        """Go without a word, with a loop that has ended."""
        if self.connection is not None:
            self.connection.forget()

    async def aclose(self) -> None:
        """Close the connection and wait for its end."""
        connection = self.connection
        if self._connecting is not None:
            self._connecting.cancel()
        self.drop()
        if connection is not None:
            await connection.ended()

    async def _connected(self) -> MultiplexedConnection:
        """Return a connection that is up.

        The attempt is a task of its own: a caller that is cancelled leaves no half-made handshake.
        """
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())
            self._connecting.add_done_callback(self._connect_ended)
        return await asyncio.shield(self._connecting)

    def _connect_ended(self, attempt: asyncio.Task[MultiplexedConnection]) -> None:
        self._connecting = None
        if not attempt.cancelled():
            attempt.exception()  # else it is told that nobody looked at it

    async def _connect(self) -> MultiplexedConnection:
        began = self._loop.time()
        target = await self._handshake.located_async()
        life = self._life
        opened = await self._handshake.open_async(target)
        connection = MultiplexedConnection(
            opened,
            self._target,
            self._loop,
            began=began,
            on_end=self._on_end,
            on_slow=self._on_slow,
            on_refused=self._handshake.on_refused,
        )
        if life == self._life:
            self.connection = connection
        else:
            # Dropped meanwhile, as a server to leave is: it may lead there.
            connection.fail(_closed())
        return connection


def _closed() -> BackendUnavailable:
    return BackendUnavailable("the connection was closed", code="DC200")
