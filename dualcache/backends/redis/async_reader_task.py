"""An asyncio connection that redis-py reads and writes, where it gives no transport away.

A task reads one reply after the other.
"""

from __future__ import annotations

import asyncio
from types import coroutine
from typing import TYPE_CHECKING, Any

from dualcache.backends.redis.async_io import loop_ends
from dualcache.backends.redis.errors import classify
from dualcache.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from dualcache.backends.redis.async_io import Owner
    from dualcache.backends.redis.connections import AsyncConnection

__all__ = ["ReaderTaskIO", "close_now"]


class ReaderTaskIO:
    """The bytes of a connection that goes through redis-py; see `ConnectionIO`."""

    def __init__(
        self, connection: AsyncConnection, loop: asyncio.AbstractEventLoop, owner: Owner
    ) -> None:
        self.heard_at = 0.0
        self.heard_bytes = 0
        self._connection = connection
        writer = getattr(connection, "_writer", None)
        self._is_closing: Callable[[], bool] = getattr(writer, "is_closing", _is_never_closing)
        self._loop = loop
        self._owner = owner
        self._draining: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    def begin(self) -> None:
        stream = getattr(self._connection, "_reader", None)
        if hasattr(stream, "feed_data"):
            self._count_what_comes(stream)
        self._reading = self._loop.create_task(self._read())

    def write(self, commands: list[bytes]) -> None:
        if self._is_closing():
            # redis-py calls `writelines`, which in Python 3.12 and earlier releases of 3.13 does
            # not check for a lost connection (gh-136234): it has the loop watch a socket that is
            # closed next, and the loop cannot watch the next socket with that number. The reader
            # task is about to see the end, and fails those who wait.
            return
        # Run by hand up to its first wait, which it has only where the socket is full: a task for
        # each write would cost a turn of the loop.
        writing = self._connection.send_packed_command(commands, check_health=False)
        try:
            held_up = writing.send(None)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001  whatever redis-py raises ends the connection
            self._owner.fail(classify(error))
            return
        # The socket is full: new callers wait until this write is through.
        self._owner.pause()
        self._draining = self._loop.create_task(self._drain(writing, held_up))
        # A task that is cancelled before it began would leave the write to the garbage collector.
        self._draining.add_done_callback(lambda _: writing.close())

    def unwritten(self) -> int:
        return 0  # not known without the transport

    async def room(self) -> None:
        """Wait for the write under way.

        It is cancelled when the connection fails; that is not the end of who waits for it.
        """
        if self._draining is not None:
            await asyncio.wait([self._draining])

    def close(self) -> None:
        for task in (self._reading, self._draining):
            if task is not None:
                task.cancel()
        close_now(self._connection)

    async def ended(self) -> None:
        if self._reading is not None:
            await asyncio.wait([self._reading])

    def forget(self) -> None:
        """Say nothing of the task that a loop left which ended without cancelling it."""
        reading: Any = self._reading
        if reading is not None:
            reading._log_destroy_pending = False  # noqa: SLF001  as asyncio.gather does

    def _count_what_comes(self, stream: Any) -> None:
        """Note when bytes come and how many: a large reply that comes slowly is no silence."""
        feed = stream.feed_data

        def counted(data: bytes) -> None:
            self.heard_at = self._loop.time()
            self.heard_bytes += len(data)
            feed(data)

        stream.feed_data = counted

    async def _drain(self, writing: Coroutine[Any, Any, None], held_up: object) -> None:
        try:
            await _rest_of(writing, held_up)
        except Exception as error:  # noqa: BLE001  whatever redis-py raises ends the connection
            self._draining = None
            self._owner.fail(classify(error))
            return
        self._draining = None
        self._owner.resume()

    async def _read(self) -> None:
        try:
            await self._read_until_it_fails()
        except BaseException:
            # Cancelled, as all tasks of a loop that ends; or a signal's exception, after which
            # nobody knows which replies were handed on.
            self._owner.fail(loop_ends())
            raise

    async def _read_until_it_fails(self) -> None:
        read_response = self._connection.read_response
        while True:
            try:
                reply = await read_response(disable_decoding=True)
            except Exception as error:  # noqa: BLE001  whatever redis-py raises
                # An error reply of a connection that redis-py has closed over it is the end of it.
                reply = classify(error)
                if not isinstance(reply, BackendRefused) or not self._connection.is_connected:
                    self._owner.fail(reply)
                    return
            self._owner.receive((reply,))


def _is_never_closing() -> bool:
    return False  # not known without redis-py's stream


@coroutine
def _rest_of(writing: Coroutine[Any, Any, None], held_up: object) -> Generator[Any, Any, None]:
    """Go on, inside a task, with a coroutine that was begun outside of one."""
    while True:
        try:
            try:
                yield held_up
            except BaseException as error:  # noqa: BLE001  it is the write that has to know
                held_up = writing.throw(error)
            else:
                held_up = writing.send(None)
        except StopIteration:
            return


def close_now(connection: AsyncConnection) -> None:
    """Have redis-py close a connection without waiting, also where its loop is closing."""
    closing = connection.disconnect(nowait=True)
    try:
        closing.send(None)
        closing.close()
    except BaseException:  # noqa: BLE001, S110  ended, or failed: nothing is asked of it any more
        pass
    # Outside of a task, as in a callback, redis-py before 8 fails before it closes the socket, and
    # would then warn of an open connection in its finalizer.
    close = getattr(connection, "_close", None)
    if close is not None:
        close()
