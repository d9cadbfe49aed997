"""One life of the listener's connection: the protocol of `protocol.py`, over redis-py.

A real push must be seen before the stream is trusted.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from secrets import token_hex
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from dualcache.backends.redis.connections import make_connection
from dualcache.backends.redis.errors import classify
from dualcache.backends.redis.handshake import answers_older, hung_up
from dualcache.backends.redis.push.protocol import PushProtocol
from dualcache.backends.redis.redis_py import reader_of_pushes
from dualcache.backends.redis.tls import blame_files
from dualcache.backends.redis.wire.cluster import REDIRECTIONS
from dualcache.backends.redis.wire.rights import right_to
from dualcache.errors import BackendRefused, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.connection import AbstractConnection

    from dualcache.backends.redis.push.cluster_view import ClusterView
    from dualcache.backends.redis.push.transports import PushTransport
    from dualcache.backends.redis.push.waiter import Waiter
    from dualcache.backends.redis.sentinel.watch import MasterWatch
    from dualcache.errors import BackendError
    from dualcache.front.pushes import HeardTier
    from dualcache.options.target import Target

__all__ = ["PushLink"]

PROBE_SECONDS: Final = 0.5
PUSHES: Final = 3
"""The protocol that has pushes, whatever the data connections speak."""


class PushLink:
    """A connection on which pushes come over one transport, told to the front tier."""

    def __init__(
        self,
        target: Target,
        front: HeardTier,
        transport: type[PushTransport],
        prefix: str,
        waiter: Waiter,
        watch: MasterWatch | None = None,
        view: ClusterView | None = None,
    ) -> None:
        has = _has_all if view is None else view.has
        self.transport = transport(front, prefix, partial(token_hex, 8), has)
        self.is_open = False
        self.role_refusal: BackendRefused | None = None
        """Why the server's role is not known."""
        target = target if watch is None else watch.located()
        self._target = replace(target, protocol=PUSHES)
        self._prefix = prefix
        self._view = view
        self._protocol = PushProtocol(
            front, self.transport, None if watch is None else watch.confirmed_at
        )
        self._connection: AbstractConnection = make_connection(self._target)
        self._read = reader_of_pushes(self._connection)
        self._waiter = waiter
        self._sending = Lock()
        self._has_ended = False
        self._is_push = False
        self._heard_at = waiter.now()

    @property
    def is_of_master(self) -> bool:
        """Whether the server said that it is the master."""
        return self._protocol.role == "master"

    @property
    def is_of_other(self) -> bool:
        """Whether it said that it is not."""
        return self._protocol.role not in {"", "master"}

    @property
    def client_id(self) -> int:
        """The connection's client id, to which data connections redirect their pushes."""
        return self.transport.client_id

    def open(self) -> float:
        """Connect and switch pushes on; return when the stream was known to be complete."""
        connection = self._connection
        try:
            connection.connect()
        except Exception as raised:  # noqa: BLE001  whatever redis-py raises
            error = blame_files(classify(raised), self._target)
            if hung_up(error, connection) and answers_older(self._target):
                self.is_open = True  # it is there, and has no pushes
            raise error from None
        self.is_open = True
        _set_push_handler(connection, self._pushed)
        self._watch_cluster()
        asked_at = self._opened()
        self._watch_role()
        self._probe()
        self._reply("PING")  # each proof will ask for this
        return asked_at

    def hear(self, seconds: float) -> bool:
        """Read one push or one reply, within so many seconds; False if nothing came."""
        connection = self._connection
        try:
            if not self._waiter.until_readable(connection, seconds):
                return False
            # The read of a push returns what its handler returned, so that only the handler can
            # tell a push from a reply.
            self._is_push = False
            reply = self._read()
        except Exception as raised:  # noqa: BLE001  whatever redis-py raises
            error = classify(raised)
            raise _moved_away(error) if self._view is not None else error from None
        self._heard_at = self._waiter.now()
        if not self._is_push:
            self._protocol.answered(reply)
        return True

    def ask_proof(self, wake: Callable[[], None] | None) -> None:
        """Ask whether every tracked connection lives, and for a sign of life behind all pushes."""
        with self._sending:
            if self._has_ended:  # redis-py would connect anew, and nobody would listen there
                raise BackendUnavailable("the listener's connection was closed", code="DC200")
            self._send(self._protocol.proof(wake))

    def require_life(self, since: float) -> None:
        """Raise where nothing at all came since then, a proof being asked for: half-open.

        A thread that is merely late, behind many pushes, reads on; the tier is closed meanwhile.
        """
        if self._heard_at < since:
            raise BackendTimeout("the listener's connection is silent", code="DC201")

    def close(self) -> None:
        """Cut the connection from another thread, so that the listener's read ends."""
        # `disconnect` would close the socket under the thread that reads it; a shutdown ends the
        # read, and that thread closes the connection.
        with suppress(Exception):
            self._connection._sock.shutdown(2)  # type: ignore[attr-defined]  # noqa: SLF001  no public way to wake a reader

    def end(self) -> None:
        """Close the connection; wake the waiters for a proof."""
        self.close()  # who sends just now shall not keep the lock for long
        with self._sending:
            self._has_ended = True
            with suppress(Exception):
                self._connection.disconnect()
        self._protocol.end()

    def _opened(self) -> float:
        """Switch pushes on; return when the stream was known to be complete."""
        opening = self._protocol.opening()
        try:
            command = next(opening)
            while True:
                command = opening.send(self._reply(*command))
        except StopIteration as end:
            asked_at: float = end.value
            return asked_at

    def _watch_role(self) -> None:
        """Have the server's role looked at with each proof, where that is allowed."""
        # ROLE is in the ACL category @admin: a user without it may still have INFO.
        for command in (("ROLE",), ("INFO", "replication")):
            try:
                reply = self._reply(*command)
            except BackendRefused as error:
                self._protocol.answered(None)  # its place in the line of answers
                self.role_refusal = self.role_refusal or error
                continue
            self._protocol.watch_role(command, reply)
            self.role_refusal = None
            return

    def _watch_cluster(self) -> None:
        """Have the node's view of its cluster looked at with each proof, where there is one."""
        if self._view is not None:
            questions = self._view.questions()
            for each in questions:
                each.take(self._reply(*each.command))
            self._protocol.watch(questions)

    def _pushed(self, message: Sequence[Any]) -> None:
        self._is_push = True
        self._protocol.pushed(message)

    def _probe(self) -> None:
        """See a real push, or raise.

        A proxy may take the command and never push. A server of version 8.10 pushes only the keys
        that the listener's user may read, and says nothing where those are none.
        """
        name = self._probe_name()
        if name is None:
            return
        self._protocol.sought.add(name)
        probe = self.transport.probe(name)
        other = make_connection(self._target) if probe.elsewhere else None
        try:
            for command in probe.elsewhere:
                _ask(other, *command)
            for command in probe.here:
                self._reply(*command)
            ends = self._waiter.now() + PROBE_SECONDS
            while self._protocol.sought:
                left = ends - self._waiter.now()
                if left <= 0:
                    raise BackendTimeout("no push came", code="DC210")
                self.hear(left)
        finally:
            # Not before the push has come: with this connection the server would forget its read.
            if other is not None:
                with suppress(Exception):
                    other.disconnect()

    def _probe_name(self) -> str | None:
        """Draw a name whose changes this server pushes; `None`: it has no key of this prefix."""
        start = f"{self._prefix}~p:{token_hex(8)}"
        return start if self._view is None else self._view.own_name(start)

    def _reply(self, *command: Any) -> Any:
        """Send one command and return its reply, taking pushes that come before it."""
        found: list[Any] = []
        self._protocol.expect(found.append)
        self._send([command])
        ends = self._waiter.now() + self._target.socket_timeout
        while not found:
            left = ends - self._waiter.now()
            if left <= 0:
                raise BackendTimeout("the server gave no answer in time", code="DC201")
            try:
                self.hear(left)
            except BackendRefused as error:
                raise _naming_right(error, command) from None
        return found[0]

    def _send(self, commands: Sequence[Sequence[Any]]) -> None:
        try:
            packed = self._connection.pack_commands(commands)
            self._connection.send_packed_command(packed, check_health=False)
        except Exception as error:  # noqa: BLE001  whatever redis-py raises
            raise classify(error) from None


def _has_all(_: str) -> bool:
    return True


def _ask(connection: Any, *command: Any) -> Any:
    """Send one command on a connection that hears no pushes, and return its reply."""
    try:
        connection.send_command(*command)
        return connection.read_response(disable_decoding=True)
    except Exception as error:  # noqa: BLE001  whatever redis-py raises
        raise _naming_right(classify(error), command) from None


def _naming_right(error: BackendError, command: Sequence[Any]) -> BackendError:
    """Name the right to a command in an error that says that it is missing."""
    # Redis 6.2 says `client`, and not which part of it.
    if isinstance(error, BackendRefused) and error.prefix == "NOPERM" and "|…" in error.right:
        error.right = right_to(command)
    return error


def _moved_away(error: BackendError) -> BackendError:
    """Return the error of a node that has a key no more that each proof looks at."""
    if not isinstance(error, BackendRefused) or error.prefix not in REDIRECTIONS:
        return error
    made = BackendRefused("a slot of this node has moved to another one", code="DC330")
    made.prefix = error.prefix
    return made


def _set_push_handler(connection: AbstractConnection, handler: Callable[[Any], None]) -> None:
    """Have pushes handed over; redis-py has no other hook for them."""
    parser = connection._parser  # noqa: SLF001
    # redis-py logs and swallows what a handler raises, so a loss is raised from answers only.
    parser.set_invalidation_push_handler(handler)
    parser.set_pubsub_push_handler(handler)
