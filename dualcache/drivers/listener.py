"""The listener: one daemon thread that hears which keys changed and proves that it hears all.

It serves both colours and every loop. It never waits for a lock that user code can hold.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from secrets import token_hex
from threading import Event, Lock, Thread, current_thread
from typing import TYPE_CHECKING, Any, Final, Protocol

from dualcache.drivers.backend_errors import classify
from dualcache.drivers.connections import make_connection
from dualcache.errors import BackendError, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from redis.connection import AbstractConnection

    from dualcache.drivers.tracking import Tracking
    from dualcache.drivers.urls import Target

PROBE_SECONDS: Final = 0.5
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
HEARTBEATS: Final = 3
"""Proofs asked for within the bound on staleness."""


class Sink(Protocol):
    """Who is told what the listener hears."""

    def connected(self, asked_at: float) -> int: ...
    def lost(self) -> None: ...
    def broken(self) -> None: ...
    def proved(self, asked_at: float) -> None: ...
    def feed(self, names: Iterable[str] | None) -> None: ...
    def chose(self, transport: str, reason: str) -> None: ...
    def open_for_ttl(self, reason: str) -> None: ...


class Listener:
    """Connects, chooses a transport, hears pushes, asks for proofs, and begins again after a loss.

    `transports` are tried in this order; one counts only if a real push was seen on it.
    """

    def __init__(
        self,
        target: Target,
        sink: Sink,
        tracking: Tracking,
        *,
        prefix: str,
        transports: Sequence[str],
        max_staleness: float,
        now: Callable[[], float],
    ) -> None:
        self._target = target
        self._sink = sink
        self._tracking = tracking
        self._prefix = prefix
        self._transports = transports
        self._interval = max_staleness / HEARTBEATS
        self._now = now
        self._lock = Lock()
        self._thread: Thread | None = None
        self._stopping = Event()
        self._link: PushLink | None = None

    def start(self) -> None:
        """Let the thread run, if it does not yet."""
        if self._thread is not None:
            return
        with self._lock:
            thread = Thread(target=self._run, name="dualcache-listener", daemon=True)
            if self._thread is None:
                self._thread = thread
                thread.start()

    def close(self) -> None:
        """End the thread and wait for it. The next `start` begins again."""
        thread = self.stop()
        if thread is not None and thread is not current_thread():
            thread.join(2)

    def stop(self) -> Thread | None:
        """Let the thread end by itself."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stopping.set()
            self._stopping = Event()
            if self._link is not None:
                self._link.close()
        return thread

    def renew(self) -> None:
        """Begin anew in a forked child; the parent's thread and socket are left alone."""
        self._lock = Lock()
        self._thread = None
        self._stopping = Event()
        self._link = None

    def ask_proof(self, wake: Callable[[], None]) -> bool:
        """Have `wake` called when all pushes of by now are fed, or the stream is lost.

        False: there is no stream to ask, and nothing is kept.
        """
        link = self._link
        if link is None:
            return False
        try:
            link.ask_proof(wake)
        except BackendError:
            link.close()
        return True

    def _run(self) -> None:
        stopping = self._stopping
        pause = FIRST_PAUSE
        while not stopping.is_set():
            try:
                link = self._opened()
                if link is None:
                    return
                pause = FIRST_PAUSE
                with self._lock:
                    self._link = link
                self._listen(link, stopping)
            except BackendError as error:
                if not stopping.is_set():
                    self._sink.chose("none", error.code)
            self._end()
            stopping.wait(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)

    def _end(self) -> None:
        with self._lock:
            link, self._link = self._link, None
        self._tracking.close()
        self._sink.lost()
        if link is not None:
            link.end()

    def _opened(self) -> PushLink | None:
        """Return a link on which a push was seen, by the first transport that works.

        `None`: the tier does without pushes.
        """
        refusals: list[str] = []
        for transport in self._transports:
            if transport == "ttl":
                self._sink.open_for_ttl("; ".join(refusals) or "asked for")
                return None
            link = PushLink(self._target, self._sink, self._tracking, self._now)
            try:
                asked_at = link.open(transport, self._prefix)
            except BackendError as error:
                link.end()
                refusals.append(f"{transport}: {error.code}")
                if isinstance(error, BackendUnavailable | BackendTimeout) and not link.is_open:
                    raise
                continue
            stream = self._sink.connected(asked_at)
            if transport == "tracking":
                self._tracking.open(stream, link.client_id)
            self._sink.chose(transport, "; ".join(refusals) or "a push was seen")
            return link
        raise BackendUnavailable(
            "no transport for changes works on this server",
            code="DC210",
            details=(("tried", "; ".join(refusals)),),
            help="allow CLIENT TRACKING, or choose FrontTier(transport='ttl')",
        )

    def _listen(self, link: PushLink, stopping: Event) -> None:
        link.ask_proof(None)  # the first heartbeat already wants the answer to one before it
        next_proof = self._now() + self._interval
        while not stopping.is_set():
            left = next_proof - self._now()
            if left <= 0:
                link.require_proof(since=next_proof - self._interval)
                link.ask_proof(None)
                next_proof = self._now() + self._interval
                continue
            link.hear(left)


class PushLink:
    """One life of the listener's connection."""

    def __init__(
        self, target: Target, sink: Sink, tracking: Tracking, now: Callable[[], float]
    ) -> None:
        self._target = target
        self._sink = sink
        self._tracking = tracking
        self._now = now
        self._connection: AbstractConnection = make_connection(target)
        self._expected: deque[Callable[[Any], None]] = deque()
        self._wakes: deque[Callable[[], None]] = deque()
        self._sending = Lock()
        self._is_push = False
        self._proved_at = now()
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
        asked_at = self._now()
        self._probe(transport, prefix)
        return asked_at

    def hear(self, seconds: float) -> None:
        """Take what comes within so many seconds: one push or one reply."""
        connection = self._connection
        try:
            if not connection.can_read(timeout=seconds):
                return
            self._is_push = False
            reply = connection.read_response(disable_decoding=True, push_request=True)
        except Exception as error:  # noqa: BLE001  whatever redis-py raises
            raise classify(error) from None
        if not self._is_push and self._expected:
            self._expected.popleft()(reply)

    def ask_proof(self, wake: Callable[[], None] | None) -> None:
        """Ask whether every tracked connection lives, and for a sign of life behind all pushes."""
        with self._sending:
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

    def require_proof(self, since: float) -> None:
        """Raise where the proof asked for at the last heartbeat has not come: a half-open link."""
        if self._proved_at < since:
            raise BackendTimeout("the listener's connection is silent", code="DC201")

    def close(self) -> None:
        """Cut the connection from another thread, so that the listener's read ends."""
        with suppress(Exception):
            self._connection._sock.shutdown(2)  # type: ignore[attr-defined]  # noqa: SLF001  no public way to wake a reader

    def end(self) -> None:
        """Close the connection; wake who waits for a proof."""
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
        self._proved_at = self._now()
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
            self._reply("SET", name, "1", "PX", 1000)
            ends = self._now() + PROBE_SECONDS
            while name not in self._seen:
                if self._now() >= ends:
                    raise BackendTimeout("no push came", code="DC210")
                self.hear(ends - self._now())
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
        ends = self._now() + self._target.socket_timeout
        while not found:
            if self._now() >= ends:
                raise BackendTimeout("the server gave no answer in time", code="DC201")
            self.hear(ends - self._now())
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
