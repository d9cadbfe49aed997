"""The asyncio connections of an event loop: one for all callers, and one for large values.

Replies come back in the order of the commands, so a cancelled caller leaves no dirty connection.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from dualcache.backends.redis.async_io import loop_ends
from dualcache.backends.redis.connector import Connector
from dualcache.backends.redis.errors import classify
from dualcache.backends.redis.handshake import Handshake
from dualcache.backends.redis.push.tracking import (
    is_tracked,
    stamped,
    tracking_commands,
    unheard,
)
from dualcache.backends.redis.wire import ops as wire
from dualcache.backends.redis.wire import watch as wire_watch
from dualcache.backends.redis.wire.cluster import Exchange
from dualcache.backends.redis.wire.publish import is_told
from dualcache.core.ops import (
    Batch,
    Commit,
    CommitReply,
    CommitWay,
    DropConnections,
    Look,
    LookAndLease,
)
from dualcache.errors import BackendRefused, BackendUnavailable
from dualcache.options.patience import LARGE_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from dualcache.backends.redis.async_connection import MultiplexedConnection
    from dualcache.backends.redis.errors import OnMissingRight
    from dualcache.backends.redis.sentinel.watch import MasterWatch
    from dualcache.core.ops import Op
    from dualcache.front.tracking import Tracking
    from dualcache.options.target import Target

__all__ = ["LoopConnection"]

MOST_SLOW: Final = 1_000
"""How many keys are remembered whose reply held others up."""
MANY_OPS: Final = 64
"""From here on a batch may bring a large reply."""


class LoopConnection:
    """The connections of one event loop, made on first use, and anew after a failure.

    One is shared by all; a second one, made when it is needed, takes what is large, so that a small
    reply need not wait behind it. A failure fails what is in flight on that connection and nothing
    else; the next caller connects again.
    """

    def __init__(
        self,
        target: Target,
        tracking: Tracking | None = None,
        on_open: Callable[[], None] = lambda: None,
        on_missing_right: OnMissingRight | None = None,
        watch: MasterWatch | None = None,
    ) -> None:
        self._tracking = tracking
        handshake = Handshake(target, on_open, on_missing_right, watch)
        on_end, on_slow = self._ended, self._note_slow
        self._shared = Connector(target, handshake, on_end=on_end, on_slow=on_slow)
        self._large = Connector(target, handshake, on_end=on_end, on_slow=on_slow)
        self._slow: dict[str, None] = {}
        self._watched = asyncio.Lock()
        self.until_loop_ends: AsyncGenerator[None] | None = None

    def perform(self, op: Op[Any]) -> Awaitable[Any]:
        """Perform one backend op; raise `BackendError`, having dropped the connection.

        A read on an open connection costs no extra coroutine: every hit is such a read.
        """
        connection = self._shared.connection
        if (
            type(op) is Look
            and self._tracking is None
            and connection is not None
            and connection.takes_more
            and op.key not in self._slow
        ):
            data, count = wire.encode(op)
            return connection.exchange(data, count, op)
        return self._perform(op)

    def begin(self, op: Op[Any], data: bytes, count: int) -> asyncio.Future[Any] | None:
        """Send the commands of an op at once; `None` where they have to wait for something first.

        Gives their replies as they are, as an `Exchange` does, and costs no coroutine.
        """
        connection = self._shared.connection
        if connection is None or not connection.takes_more or self._watched.locked():
            return None
        if self._tracking is not None:
            return None
        return None if self._is_large(op) else connection.exchange(data, count)

    async def _perform(self, op: Op[Any]) -> Any:
        if type(op) is DropConnections:
            return self.drop()
        connector = self._large if self._is_large(op) else self._shared
        connection = await connector.ready()
        try:
            if self._tracking is not None and is_tracked(op):
                return await self._read_tracked(connection, op, self._tracking)
            return await self._converse(connection, op)
        except BackendRefused:
            raise
        except Exception as error:  # noqa: BLE001  a reply of any shape ends the connection
            made = classify(error)
            made.was_connected = isinstance(made, BackendUnavailable)
            connection.fail(made)
            raise made from None

    def drop(self) -> None:
        """Close the connections; commands in flight fail."""
        self._shared.drop()
        self._large.drop()

    def loop_ends(self) -> None:
        """Close the connections in the last turns of their loop."""
        self._shared.drop(loop_ends())
        self._large.drop(loop_ends())

    def forget(self) -> None:
        """Go without a word: the loop has ended, so nothing can be closed in it."""
        self._shared.forget()
        self._large.forget()

    async def aclose(self) -> None:
        """Close the connections and wait for their end."""
        await self._shared.aclose()
        await self._large.aclose()
        if self.until_loop_ends is not None:
            await self.until_loop_ends.aclose()

    def _is_large(self, op: Op[Any]) -> bool:
        """Whether sending this op or its reply may hold others up."""
        kind = type(op)
        if kind is Look or kind is LookAndLease:
            return op.key in self._slow  # type: ignore[attr-defined]
        if kind is Commit:
            return len(op.blob) > LARGE_BYTES  # type: ignore[attr-defined]
        if kind is Batch:
            ops: tuple[Op[Any], ...] = op.ops  # type: ignore[attr-defined]
            return len(ops) > MANY_OPS or any(map(self._is_large, ops))
        if kind is Exchange:
            return self._is_large(op.op)  # type: ignore[attr-defined]
        return False

    def _note_slow(self, op: Op[Any]) -> None:
        """Remember a key whose reply delayed others."""
        if isinstance(op, Look | LookAndLease):
            if len(self._slow) >= MOST_SLOW:
                self._slow.pop(next(iter(self._slow)))
            self._slow[op.key] = None

    async def _converse(self, connection: MultiplexedConnection, op: Op[Any]) -> Any:
        if type(op) is Commit and op.way is CommitWay.WATCH:
            # A watch belongs to the whole connection, so one commit of this kind at a time.
            async with self._watched:
                return await _commit_watched(connection, op)
        if self._watched.locked() and is_told(op):  # the end of a transaction ends every watch
            async with self._watched:
                return await connection.exchange(*wire.encode(op), op)
        return await connection.exchange(*wire.encode(op), op)

    async def _read_tracked(
        self, connection: MultiplexedConnection, op: Op[Any], tracking: Tracking
    ) -> Any:
        """Read; tell for which stream of pushes the server tracks that, where it matters."""
        redirect = tracking.redirect
        if redirect is None:
            return unheard(op, await self._converse(connection, op))
        if not redirect.client_id:
            connection.push_epoch = redirect.push_epoch
        elif redirect.push_epoch != connection.push_epoch:
            data = tracking_commands(redirect)
            client_id, switched = await connection.exchange(data, 2)
            if isinstance(client_id, int) and not isinstance(switched, BackendRefused):
                connection.client_id, connection.push_epoch = client_id, redirect.push_epoch
                tracking.add(client_id)
        push_epoch = connection.push_epoch
        return stamped(op, await self._converse(connection, op), push_epoch)

    def _ended(self, connection: MultiplexedConnection) -> None:
        """Note that reads of a connection are tracked no more."""
        if self._tracking is not None:
            self._tracking.gone(connection.client_id)


async def _commit_watched(connection: MultiplexedConnection, op: Commit) -> CommitReply:
    """Compare and set by WATCH, MULTI and EXEC; nobody else may watch there meanwhile."""
    try:
        found = await connection.exchange(*wire_watch.watch_commands(op))
        if not wire_watch.is_expected(op, found):
            await connection.exchange(*wire_watch.UNWATCH)
            return CommitReply.REFUSED
        return wire_watch.exec_reply(await connection.exchange(*wire_watch.exec_commands(op)))
    except BackendRefused as error:
        return wire_watch.refused(error)
