"""Opening a TCP socket within a budget that the resolver and every address of the name share.

`getaddrinfo` knows no time-out, so it runs in a thread that may be left behind. The addresses race:
a name with seven dead addresses and a good one is as good as the good one (RFC 8305).
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from selectors import EVENT_WRITE, DefaultSelector
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dualcache.drivers.threads import start

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["dial", "resolve"]

Address: TypeAlias = tuple[Any, int, int, str, Any]
"""One address as `getaddrinfo` returns it."""
UNDER_WAY: Final = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN}


def dial(host: str, port: int, family: int, seconds: float) -> socket.socket:
    """Return a connected socket that does not block; raise `TimeoutError` or another `OSError`."""
    ends = monotonic() + seconds
    return _connect_first(resolve(host, port, family, seconds), ends)


def resolve(host: str, port: int, family: int, seconds: float) -> Sequence[Address]:
    """Return the addresses of a name; raise `TimeoutError` where the resolver takes too long.

    Callers share one question for each name, so a resolver that hangs costs one thread.
    """
    try:
        # An address is read without the resolver: no thread, no question.
        flags = socket.AI_NUMERICHOST
        return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, flags)
    except socket.gaierror:
        pass  # a name, not an address
    asked = _Question(host, port, family)
    question = _Question.under_way.setdefault(asked.key, asked)
    if question is asked:
        question.start()
    if not question.ended.wait(seconds):
        raise TimeoutError("the resolver gave no answer in time")
    if question.error is not None:
        raise OSError(*question.error.args)  # a copy: several callers may raise it
    return question.addresses


class _Question:
    """One question to the resolver, in a thread of its own."""

    under_way: Final[dict[tuple[Any, ...], _Question]] = {}

    def __init__(self, host: str, port: int, family: int) -> None:
        self.key = (os.getpid(), host, port, family)  # a forked child does not have the thread
        self.ended = Event()
        self.addresses: Sequence[Address] = ()
        self.error: OSError | None = None

    def start(self) -> None:
        try:
            start(Thread(target=self._ask, name="dualcache-resolver", daemon=True))
        except RuntimeError:  # no more threads, or the interpreter ends
            self._ask()

    def _ask(self) -> None:
        _, host, port, family = self.key
        try:
            self.addresses = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # a name may be too long for IDNA
            self.error = error if isinstance(error, OSError) else OSError("no host name")
        finally:
            self.under_way.pop(self.key, None)
            self.ended.set()


def _connect_first(addresses: Sequence[Address], ends: float) -> socket.socket:
    """Return a socket to the first address that answers.

    The attempts _begin one after the other, spread over the budget, and go on side by side.
    """
    waiting = deque(addresses)
    pause = max(0.0, ends - monotonic()) / (len(addresses) + 1)
    next_at = 0.0
    error = OSError("the name has no address")
    with DefaultSelector() as racing:
        try:
            while waiting or racing.get_map():
                now = monotonic()
                if now >= ends:
                    raise TimeoutError("no address of the server answered in time")
                if waiting and now >= next_at:
                    next_at = now + pause
                    failure = _begin(waiting.popleft(), racing)
                    if failure is not None:
                        error, next_at = failure, 0.0
                until = min(ends, next_at) if waiting else ends
                for key, _ in racing.select(max(0.0, until - monotonic())):
                    attempt = key.fileobj
                    assert isinstance(attempt, socket.socket)
                    # Writable means decided: the option tells how (connect(2), EINPROGRESS).
                    code = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    racing.unregister(attempt)
                    if not code:
                        return attempt
                    attempt.close()
                    error, next_at = OSError(code, os.strerror(code)), 0.0
            raise error
        finally:
            for key in tuple(racing.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]  # they are sockets


def _begin(address: Address, racing: DefaultSelector) -> OSError | None:
    """Begin to connect to one address; return why that is not possible."""
    family, kind, protocol, _, place = address
    attempt = None
    try:
        attempt = socket.socket(family, kind, protocol)
        attempt.setblocking(False)
        code = attempt.connect_ex(place)
        if code in UNDER_WAY or not code:
            racing.register(attempt, EVENT_WRITE)
            return None
        failure = OSError(code, os.strerror(code))
    except OSError as raised:  # no IPv6 on this machine, say
        failure = raised
    if attempt is not None:
        attempt.close()
    return failure
