"""One asyncio connection that many callers share: replies come back in the order of the commands.

The commands of one loop turn go out in one write; a reader task hands replies to futures. So a
cancelled caller leaves no dirty connection behind, and one watchdog bounds every wait.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from msgspec.structs import replace

from dualcache.core.ops import Commit, CommitReply, CommitWay, Distrust, Look
from dualcache.drivers import wire, wire_watch
from dualcache.drivers.backend_errors import classify
from dualcache.drivers.connections import make_async_connection
from dualcache.drivers.link import Link
from dualcache.drivers.tracking import TRACKED, tracking_commands
from dualcache.drivers.wire_notice import is_told
from dualcache.errors import BackendRefused, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from dualcache.core.ops import Op
    from dualcache.drivers.tracking import Tracking
    from dualcache.drivers.urls import Target


class Channel:
    """A connection of one event loop; made on first use, and anew after a failure.

    A failure fails what is in flight and nothing else; the next caller connects again.
    """

    def __init__(self, target: Target, tracking: Tracking | None = None) -> None:
        self._target = target
        self._tracking = tracking
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._connecting: asyncio.Task[Link] | None = None
        self._watched = asyncio.Lock()

    def perform(self, op: Op[Any]) -> Awaitable[Any]:
        """Perform one backend op; raise `BackendError`, having dropped the connection.

        A read on a connection that is there costs no coroutine of its own: every hit is one.
        """
        link = self._link
        if type(op) is Look and self._tracking is None and link is not None and link.takes_more:
            return link.exchange(*wire.encode(op), op)
        return self._perform(op)

    async def _perform(self, op: Op[Any]) -> Any:
        link = self._link
        was_connected = link is not None and link.is_up
        if link is None or not link.takes_more:
            link = await self._ready()
        try:
            if self._tracking is not None and type(op) in TRACKED:
                return await self._read_tracked(link, op, self._tracking)
            return await self._converse(link, op)
        except BackendRefused:
            raise
        except Exception as error:  # noqa: BLE001  a reply of any shape ends the connection
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
        if type(op) is Distrust:
            return self.drop()
        if type(op) is Commit and op.way is CommitWay.WATCH:
            # A watch belongs to the whole connection, so one commit of this kind at a time.
            async with self._watched:
                return await commit_watched(link, op)
        if self._watched.locked() and is_told(op):  # the end of a transaction ends every watch
            async with self._watched:
                return wire.decode(op, await link.exchange(*wire.encode(op)))
        return wire.decode(op, await link.exchange(*wire.encode(op)))

    async def _read_tracked(self, link: Link, op: Op[Any], tracking: Tracking) -> Any:
        """Read; tell for which stream of pushes the server tracks that, where it matters."""
        redirect = tracking.redirect
        if redirect is None:
            return await self._converse(link, op)
        if redirect.stream != link.stream:
            data = tracking_commands(redirect)
            client_id, switched = await link.exchange(data, 2)
            if isinstance(client_id, int) and not isinstance(switched, BackendRefused):
                link.client_id, link.stream = client_id, redirect.stream
                tracking.add(client_id)
        stream = link.stream
        return replace(await self._converse(link, op), stream=stream)

    def _ended(self, link: Link) -> None:
        """Note that what a link read may change unheard from now on."""
        if self._tracking is not None:
            self._tracking.gone(link.client_id)

    async def _ready(self) -> Link:
        """Return a link that is up and takes more."""
        link = self._link
        if link is None or not link.is_up:
            link = await self._connected()
        await link.room()
        return link

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
        return Link(connection, self._target.socket_timeout, self._loop, self._ended)


class Channels:
    """The channel of each event loop of this process; a loop that is gone takes its own along."""

    def __init__(self, target: Target, tracking: Tracking | None = None) -> None:
        self._target = target
        self._tracking = tracking
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Channel] = WeakKeyDictionary()
        self._of_parents: list[object] = []
        self._last: tuple[ref[asyncio.AbstractEventLoop], Channel] | None = None

    def renew(self) -> None:
        """Begin anew in a forked child.

        The parent's channels are kept aside: collecting them would close and report its sockets.
        """
        self._of_parents.append(dict(self._by_loop))
        self._by_loop = WeakKeyDictionary()
        self._last = None

    def perform(self, op: Op[Any]) -> Awaitable[Any]:
        """Perform one backend op on the running loop's channel."""
        loop = asyncio.get_running_loop()
        known = self._last
        if known is None or known[0]() is not loop:
            known = self._last = (ref(loop), self._channel_of(loop))
        return known[1].perform(op)

    def _channel_of(self, loop: asyncio.AbstractEventLoop) -> Channel:
        channel = self._by_loop.get(loop)
        if channel is None:
            channel = self._by_loop[loop] = Channel(self._target, self._tracking)
        return channel

    async def aclose(self) -> None:
        """Close the running loop's channel."""
        self._last = None
        channel = self._by_loop.pop(asyncio.get_running_loop(), None)
        if channel is not None:
            await channel.aclose()


async def commit_watched(link: Link, op: Commit) -> CommitReply:
    """Compare and set by WATCH, MULTI and EXEC; nobody else may watch on this link meanwhile."""
    if not wire_watch.is_expected(op, await link.exchange(*wire_watch.watch_commands(op))):
        await link.exchange(*wire_watch.UNWATCH)
        return CommitReply.REFUSED
    return wire_watch.exec_reply(await link.exchange(*wire_watch.exec_commands(op)))
