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


class Connector:
    """Holds a link and connects anew where there is none; all callers share one attempt."""

    def __init__(
        self,
        target: Target,
        handshake: Handshake,
        *,
        on_end: Callable[[MultiplexedConnection], None],
        on_slow: Callable[[Op[Any]], None],
    ) -> None:
        self.link: MultiplexedConnection | None = None
        self._target = target
        self._handshake = handshake
        self._on_end = on_end
        self._on_slow = on_slow
        self._loop = asyncio.get_running_loop()
        self._connecting: asyncio.Task[MultiplexedConnection] | None = None

    async def ready(self) -> MultiplexedConnection:
        """Return a link that is up and takes more."""
        link = self.link
        if link is None or not link.is_up:
            link = await self._connected()
        await link.room()
        return link

    def drop(self) -> None:
        """Close the connection; what is in flight fails."""
        link, self.link = self.link, None
        if link is not None:
            link.fail(BackendUnavailable("the connection was closed", code="DC200"))

    def forget(self) -> None:
        """Go without a word, with a loop that has ended."""
        if self.link is not None:
            self.link.forget()

    async def aclose(self) -> None:
        """Close the connection and wait for its reader to end."""
        link = self.link
        if self._connecting is not None:
            self._connecting.cancel()
        self.drop()
        if link is not None:
            await link.ended()

    async def _connected(self) -> MultiplexedConnection:
        """Return a link that is up.

        The attempt is a task of its own: a caller that is cancelled leaves no half-made handshake.
        """
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())
            self._connecting.add_done_callback(self._connect_ended)
        return await asyncio.shield(self._connecting)

    def _connect_ended(self, attempt: asyncio.Task[MultiplexedConnection]) -> None:
        self._connecting = None
        if not attempt.cancelled() and attempt.exception() is None:
            self.link = attempt.result()

    async def _connect(self) -> MultiplexedConnection:
        began = self._loop.time()
        connection = await self._handshake.open_async()
        return MultiplexedConnection(
            connection,
            self._target,
            self._loop,
            began=began,
            on_end=self._on_end,
            on_slow=self._on_slow,
        )
