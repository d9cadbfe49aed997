"""Ports for the servers that tests start: while one is held, no process of a test run gets it.

A server binds its port some time after it was chosen, and while it is down for a moment nothing
listens there. If another server takes the port meanwhile, it answers in the place of the first.
"""

from __future__ import annotations

import random
import socket
from typing import Final

HOST: Final = "127.0.0.1"
FIRST: Final = 10_000
CEILING: Final = 32_000
"""Above it begins the range that outgoing connections take: a client could connect to itself."""

_draw = random.Random()
"""Not the one of the module: tests seed that, and all processes would draw the same ports."""
_held: dict[int, int] = {}
"""By port, the descriptor of the socket that holds it."""


def free_port(*, beside: int = 0) -> int:
    """Return a port that nothing listens on, and hold it until `release` or the process's end.

    With `beside`, the port that is so much higher is held as well.
    """
    while True:
        port = _draw.randrange(FIRST, CEILING - beside)
        if not _hold(port):
            continue
        if not beside or _hold(port + beside):
            return port
        release(port)


def release(port: int) -> None:
    """Let others have a port again; does nothing if this process does not hold it."""
    if (held := _held.pop(port, None)) is not None:
        socket.close(held)


def _hold(port: int) -> bool:
    """Hold a port; False if it is taken.

    A UDP socket of the same number holds it: that does not hinder a server, whose socket is one of
    TCP, all processes see it, and the system closes it with its process, however that ends.
    """
    holder = socket.socket(type=socket.SOCK_DGRAM)
    with holder, socket.socket() as probe:
        try:
            holder.bind((HOST, port))
            probe.bind((HOST, port))
        except OSError:
            return False
        _held[port] = holder.detach()
    return True
