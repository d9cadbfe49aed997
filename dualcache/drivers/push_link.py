"""One life of the listener's connection: pushes are switched on, seen, taken, and proved complete.

Answers come back in the order of the questions; pushes come between them.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from secrets import token_hex
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec.structs import replace

from dualcache.drivers.backend_errors import classify
from dualcache.drivers.connections import make_connection
from dualcache.errors import BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from redis.connection import AbstractConnection

    from dualcache.drivers.tracking import Tracking
    from dualcache.drivers.urls import Target

PROBE_SECONDS: Final = 0.5
PROBE_MS: Final = 1_000
PUSHES: Final = 3
"""The protocol that has pushes, whatever the data connections speak."""


class Sink(Protocol):
    """Who is told what the listener hears."""

    def connected(self, asked_at: float, *, is_tracked: bool) -> int: ...
    def lost(self) -> None: ...
    def broken(self) -> None: ...
    def proved(self, asked_at: float) -> None: ...
    def feed(self, names: Iterable[str] | None) -> None: ...
    def chose(self, transport: str, reason: str) -> None: ...
    def open_for_ttl(self, reason: str) -> None: ...


class PushLink:
    """A connection on which pushes come. `now` is the sink's clock."""

    def __init__(
        self, target: Target, sink: Sink, tracking: Tracking, now: Callable[[], float]
    ) -> None:
        self._target = replace(target, protocol=PUSHES)
        self._sink = sink
        self._tracking = tracking
        self._now = now
        self._connection: AbstractConnection = make_connection(self._target)
        self._expected: deque[Callable[[Any], None]] = deque()
        self._wakes: deque[Callable[[], None]] = deque()
        self._sending = Lock()
        self._has_ended = False
        self._is_push = False
        self._heard_at = monotonic()
        self._seen: set[str] = set()
        self.is_open = False
        self.client_id = 0

    def open(self, transport: str, prefix: str) -> float:
        """Connect and switch pushes on; return when the stream was known to be complete."""
        connection = self._connection
        try:
            connection.connect()
        except Exception as error:  # noqa: BLE001  whatever redis-py raises
            raise classify(error) from None
        self.is_open = True
        set_push_handler(connection, self._pushed)
        self.client_id = self._reply("CLIENT", "ID")
        if transport == "broadcast":
            scope = ("PREFIX", prefix) if prefix else ()
            self._reply("CLIENT", "TRACKING", "ON", "BCAST", *scope)
        else:
            self._reply("CLIENT", "LIST", "ID", self.client_id)  # each proof will ask for that
        asked_at = self._now()
        self._probe(transport, prefix)
        return asked_at

    def hear(self, seconds: float) -> bool:
        """Take what comes within so many seconds: one push or one answer. False: nothing came."""
        connection = self._connection
        try:
            if not connection.can_read(timeout=seconds):
                return False
            self._is_push = False
            reply = connection.read_response(disable_decoding=True, push_request=True)
        except Exception as error:  # noqa: BLE001  whatever redis-py raises
            raise classify(error) from None
        self._heard_at = monotonic()
        if not self._is_push and self._expected:
            self._expected.popleft()(reply)
        return True

    def ask_proof(self, wake: Callable[[], None] | None) -> None:
        """Ask whether every tracked connection lives, and for a sign of life behind all pushes."""
        with self._sending:
            if self._has_ended:  # redis-py would connect anew, and nobody would listen there
                raise BackendUnavailable("the listener's connection was closed", code="DC200")
            asked_at = self._now()
            ids = self._tracking.ids()
            commands: list[tuple[Any, ...]] = [("PING",)]
            if ids:
                commands.insert(0, ("CLIENT", "LIST", "ID", *ids))
                self._expected.append(lambda reply: self._listed(ids, reply))
            if wake is not None:
                self._wakes.append(wake)
            self._expected.append(lambda _: self._proved(asked_at, wake))
            self._send(commands)

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
        while self._wakes:
            self._wakes.popleft()()

    def _listed(self, ids: Sequence[int], reply: Any) -> None:
        alive = {int(word[3:]) for word in reply.split() if word.startswith(b"id=")}
        if not alive.issuperset(ids):
            self._tracking.forget(set(ids) - alive)
            self._sink.broken()

    def _proved(self, asked_at: float, wake: Callable[[], None] | None) -> None:
        self._sink.proved(asked_at)
        if wake is not None:
            with suppress(ValueError):
                self._wakes.remove(wake)
            wake()

    def _pushed(self, message: Sequence[Any]) -> None:
        """Take an `invalidate` push; a null says that anything may have changed."""
        self._is_push = True
        names = message[1]
        if names is None:
            self._sink.feed(None)
            return
        decoded = [decoded_name(name) for name in names]
        self._seen.update(name for name in decoded if "~p:" in name)
        self._sink.feed(decoded)

    def _probe(self, transport: str, prefix: str) -> None:
        """See a real push, or raise: a proxy may accept the command and never push."""
        name = f"{prefix}~p:{token_hex(8)}"
        reader = None
        try:
            if transport == "tracking":
                reader = make_connection(self._target)
                ask(reader, "CLIENT", "TRACKING", "ON", "REDIRECT", self.client_id)
                ask(reader, "GET", name)
            self._reply("SET", name, "1", "PX", PROBE_MS)
            ends = monotonic() + PROBE_SECONDS
            while name not in self._seen:
                if monotonic() >= ends:
                    raise BackendTimeout("no push came", code="DC210")
                self.hear(max(0, ends - monotonic()))
            self._seen.clear()
        finally:
            if reader is not None:
                with suppress(Exception):
                    reader.disconnect()

    def _reply(self, *command: Any) -> Any:
        """Send one command and return its reply, taking pushes that come before it."""
        found: list[Any] = []
        self._expected.append(found.append)
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
    """Have `invalidate` pushes handed over; redis-py has no other hook for them."""
    connection._parser.set_invalidation_push_handler(handler)  # noqa: SLF001


def decoded_name(name: Any) -> str:
    """Return a key's name; a foreign one may be no text."""
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
