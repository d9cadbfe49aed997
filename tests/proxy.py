"""A TCP proxy that slows, holds, cuts, garbles or refuses, for all connections or for one."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.ports import HOST, free_port, release

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK_BYTES: Final = 65536
JOIN_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Faults:
    """What befalls the bytes of one direction; the default is nothing.

    `latency` is seconds per piece read. `holds` is a black hole: nothing passes, not even the end
    of the connection, until the faults change. `cut_after` lets that many bytes pass, counted from
    when the faults were set, and then resets both sides. `garble` is given each piece. At most
    `chunk_bytes` are sent at once, and then nothing for `interval` seconds: a reply that drips, or
    a narrow link. A piece in which `hangs_up` finds something ends the connection.
    """

    latency: float = 0.0
    holds: bool = False
    cut_after: int | None = None
    garble: Callable[[bytes], bytes] | None = None
    chunk_bytes: int = CHUNK_BYTES
    interval: float = 0.0
    hangs_up: re.Pattern[bytes] | None = None


NONE: Final = Faults()


def hanging_up_at(*commands: str) -> Faults:
    """Return the faults of a proxy that closes the connection at commands that it does not know."""
    names = "|".join(commands).encode()
    return Faults(hangs_up=re.compile(rb"\*\d+\r\n\$\d+\r\n(?:%b)\r\n" % names, re.IGNORECASE))


BLACK_HOLE: Final = Faults(holds=True)


def flipped(data: bytes) -> bytes:
    """Flip the lowest bit of every byte but those that frame replies; a `garble`."""
    return bytes(byte if byte in b"\r\n$*+-:_" else byte ^ 1 for byte in data)


@dataclass(eq=False)
class Link:
    """One connection through the proxy; its own faults, where set, go before the proxy's."""

    proxy: Proxy = field(repr=False)
    client: socket.socket
    server: socket.socket
    address: object
    requests: Faults | None = None
    replies: Faults | None = None

    def fault(self, *, requests: Faults | None = None, replies: Faults | None = None) -> None:
        """Set the faults of this connection alone; `None` leaves them to the proxy."""
        self.requests, self.replies = requests, replies
        self.proxy._tell()

    def reset(self) -> None:
        """Close both sides with RST."""
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        for side in (self.client, self.server):
            # Wakes the thread that reads from it; RST is sent by close, so not after a shutdown.
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RD)
            side.close()
        self.proxy._forget(self)


class Proxy:
    """Listens on `port` and passes on to `target_port`; use as a context manager."""

    def __init__(self, target_port: int, *, target_host: str = HOST) -> None:
        self.host = HOST
        self.port = free_port()
        self.links: list[Link] = []
        self.accepted = 0
        self._target = (target_host, target_port)
        self._requests = self._replies = NONE
        self._changed = threading.Condition()
        self._is_closed = False
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.accept()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def lead_to(self, port: int) -> None:
        """Connect new connections to another port; the present ones stay where they are."""
        self._target = (self._target[0], port)

    def fault(self, *, requests: Faults = NONE, replies: Faults = NONE) -> None:
        """Set what befalls all connections, present and future, from now on."""
        self._requests, self._replies = requests, replies
        self._tell()

    def black_hole(self) -> None:
        """Hold everything in both directions; new connections are accepted and held, too."""
        self.fault(requests=BLACK_HOLE, replies=BLACK_HOLE)

    def heal(self) -> None:
        """End all faults; what was held arrives. Connections that were cut stay cut."""
        for link in self.links:
            link.requests = link.replies = None
        self.fault()
        self.accept()

    def reset(self) -> None:
        """Reset every present connection."""
        for link in tuple(self.links):
            link.reset()

    def refuse(self) -> None:
        """Refuse new connections; the present ones go on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
            listener.close()

    def accept(self) -> None:
        """Accept connections, again after `refuse()` on the same port."""
        if self._listener is None:
            self._listener = socket.create_server((self.host, self.port), backlog=512)
            self._run(self._serve, self._listener)

    def link_of(self, client: socket.socket) -> Link:
        """Block until this client's connection goes through; return it."""
        address = client.getsockname()
        with self._changed:
            self._changed.wait_for(lambda: address in self._addresses(), JOIN_SECONDS)
            return self.links[self._addresses().index(address)]

    def wait_for_links(self, count: int) -> None:
        """Block until so many connections are open at once."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.links) >= count, JOIN_SECONDS)
        assert came, f"{len(self.links)} connections are open, not {count}"

    def close(self) -> None:
        self.refuse()
        self._is_closed = True
        self.reset()
        self._tell()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)
            assert not thread.is_alive(), "a thread of the proxy hangs"
        release(self.port)

    def _addresses(self) -> list[object]:
        return [link.address for link in self.links]

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, address = listener.accept()
            except OSError:
                return
            self._connect(client, address)

    def _connect(self, client: socket.socket, address: object) -> None:
        try:
            server = socket.create_connection(self._target, JOIN_SECONDS)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(self, client, server, address)
        with self._changed:
            self.links.append(link)
            self.accepted += 1
            self._changed.notify_all()
        self._run(self._pump, link, client, server, lambda: link.requests or self._requests)
        self._run(self._pump, link, server, client, lambda: link.replies or self._replies)
        if self._is_closed:
            link.reset()

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="proxy", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _pump(
        self, link: Link, source: socket.socket, sink: socket.socket, faults: Callable[[], Faults]
    ) -> None:
        left: int | None = None
        counted: Faults | None = None
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(CHUNK_BYTES)
                now = self._let_through(faults)
                if self._is_closed or not data:
                    break
                if now is not counted:
                    counted, left = now, now.cut_after
                if now.hangs_up is not None and now.hangs_up.search(data):
                    break
                data = now.garble(data) if now.garble else data
                for start in range(0, len(data[:left]), now.chunk_bytes):
                    sink.sendall(data[:left][start : start + now.chunk_bytes])
                    if now.interval:
                        self._pause(now.interval)
                if left is not None:
                    left -= len(data)
                    if left <= 0:
                        link.reset()
                        return
        link.close()

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, seconds)

    def _let_through(self, faults: Callable[[], Faults]) -> Faults:
        """Wait out the delay and the black hole; return the faults that hold then."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, faults().latency or 1e-9)
            self._changed.wait_for(lambda: self._is_closed or not faults().holds)
        return faults()

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _forget(self, link: Link) -> None:
        with self._changed:
            if link in self.links:
                self.links.remove(link)
            self._changed.notify_all()
