"""The sync colour's connections: a LIFO of redis-py connections, one op at a time on each.

They are used through their public methods; what is raised on one drops it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import finalize

from dualcache.backends.redis.connections import make_connection
from dualcache.backends.redis.errors import classify, too_slow
from dualcache.backends.redis.handshake import Handshake
from dualcache.backends.redis.push.tracking import (
    UNTRACKED,
    is_tracked,
    stamped,
    tracking_commands,
    unheard,
)
from dualcache.backends.redis.scripts import commit_source
from dualcache.backends.redis.sync_pool import SyncPool
from dualcache.backends.redis.wire import ops as wire
from dualcache.backends.redis.wire import watch as wire_watch
from dualcache.core.interrupts import interrupt_in
from dualcache.core.ops import Commit, CommitReply, CommitWay, DropConnections
from dualcache.errors import BackendRefused, BackendTimeout, BackendUnavailable
from dualcache.options.patience import LARGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualcache.backends.redis.connections import Connection
    from dualcache.backends.redis.errors import OnMissingRight
    from dualcache.backends.redis.push.tracking import TrackedConnection
    from dualcache.backends.redis.sentinel.watch import MasterWatch
    from dualcache.backends.redis.wire.cluster import Exchange
    from dualcache.core.ops import Op
    from dualcache.errors import BackendError
    from dualcache.front.tracking import Redirect, Tracking
    from dualcache.options.target import Target


__all__ = ["SyncBackend"]


class SyncBackend:
    """Performs backend ops over at most `max_connections` connections, the last used one first."""

    def __init__(
        self,
        target: Target,
        tracking: Tracking | None = None,
        on_open: Callable[[], None] = lambda: None,
        on_missing_right: OnMissingRight | None = None,
        watch: MasterWatch | None = None,
    ) -> None:
        self._target = target
        self._handshake = Handshake(target, on_open, on_missing_right, watch)
        self._tracking = tracking
        # What a call would import is imported here, before any holds anything. An import that is
        # interrupted can leave all imports locked, and the clean-up of its call would hang.
        make_connection(target)
        commit_source()
        self._begin()

    def _begin(self) -> None:
        self._pool = SyncPool(self._target.max_connections, self._target.socket_timeout)
        self._life = 0
        # A cache that nobody closed: the collector would take sockets before their connections.
        self._forgotten = finalize(self, _disconnect_all, self._pool.connections)
        self._forgotten.atexit = False

    def after_fork(self) -> None:
        """Begin anew in a forked child; the parent's sockets are left alone."""
        self._forgotten.detach()
        self._begin()

    def perform(self, op: Op[Any]) -> Any:
        """Perform one backend op; raise `BackendError`, having dropped its connection.

        What a signal handler raises ends the op too. It is raised on as it is, whatever its type.
        """
        if type(op) is DropConnections:
            return self.close()
        pool = self._pool
        taken: list[TrackedConnection] = []
        try:
            pool.take(taken, op)
            return self._perform_on(taken[0], op)
        finally:
            # In one call into C, and before any other call: see `sync_pool`.
            pool.free.extend(taken)
            if pool.waiting:
                pool.wake()

    def exchange(self, op: Exchange, meanwhile: Callable[[], None]) -> Any:
        """Send commands, call `meanwhile`, and only then read; return the replies, or the error.

        Returns `None`, and has sent nothing, where something has to be waited for first.
        """
        pool = self._pool
        taken: list[TrackedConnection] = []
        try:
            # Nobody waits for one while holding another: two callers could wait for each other.
            is_ready = not pool.waiting and pool.take_free(taken) and self._is_ready(taken[0], op)
            failure = self._sent(taken[0], op) if is_ready else None
            meanwhile()
            return self._received(taken[0], op) if is_ready and failure is None else failure
        finally:
            # As in `perform`.
            pool.free.extend(taken)
            if pool.waiting:
                pool.wake()

    def close(self) -> None:
        """Close every idle connection; those in use are closed before they are used again."""
        self._life += 1
        pool = self._pool
        taken: list[TrackedConnection] = []
        try:
            while pool.take_free(taken):
                self._drop(taken[-1])
        finally:
            pool.free.extend(taken)
            if pool.waiting:
                pool.wake()

    def _perform_on(self, tracked: TrackedConnection, op: Op[Any]) -> Any:
        if tracked.is_busy or tracked.life != self._life:
            self._drop(tracked)
        was_connected = tracked.connection is not None
        tracked.is_busy = True
        try:
            if tracked.connection is None:
                target = self._handshake.located()
                tracked.life = self._life  # before it is opened: it may lead to the server to leave
                tracked.connection = self._handshake.open(target)  # this call's budget has begun
                was_connected = True  # its handshake was answered
            else:
                tracked.connection.begin()
            if self._tracking is None or not is_tracked(op):
                reply = self._converse(tracked.connection, op)
            else:
                reply = self._read_tracked(tracked, op, self._tracking)
        except BackendRefused:
            tracked.is_busy = False
            raise
        except BaseException as error:  # noqa: BLE001  the connection may be dirty
            interrupt = interrupt_in(error)
            made = interrupt or self._blamed(error, tracked, was_connected=was_connected)
            self._drop(tracked)
            if interrupt is not None:
                raise interrupt  # noqa: B904  it is raised as it came
            raise made from None
        tracked.is_busy = False
        return reply

    def _is_ready(self, tracked: TrackedConnection, op: Exchange) -> bool:
        """Tell whether commands can be sent at once, and without waiting for the server."""
        connection = tracked.connection
        if connection is None or tracked.is_busy or tracked.life != self._life:
            return False
        if len(op.data) > LARGE_BYTES or not connection.is_connected:
            return False
        if self._tracking is None or not is_tracked(op):
            return True
        redirect = self._tracking.redirect
        return redirect is not None and redirect.push_epoch == tracked.push_epoch

    def _sent(self, tracked: TrackedConnection, op: Exchange) -> BackendError | None:
        """Send commands; return the error if that fails."""
        tracked.is_busy = True  # until `_received` has read all replies
        try:
            tracked.connection.begin()
            tracked.connection.send(op.data)
        except BaseException as error:  # noqa: BLE001  the connection may be dirty
            return self._failed(error, tracked)
        return None

    def _received(self, tracked: TrackedConnection, op: Exchange) -> Any:
        """Read the replies to commands that were sent; return the error if that fails."""
        try:
            tracked.connection.begin()  # what other nodes took is not on this one's budget
            replies = tracked.connection.ask(b"", op.awaits)
        except BaseException as error:  # noqa: BLE001  the connection may be dirty
            return self._failed(error, tracked)
        tracked.is_busy = False
        if self._tracking is None or not is_tracked(op):
            return replies
        return stamped(op, replies, tracked.push_epoch)

    def _failed(self, error: BaseException, tracked: TrackedConnection) -> BackendError:
        """Drop a connection; return why as an error of the backend, or raise an interrupt on."""
        interrupt = interrupt_in(error)
        if interrupt is not None:
            self._drop(tracked)
            raise interrupt
        made = self._blamed(error, tracked, was_connected=True)
        self._drop(tracked)
        return made

    def _read_tracked(self, tracked: TrackedConnection, op: Op[Any], tracking: Tracking) -> Any:
        """Read; tell for which stream of pushes the server tracks that, where it matters."""
        redirect = tracking.redirect
        if redirect is None:
            return unheard(op, self._converse(tracked.connection, op))
        if redirect.push_epoch != tracked.push_epoch:
            self._track(tracked, redirect, tracking)
        return stamped(op, self._converse(tracked.connection, op), tracked.push_epoch)

    def _track(self, tracked: TrackedConnection, redirect: Redirect, tracking: Tracking) -> None:
        """Have the server track the reads of this connection, if the stream depends on that."""
        if not redirect.client_id:
            tracked.push_epoch = redirect.push_epoch
            return
        data = tracking_commands(redirect)
        client_id, switched = tracked.connection.ask(data, 2)
        if isinstance(client_id, int) and not isinstance(switched, BackendRefused):
            tracked.client_id, tracked.push_epoch = client_id, redirect.push_epoch
            tracking.add(client_id)
        else:
            tracked.push_epoch = UNTRACKED

    def _drop(self, tracked: TrackedConnection) -> None:
        """Close a connection, whatever state it is in."""
        _disconnect_all([tracked])
        if self._tracking is not None and tracked.client_id:
            self._tracking.gone(tracked.client_id)
        tracked.connection, tracked.client_id, tracked.push_epoch = None, 0, UNTRACKED
        tracked.is_busy = False

    def _converse(self, connection: Connection, op: Op[Any]) -> Any:
        if type(op) is Commit and op.way is CommitWay.WATCH:
            return _commit_watched(connection, op)
        return wire.decode(op, connection.ask(*wire.encode(op)))

    def _blamed(
        self, error: BaseException, tracked: TrackedConnection, *, was_connected: bool
    ) -> BackendError:
        made = classify(error)
        connection = tracked.connection
        if isinstance(made, BackendTimeout) and connection is not None and connection.is_overdue:
            return too_slow(connection.budget.moved)
        if was_connected and isinstance(made, BackendUnavailable):
            made.was_connected = True
            # The server went or changed, so its other connections are dead as well: each would cost
            # a caller a failure of its own.
            self.close()
        return made


def _disconnect_all(connections: Iterable[TrackedConnection]) -> None:
    """Close connections of which nothing is asked any more."""
    for tracked in connections:
        if tracked.connection is None:
            continue
        try:
            tracked.connection.disconnect()
        except Exception as error:  # a connection that fails to close is gone all the same
            if interrupt_in(error) is not None:
                raise


def _commit_watched(connection: Connection, op: Commit) -> CommitReply:
    """Compare and set by WATCH, MULTI and EXEC, on a connection of its own."""
    try:
        if not wire_watch.is_expected(op, connection.ask(*wire_watch.watch_commands(op))):
            connection.ask(*wire_watch.UNWATCH)
            return CommitReply.REFUSED
        return wire_watch.exec_reply(connection.ask(*wire_watch.exec_commands(op)))
    except BackendRefused as error:
        return wire_watch.refused(error)
