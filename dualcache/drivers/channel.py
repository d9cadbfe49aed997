"""One asyncio connection that many callers share: replies come back in the order of the commands.

The commands of one loop turn go out in one write; a reader task hands replies to futures. So a
cancelled caller leaves no dirty connection behind, and one watchdog bounds every wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import coroutine
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from dualcache.core.ops import Commit, CommitReply, CommitWay, Distrust
from dualcache.drivers import wire
from dualcache.drivers.backend_errors import classify
from dualcache.drivers.connections import make_async_connection
from dualcache.drivers.scripts import commit_source
from dualcache.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from redis.asyncio.connection import AbstractConnection

    from dualcache.core.ops import Op
    from dualcache.drivers.urls import Target


class Channel:
    """A connection of one event loop; made on first use, and anew after a failure.

    A failure fails what is in flight and nothing else; the next caller connects again.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._connecting: asyncio.Task[Link] | None = None
        self._watched = asyncio.Lock()

    async def perform(self, op: Op[Any]) -> Any:
        """Perform one backend op; raise `BackendError`, having dropped the connection."""
        if type(op) is Distrust:
            return self.drop()
        link = self._link
        was_connected = link is not None and link.is_up
        if link is None or not link.is_up:
            link = await self._connected()
        try:
            return await self._converse(link, op)
        except BackendRefused:
            raise
        except Exception as error:
            made = classify(error)
            made.was_connected = was_connected and isinstance(made, BackendUnavailable)
            link.fail(made)
            raise made from None

    def drop(self) -> None:
        """Close the connection; what is in flight fails."""
        link, self._link = self._link, None
        if link is not None:
            link.fail(BackendUnavailable("the connection was closed", code="DC200"))

    async def aclose(self) -> None:
        """Close the connection and wait for its reader to end."""
        link = self._link
        if self._connecting is not None:
            self._connecting.cancel()
        self.drop()
        if link is not None:
            await link.ended()

    async def _converse(self, link: Link, op: Op[Any]) -> Any:
        if type(op) is Commit and op.way is CommitWay.WATCH:
            # A watch belongs to the whole connection, so one commit of this kind at a time.
            async with self._watched:
                return await commit_watched(link, op)
        data, count = wire.encode(op)
        try:
            return wire.decode(op, await link.exchange(data, count))
        except wire.ScriptMissing:
            await link.exchange(wire.script_load(commit_source()), 1)
            return wire.decode(op, wire.without_scripts(await link.exchange(data, count)))

    async def _connected(self) -> Link:
        """Return a link that is up; all who need one wait for the same attempt.

        The attempt is a task of its own: a caller that is cancelled leaves no half-made handshake.
        """
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())
            self._connecting.add_done_callback(self._connect_ended)
        return await asyncio.shield(self._connecting)

    def _connect_ended(self, attempt: asyncio.Task[Link]) -> None:
        self._connecting = None
        if not attempt.cancelled() and attempt.exception() is None:
            self._link = attempt.result()

    async def _connect(self) -> Link:
        connection = make_async_connection(self._target)
        try:
            async with asyncio.timeout(self._target.socket_connect_timeout):
                await connection.connect()
        except BaseException as error:  # noqa: BLE001  also when it is cancelled
            await connection.disconnect(nowait=True)
            raise classify(error) from None
        return Link(connection, self._target.socket_timeout, self._loop)


class Link:
    """One life of a connection: what was sent, and who waits for the replies."""

    def __init__(
        self, connection: AbstractConnection, timeout: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.is_up = True
        self._connection = connection
        self._timeout = timeout
        self._loop = loop
        self._unsent: list[bytes] = []
        self._expected: deque[Expected] = deque()
        self._draining: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._reader = loop.create_task(self._read())

    async def exchange(self, data: bytes, count: int) -> list[Any]:
        """Send packed commands with others of this turn; return the replies, errors as values."""
        if not self.is_up:
            raise BackendUnavailable("the connection was closed", code="DC200")
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(data)
        expected = Expected(self._loop.create_future(), count, self._loop.time() + self._timeout)
        self._expected.append(expected)
        if self._watchdog is None:
            self._watchdog = self._loop.call_at(expected.deadline, self._watch)
        if self._draining is not None:
            await asyncio.shield(self._draining)
        return await expected.replied

    def fail(self, error: BackendError) -> None:
        """End this link: everybody who waits for a reply gets `error`."""
        if not self.is_up:
            return
        self.is_up = False
        self._reader.cancel()
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._draining is not None:
            self._draining.cancel()
        while self._expected:
            replied = self._expected.popleft().replied
            if not replied.done():
                replied.set_exception(again(error))
        close_now(self._connection)

    async def ended(self) -> None:
        """Wait until the reader task is gone."""
        await asyncio.wait([self._reader])

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if not self.is_up or self._draining is not None:
            self._unsent = unsent
            return
        writing = self._connection.send_packed_command(unsent, check_health=False)
        try:
            held_up = writing.send(None)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001  whatever redis-py raises ends this link
            self.fail(classify(error))
            return
        # The socket is full: new callers wait until this write is through.
        self._draining = self._loop.create_task(self._drain(writing, held_up))

    async def _drain(self, writing: Coroutine[Any, Any, None], held_up: object) -> None:
        try:
            await rest_of(writing, held_up)
        except Exception as error:  # noqa: BLE001  whatever redis-py raises ends this link
            self._draining = None
            self.fail(classify(error))
            return
        self._draining = None
        if self._unsent:
            self._flush()

    async def _read(self) -> None:
        expected = self._expected
        while True:
            try:
                reply = await self._connection.read_response(disable_decoding=True)
            except asyncio.CancelledError:
                self.fail(BackendUnavailable("the event loop ends", code="DC200"))
                raise
            except Exception as error:  # noqa: BLE001  whatever redis-py raises
                reply = classify(error)
                if not isinstance(reply, BackendRefused) or not self._connection.is_connected:
                    self.fail(reply)
                    return
            if not expected:
                self.fail(BackendUnavailable("a reply came that nobody waits for", code="DC204"))
                return
            first = expected[0]
            first.replies.append(reply)
            if len(first.replies) == first.count:
                expected.popleft()
                if not first.replied.done():
                    first.replied.set_result(first.replies)

    def _watch(self) -> None:
        """See whether the oldest command has waited too long; one timer serves them all."""
        self._watchdog = None
        if not self._expected:
            return
        deadline = self._expected[0].deadline
        if deadline <= self._loop.time():
            self.fail(BackendTimeout("the server gave no answer in time", code="DC201"))
        else:
            self._watchdog = self._loop.call_at(deadline, self._watch)


class Expected:
    """The replies that one caller waits for."""

    __slots__ = ("count", "deadline", "replied", "replies")

    def __init__(self, replied: asyncio.Future[list[Any]], count: int, deadline: float) -> None:
        self.replied = replied
        self.count = count
        self.deadline = deadline
        self.replies: list[Any] = []


class Channels:
    """The channel of each event loop of this process; a loop that is gone takes its own along."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Channel] = WeakKeyDictionary()
        self._of_parents: list[object] = []

    def renew(self) -> None:
        """Begin anew in a forked child.

        The parent's channels are kept aside: collecting them would close and report its sockets.
        """
        self._of_parents.append(dict(self._by_loop))
        self._by_loop = WeakKeyDictionary()

    async def perform(self, op: Op[Any]) -> Any:
        """Perform one backend op on the running loop's channel."""
        loop = asyncio.get_running_loop()
        channel = self._by_loop.get(loop)
        if channel is None:
            channel = self._by_loop[loop] = Channel(self._target)
        return await channel.perform(op)

    async def aclose(self) -> None:
        """Close the running loop's channel."""
        channel = self._by_loop.pop(asyncio.get_running_loop(), None)
        if channel is not None:
            await channel.aclose()


async def commit_watched(link: Link, op: Commit) -> CommitReply:
    """Compare and set by WATCH, MULTI and EXEC; nobody else may watch on this link meanwhile."""
    if not wire.is_expected(op, await link.exchange(*wire.watch_commands(op))):
        await link.exchange(*wire.UNWATCH)
        return CommitReply.REFUSED
    return wire.exec_reply(await link.exchange(*wire.exec_commands(op)))


@coroutine
def rest_of(writing: Coroutine[Any, Any, None], held_up: object) -> Generator[Any, Any, None]:
    """Go on, inside a task, with a coroutine that was begun outside of one."""
    while True:
        yield held_up
        try:
            held_up = writing.send(None)
        except StopIteration:
            return


def again(error: BackendError) -> BackendError:
    """Return a copy of an error: two callers must not share one traceback."""
    made = type(error)(error.what, code=error.code, details=error.details, help=error.help)
    made.__dict__.update(error.__dict__)
    return made


def close_now(connection: AbstractConnection) -> None:
    """Close a connection without waiting, also where its loop is closing."""
    closing = connection.disconnect(nowait=True)
    try:
        closing.send(None)
    except BaseException:  # noqa: BLE001  ended, or failed: nothing is asked of it any more
        return
    closing.close()
