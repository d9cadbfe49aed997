"""redis-py's connections, bounded: how long connecting may take, and one call on a connection.

A socket's own time-out counts from the last byte, so a reply that drips would never end; connecting
would take that time for the resolver, each address, TLS and each reply of the handshake.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from redis import connection as theirs

from dualcache.backends.redis.dialing import dial
from dualcache.backends.redis.errors import classify
from dualcache.backends.redis.reply_reader import INCOMPLETE, make_hiredis_reader
from dualcache.errors import BackendRefused
from dualcache.options.patience import LARGE_BYTES, extra_seconds

if TYPE_CHECKING:
    from collections.abc import Generator

    from dualcache.backends.redis.errors import OnRefused
    from dualcache.backends.redis.reply_reader import ReplyReader

    # redis-py types these in part only, and mixes methods that cannot be told apart.
    Mixin: TypeAlias = Any
    Plain: TypeAlias = Any
    Tls: TypeAlias = Any
    Unix: TypeAlias = Any
else:
    Mixin, Plain, Tls = object, theirs.Connection, theirs.SSLConnection
    Unix = theirs.UnixDomainSocketConnection

__all__ = ["BoundedPlain", "BoundedSocket", "BoundedTls", "BoundedUnix"]

SLICE_BYTES: Final = 65_536
READ_BYTES: Final = 65_536
LONGEST_SECONDS: Final = 3_600.0
"""Of connecting, where no time-out is set."""


class _Budget:
    """The deadline of the call under way, and its progress."""

    __slots__ = ("ends", "extra", "has_begun", "is_changed", "moved", "patience")

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.extra = 0.0
        """Seconds that a large command may take beyond the patience."""
        self.ends = inf
        self.has_begun = False
        """Whether something has been received: only then the next piece needs a look."""
        self.is_changed = False
        """Whether the socket has another time-out than its own."""
        self.moved = 0


class BoundedSocket:
    """A socket whose sends and receives end with the budget of the call, besides its time-out.

    The first piece of a reply, which for most is all of it, costs one comparison.
    """

    __slots__ = ("_budget", "_receive_into", "_socket", "receive_first", "send_small")

    def __init__(self, made: socket.socket, budget: _Budget) -> None:
        self._socket = made
        self._budget = budget
        self._receive_into = made.recv_into
        # The socket's own, for what needs no look at the budget: its time-out bounds them.
        self.receive_first = made.recv
        self.send_small = made.sendall

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def recv_into(self, buffer: Any) -> int:
        """Receive, as a socket does; hiredis reads by this."""
        budget = self._budget
        if not budget.has_begun:
            budget.has_begun = True
            return self._receive_into(buffer)
        self._bound()
        count = self._receive_into(buffer)
        budget.moved += count
        return count

    def recv(self, *arguments: Any) -> bytes:
        """Receive, as a socket does; redis-py's own parser reads by this."""
        if self._budget.has_begun:
            self._bound()
        data = self._socket.recv(*arguments)
        self._budget.has_begun = True
        self._budget.moved += len(data)
        return data

    def sendall(self, data: bytes) -> None:
        """Send, as a socket does; the time-out of a large command counts from the last bytes."""
        if len(data) <= LARGE_BYTES:
            self.send_small(data)
            return
        budget = self._budget
        rest = memoryview(data)
        while rest:
            self._bound()
            sent = self._socket.send(rest[:SLICE_BYTES])
            budget.moved += sent
            rest = rest[sent:]
        budget.extra = extra_seconds(len(data))
        budget.has_begun = True  # what remains is not sent yet, wherever it is
        self._bound()

    def _bound(self) -> None:
        """Let the next wait end with the patience, and with the budget."""
        budget = self._budget
        if budget.ends == inf:
            return
        left = budget.ends - monotonic()
        if left <= 0:
            raise TimeoutError("the call took too long")
        wanted = budget.patience + budget.extra
        if left < wanted or budget.extra or budget.is_changed:
            budget.is_changed = True
            self._socket.settimeout(min(left, wanted))


class _Bounded(Mixin):  # type: ignore[misc]
    """The shared half of the bounded connections.

    redis-py makes the connection. What is asked on it then is read here: on its way through
    redis-py a reply passes five more calls.
    """

    _replies: ReplyReader | None = None
    is_dialled = False
    """Whether the server has accepted the connection; its handshake may still fail."""
    on_refused: OnRefused | None = None
    """Called with each reply that says that a right is missing."""

    def __init__(self, *, call_timeout: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._longest = call_timeout
        self.budget = _Budget(self.socket_timeout or inf)

    def begin(self) -> None:
        """Let the budget of a call begin now."""
        budget = self.budget
        budget.ends = monotonic() + self._longest
        budget.has_begun = False
        budget.moved = 0
        if budget.is_changed:
            self._relax()

    def send(self, data: bytes) -> None:
        """Send a few packed commands where there is a socket; `ask(b"", …)` reads their replies."""
        self._sock.send_small(data)

    def ask(self, data: bytes, count: int) -> list[Any]:  # noqa: C901  no call more than it needs
        """Send packed commands and read their replies; an error reply is a value among them."""
        # Around `send_packed_command`, which looks at the health of the connection on every call.
        # One function, not `send` and another one: every hit goes through here.
        sock, budget = self._sock, self.budget
        if sock is None:
            self.connect()
            sock = self._sock
        if len(data) > LARGE_BYTES:
            sock.sendall(data)
        elif data:
            sock.send_small(data)
        reader = self._replies
        if reader is None:
            return [self._read_by_redis_py() for _ in range(count)]
        receive = sock.recv if budget.has_begun else sock.receive_first
        budget.has_begun = True
        replies: list[Any] = []
        while True:
            received = receive(READ_BYTES)
            if not received:
                raise ConnectionError("the server closed the connection")
            reader.feed(received)
            while (reply := reader.gets()) is not INCOMPLETE:
                if isinstance(reply, Exception):
                    replies.append(self._refusal(reply))
                elif type(reply) is not reader.push:
                    replies.append(reply)
                if len(replies) == count:
                    return replies
            receive = sock.recv

    def _read_by_redis_py(self) -> Any:
        try:
            return self.read_response(disable_decoding=True)
        except Exception as error:  # noqa: BLE001  redis-py raises more than its own errors
            made = classify(error)
            if isinstance(made, BackendRefused) and self.is_connected:
                return self._refusal(made)
            raise made from None

    def _refusal(self, error: Exception) -> BackendRefused:
        """Return an error reply as a value; raise an error that ends the connection."""
        made = classify(error)
        if not isinstance(made, BackendRefused):
            raise made from None
        if made.right and self.on_refused is not None:
            self.on_refused(made)
        return made

    @property
    def is_connected(self) -> bool:
        """Whether there is a socket; redis-py has this since version 8."""
        return self._sock is not None

    @property
    def is_overdue(self) -> bool:
        """Whether the budget of the call is used up."""
        return monotonic() >= self.budget.ends

    def connect(self) -> None:
        """Connect within `socket_connect_timeout`, all that belongs to it included."""
        with self._connecting():
            super().connect()
        self._replies = make_hiredis_reader(self._parser)

    def connect_check_health(self, *arguments: Any, **options: Any) -> None:
        """Connect as `connect` does: redis-py calls it where something is sent before."""
        with self._connecting():
            super().connect_check_health(*arguments, **options)
        self._replies = make_hiredis_reader(self._parser)

    @contextmanager
    def _connecting(self) -> Generator[None]:
        budget = self.budget
        ends, begun = budget.ends, budget.has_begun
        budget.ends = min(ends, monotonic() + (self.socket_connect_timeout or LONGEST_SECONDS))
        budget.has_begun = True  # also the first reply of the handshake
        try:
            yield
        finally:
            budget.ends, budget.has_begun = ends, begun
            self._relax()

    def _relax(self) -> None:
        """Give the socket its own time-out back."""
        self.budget.is_changed = False
        self.budget.extra = 0.0
        if self._sock is not None:
            self._sock.settimeout(self.socket_timeout)

    def _connect(self) -> BoundedSocket:
        # redis-py and hiredis read and write by the methods of whatever is returned here.
        made = super()._connect()
        made.settimeout(self.socket_timeout)
        self.is_dialled = True
        return BoundedSocket(made, self.budget)


class _Dialling(Plain):  # type: ignore[misc]
    """Opens the socket by `dial`."""

    def _connect(self) -> socket.socket:
        budget: _Budget = self.budget
        made = dial(self.host, self.port, self.socket_type, budget.ends - monotonic())
        try:
            # As redis-py's own `_connect` does: a command could wait for the ACK of the one before.
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.socket_keepalive:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for option, value in self.socket_keepalive_options.items():
                    made.setsockopt(socket.IPPROTO_TCP, option, value)
            made.settimeout(max(0.001, budget.ends - monotonic()))  # of the TLS handshake
        except BaseException:
            made.close()
            raise
        return made


class BoundedPlain(_Bounded, _Dialling):  # type: ignore[misc]
    """A connection by TCP."""


class BoundedTls(_Bounded, Tls, _Dialling):  # type: ignore[misc]
    """A connection by TLS."""


class BoundedUnix(_Bounded, Unix):  # type: ignore[misc]
    """A connection by a Unix socket."""
