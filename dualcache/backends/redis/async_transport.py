"""A protocol of our own on the transport that redis-py has connected, encrypted and authenticated.

Replies are handed on where the bytes come in: no task reads, no stream, no coroutine for a reply.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from dualcache.backends.redis.async_reader_task import close_now
from dualcache.backends.redis.errors import classify
from dualcache.backends.redis.reply_reader import INCOMPLETE, make_reply_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.backends.redis.async_io import Owner
    from dualcache.backends.redis.connections import AsyncConnection
    from dualcache.backends.redis.reply_reader import ReplyReader

__all__ = ["TransportIO", "take_over"]

READ_BYTES: Final = 65_536


def take_over(
    connection: AsyncConnection, loop: asyncio.AbstractEventLoop, owner: Owner
) -> TransportIO | None:
    """Return the I/O on a connection's own transport; `None` where that cannot be had.

    redis-py has no public name for it, so a later version may keep it elsewhere, or have none. And
    nothing of what it has read already may be lost: its stream gives that back, its parser cannot.
    """
    stream: Any = getattr(connection, "_reader", None)
    transport: Any = getattr(getattr(connection, "_writer", None), "transport", None)
    reader = make_reply_reader(getattr(connection, "_parser", None))
    if not hasattr(transport, "set_protocol") or not hasattr(stream, "read") or reader is None:
        return None
    return TransportIO(connection, transport, stream, loop, owner, reader=reader)


class TransportIO(asyncio.Protocol):
    """The bytes of a connection whose transport is ours; see `ConnectionIO`."""

    def __init__(
        self,
        connection: AsyncConnection,
        transport: asyncio.Transport,
        stream: asyncio.StreamReader,
        loop: asyncio.AbstractEventLoop,
        owner: Owner,
        *,
        reader: ReplyReader,
    ) -> None:
        self.heard_at = 0.0
        self.heard_bytes = 0
        self.unwritten = transport.get_write_buffer_size
        # redis-py's streams warn where they are collected before they are closed.
        self._connection = connection
        self._transport = transport
        self._stream = stream
        self._loop = loop
        self._time = loop.time
        self._owner: Owner | None = owner
        self._receive: Callable[[Sequence[Any]], None] = owner.receive
        self._feed, self._gets, self._push = reader
        self._has_room = asyncio.Event()
        self._has_ended = asyncio.Event()

    def begin(self) -> None:
        transport = self._transport
        transport.set_protocol(self)
        if not transport.is_reading():  # the stream paused it: it had more than it wanted
            transport.resume_reading()
        if transport.is_closing():  # it may have told the stream already, and tells nobody again
            self._has_ended.set()
            self._loop.call_soon(self.eof_received)
            return
        try:
            came, is_at_end = _read_so_far(self._stream)
        except Exception as error:  # noqa: BLE001  the stream knows why its transport failed
            self._loop.call_soon(self.connection_lost, error)
            return
        if came:
            # Fed at once, since more may come in before what is called soon, and parsed then.
            self._feed(came)
            self._loop.call_soon(self.data_received, b"")
        if is_at_end:
            self._loop.call_soon(self.eof_received)

    def write(self, commands: list[bytes]) -> None:
        # Not `writelines`: asyncio of Python 3.12.0 to 3.12.8, 3.13.0 and 3.13.1 does not pause its
        # protocol after that, however much the socket has not taken (CVE-2024-12254).
        self._transport.write(commands[0] if len(commands) == 1 else b"".join(commands))

    async def room(self) -> None:
        await self._has_room.wait()

    def close(self) -> None:
        # `close()` of a transport first sends what it holds: a peer that reads nothing would keep
        # it for ever, and commands whose callers were told of a failure would still be sent. TLS
        # waits besides for the peer's goodbye, which redis-py's sync connections do not say either.
        self._transport.abort()
        close_now(self._connection)
        self._has_room.set()
        # The two refer to each other; opened here, the ring need not wait for the collector.
        self._owner = None
        self._receive = _ignore

    async def ended(self) -> None:
        await self._has_ended.wait()

    def forget(self) -> None:
        self._owner = None
        self._receive = _ignore

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        replies: list[Any] = []
        error: Exception | None = None
        try:
            try:
                if data:
                    self.heard_at = self._time()
                    self.heard_bytes += len(data)
                    self._feed(data)
                gets, push = self._gets, self._push
                while (reply := gets()) is not INCOMPLETE:
                    if type(reply) is not push:
                        replies.append(reply)
            except Exception as raised:  # noqa: BLE001  no RESP; what came before it is good
                error = raised
            self._receive(replies)
            if error is not None:
                self._fail(error)
        except BaseException:
            # A signal's exception: nobody knows which replies were handed on, and one that is lost
            # would leave every later caller with the reply of another.
            self._fail(ConnectionError("reading was interrupted"))
            raise

    def eof_received(self) -> None:
        self._fail(ConnectionError("the server closed the connection"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_ended.set()
        self._fail(exc or ConnectionError("the connection was closed"))

    def pause_writing(self) -> None:
        self._has_room.clear()
        if self._owner is not None:
            self._owner.pause()

    def resume_writing(self) -> None:
        self._has_room.set()
        if self._owner is not None:
            self._owner.resume()

    def _fail(self, error: Exception) -> None:
        if self._owner is not None:
            self._owner.fail(classify(error))


def _read_so_far(stream: asyncio.StreamReader) -> tuple[bytes, bool]:
    """Read the buffer of a stream, and whether the stream has ended; raise its error.

    A read that need not wait is through in one step; one that would wait is given up.
    """
    came = b""
    while True:
        reading = stream.read(READ_BYTES)
        try:
            reading.send(None)
        except StopIteration as ended:
            if not ended.value:
                return came, True
            came += ended.value
        else:
            reading.close()
            return came, False


def _ignore(_: object) -> None:
    """Take replies that nobody waits for: the connection has ended."""
