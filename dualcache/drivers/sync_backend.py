"""The sync colour's connections: a LIFO of redis-py connections, one op at a time on each.

They are used through their public methods; what is raised on one drops it.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Condition
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import finalize

from msgspec.structs import replace

from dualcache.core.ops import Commit, CommitReply, CommitWay, Distrust
from dualcache.drivers import wire, wire_watch
from dualcache.drivers.backend_errors import classify, too_slow
from dualcache.drivers.handshake import Handshake
from dualcache.drivers.tracking import TRACKED, UNTRACKED, Lane, tracking_commands
from dualcache.errors import BackendRefused, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualcache.core.ops import Op
    from dualcache.drivers.connections import Connection
    from dualcache.drivers.tracking import Redirect, Tracking
    from dualcache.drivers.urls import Target


class SyncBackend:
    """Performs backend ops over at most `max_connections` connections, the last used one first."""

    def __init__(self, target: Target, tracking: Tracking | None = None) -> None:
        self._target = target
        self._handshake = Handshake(target)
        self._tracking = tracking
        self._begin()

    def _begin(self) -> None:
        self._slots: list[Lane | None] = [None] * self._target.max_connections
        self._freed = Condition()
        self._waiting = 0
        # A cache that nobody closed: the collector would take sockets before their connections.
        self._forgotten = finalize(self, disconnect_all, self._slots)
        self._forgotten.atexit = False

    def renew(self) -> None:
        """Begin anew in a forked child; the parent's sockets are left alone."""
        self._forgotten.detach()
        self._begin()

    def perform(self, op: Op[Any]) -> Any:
        """Perform one backend op; raise `BackendError`, having dropped its connection."""
        if type(op) is Distrust:
            return self.close()
        lane = self._take()
        was_connected = lane is not None
        try:
            if lane is None:
                lane = Lane(self._handshake.open())  # the budget of this call has begun
            else:
                lane.connection.begin()
            if self._tracking is None or type(op) not in TRACKED:
                reply = self._converse(lane.connection, op)
            else:
                reply = self._read_tracked(lane, op, self._tracking)
        except BackendRefused:
            self._give(lane)
            raise
        except BaseException as error:  # noqa: BLE001  the connection may be dirty
            made = self._blamed(error, lane, was_connected=was_connected)
            self._drop(lane)
            self._give(None)
            raise made from None
        self._give(lane)
        return reply

    def close(self) -> None:
        """Close every idle connection; those in use are closed when they come back."""
        slots = self._slots
        for _ in range(len(slots)):
            try:
                lane = slots.pop()
            except IndexError:
                return
            self._drop(lane)
            slots.insert(0, None)

    def _read_tracked(self, lane: Lane, op: Op[Any], tracking: Tracking) -> Any:
        """Read; tell for which stream of pushes the server tracks that, where it matters."""
        redirect = tracking.redirect
        if redirect is None:
            return self._converse(lane.connection, op)
        if redirect.stream != lane.stream:
            self._track(lane, redirect, tracking)
        return replace(self._converse(lane.connection, op), stream=lane.stream)

    def _track(self, lane: Lane, redirect: Redirect, tracking: Tracking) -> None:
        """Have the server push what this connection reads from now on."""
        data = tracking_commands(redirect)
        client_id, switched = exchange(lane.connection, data, 2)
        if isinstance(client_id, int) and not isinstance(switched, BackendRefused):
            lane.client_id, lane.stream = client_id, redirect.stream
            tracking.add(client_id)
        else:
            lane.stream = UNTRACKED

    def _drop(self, lane: Lane | None) -> None:
        """Close a connection, whatever state it is in."""
        if lane is None:
            return
        disconnect_all([lane])
        if self._tracking is not None:
            self._tracking.gone(lane.client_id)

    def _converse(self, connection: Connection, op: Op[Any]) -> Any:
        if type(op) is Commit and op.way is CommitWay.WATCH:
            return commit_watched(connection, op)
        return wire.decode(op, exchange(connection, *wire.encode(op)))

    def _blamed(
        self, error: BaseException, lane: Lane | None, *, was_connected: bool
    ) -> BaseException:
        if not isinstance(error, Exception):
            return error
        made = classify(error)
        if isinstance(made, BackendTimeout) and lane is not None and lane.connection.is_overdue:
            return too_slow(lane.connection.budget.moved)
        if was_connected and isinstance(made, BackendUnavailable):
            made.was_connected = True
            self.close()
        return made

    def _take(self) -> Lane | None:
        try:
            return self._slots.pop()
        except IndexError:
            return self._take_freed()

    def _take_freed(self) -> Lane | None:
        ends = monotonic() + self._target.socket_timeout
        with self._freed:
            self._waiting += 1
            try:
                while True:
                    try:
                        return self._slots.pop()
                    except IndexError:
                        if not self._freed.wait(ends - monotonic()):
                            raise BackendTimeout(
                                "no connection came free in time",
                                code="DC208",
                                help="raise max_connections in the URL or the options",
                            ) from None
            finally:
                self._waiting -= 1

    def _give(self, lane: Lane | None) -> None:
        self._slots.append(lane)
        if self._waiting:
            with self._freed:
                self._freed.notify()


def disconnect_all(lanes: Iterable[Lane | None]) -> None:
    """Close connections of which nothing is asked any more."""
    for lane in lanes:
        if lane is not None:
            with suppress(Exception):
                lane.connection.disconnect()


def exchange(connection: Connection, data: bytes, count: int) -> list[Any]:
    """Send packed commands and read their replies; an error reply is a value among them."""
    connection.send(data)
    return [read(connection) for _ in range(count)]


def read(connection: Connection) -> Any:
    """Read one reply; an error that the server sent is a value."""
    try:
        return connection.read_response(disable_decoding=True)
    except Exception as error:  # noqa: BLE001  redis-py raises more than its own errors
        made = classify(error)
        if isinstance(made, BackendRefused) and connection.is_connected:
            return made
        raise made from None


def commit_watched(connection: Connection, op: Commit) -> CommitReply:
    """Compare and set by WATCH, MULTI and EXEC, on a connection of its own."""
    if not wire_watch.is_expected(op, exchange(connection, *wire_watch.watch_commands(op))):
        exchange(connection, *wire_watch.UNWATCH)
        return CommitReply.REFUSED
    return wire_watch.exec_reply(exchange(connection, *wire_watch.exec_commands(op)))
