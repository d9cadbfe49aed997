"""One life of the listener's connection: what `protocol.py` says, over a redis-py connection.

A real push must be seen before the stream is trusted.
"""

from __future__ import annotations

from contextlib import suppress
from secrets import token_hex
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from dualcache.backends.redis.connections import make_connection
from dualcache.backends.redis.errors import classify
from dualcache.backends.redis.push.protocol import PushProtocol
from dualcache.backends.redis.redis_py import reader_of_pushes
from dualcache.core.revocation import Revocation, channel_of, to_message
from dualcache.errors import BackendRefused, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.connection import AbstractConnection

    from dualcache.front.tier import Front
    from dualcache.options.target import Target

PROBE_SECONDS: Final = 0.5
PROBE_MS: Final = 1_000
PUSHES: Final = 3
"""The protocol that has pushes, whatever the data connections speak."""


class PushLink:
    """A connection on which pushes come, told to the front tier."""

    def __init__(self, target: Target, front: Front) -> None:
        self._target = replace(target, protocol=PUSHES)
        self._protocol = PushProtocol(front)
        self._connection: AbstractConnection = make_connection(self._target)
        self._read = reader_of_pushes(self._connection)
        self._sending = Lock()
        self._has_ended = False
        self._is_push = False
        self._heard_at = monotonic()
        self.is_open = False

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
        """The connection's id at the server: what others are redirected to."""
        return self._protocol.client_id

    def open(self, transport: str, prefix: str) -> float:
        """Connect and switch pushes on; return when the stream was known to be complete."""
        connection = self._connection
        try:
            connection.connect()
        except Exception as error:  # noqa: BLE001  whatever redis-py raises
            raise classify(error) from None
        self.is_open = True
        set_push_handler(connection, self._pushed)
        asked_at = self._opened(transport, prefix)
        self._watch_role()
        self._probe(transport, prefix)
        return asked_at

    def hear(self, seconds: float) -> bool:
        """Take what comes within so many seconds: one push or one answer. False: nothing came."""
        connection = self._connection
        try:
            if not connection.can_read(timeout=seconds):
                return False
            self._is_push = False
            reply = self._read()
        except Exception as error:  # noqa: BLE001  whatever redis-py raises
            raise classify(error) from None
        self._heard_at = monotonic()
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
        with suppress(Exception):
            self._connection._sock.shutdown(2)  # type: ignore[attr-defined]  # noqa: SLF001  no public way to wake a reader

    def end(self) -> None:
        """Close the connection; wake who waits for a proof."""
        self.close()  # who sends just now shall not keep the lock for long
        with self._sending:
            self._has_ended = True
            with suppress(Exception):
                self._connection.disconnect()
        self._protocol.end()

    def _opened(self, transport: str, prefix: str) -> float:
        """Switch pushes on; return when the stream was known to be complete."""
        opening = self._protocol.opening(transport, prefix)
        try:
            command = next(opening)
            while True:
                command = opening.send(self._reply(*command))
        except StopIteration as end:
            asked_at: float = end.value
            return asked_at

    def _watch_role(self) -> None:
        """Have the server's role looked at with each proof, where that is allowed."""
        for command in (("ROLE",), ("INFO", "replication")):
            try:
                reply = self._reply(*command)
            except BackendRefused:
                self._protocol.answered(None)  # its place in the line of answers
                continue
            self._protocol.watch_role(command, reply)
            return

    def _pushed(self, message: Sequence[Any]) -> None:
        self._is_push = True
        self._protocol.pushed(message)

    def _probe(self, transport: str, prefix: str) -> None:
        """See a real push, or raise: a proxy may accept the command and never push."""
        name = f"{prefix}~p:{token_hex(8)}"
        self._protocol.sought.add(name)
        other = None if transport == "broadcast" else make_connection(self._target)
        try:
            if other is not None and transport == "tracking":
                ask(other, "CLIENT", "TRACKING", "ON", "REDIRECT", self.client_id)
                ask(other, "GET", name)
            if other is not None and transport == "pubsub":
                channel = channel_of(prefix)
                ask(other, "PUBLISH", channel, to_message(Revocation(channel, (name,))))
            else:
                self._reply("SET", name, "1", "PX", PROBE_MS)
            ends = monotonic() + PROBE_SECONDS
            while self._protocol.sought:
                if monotonic() >= ends:
                    raise BackendTimeout("no push came", code="DC210")
                self.hear(max(0, ends - monotonic()))
        finally:
            if other is not None:
                with suppress(Exception):
                    other.disconnect()

    def _reply(self, *command: Any) -> Any:
        """Send one command and return its reply, taking pushes that come before it."""
        found: list[Any] = []
        self._protocol.expect(found.append)
        self._send([command])
        ends = monotonic() + self._target.socket_timeout
        while not found:
            if monotonic() >= ends:
                raise BackendTimeout("the server gave no answer in time", code="DC201")
            self.hear(max(0, ends - monotonic()))
        return found[0]

    def _send(self, commands: Sequence[Sequence[Any]]) -> None:
        try:
            packed = self._connection.pack_commands(commands)
            self._connection.send_packed_command(packed, check_health=False)
        except Exception as error:  # noqa: BLE001  whatever redis-py raises
            raise classify(error) from None


def ask(connection: AbstractConnection, *command: Any) -> Any:
    """Send one command on a connection of one's own and return its reply."""
    try:
        connection.send_command(*command)
        return connection.read_response(disable_decoding=True)
    except Exception as error:  # noqa: BLE001  whatever redis-py raises
        raise classify(error) from None


def set_push_handler(connection: AbstractConnection, handler: Callable[[Any], None]) -> None:
    """Have pushes handed over; redis-py has no other hook for them."""
    parser = connection._parser  # noqa: SLF001
    parser.set_invalidation_push_handler(handler)
    parser.set_pubsub_push_handler(handler)
