"""Processes with a front tier that listen to a server, started and asked from here.

They are forked from one that has imported everything, so that 64 of them fit on a small machine.
"""

from __future__ import annotations

import multiprocessing
import time
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from benchmarks.processes import receive
from dualcache import Cache, FrontTier
from dualcache.core.revocation import Revocation, channel_of, to_message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection

    from tests.servers import Server

Heard = Literal["tracking", "broadcast", "pubsub"]
"""A transport by which changes are pushed; each has a namespace of its name."""

TRANSPORTS: Final[tuple[Heard, ...]] = get_args(Heard)
KEYS: Final = 1_000
SHARE: Final = 100
"""How many of the keys each process holds."""
FIRST: Final = 100_000
"""Numbers from here on have names of one length, so pushes can be counted by their bytes."""
TTL: Final = 3_600
SELDOM: Final = 3_600
"""A bound on staleness, in seconds, for which no sign of life is asked while we measure."""
PATIENT: Final[dict[str, Any]] = {"socket_timeout": 20, "socket_connect_timeout": 20}
"""On a small machine 64 processes that all wake at once keep each other waiting."""
CONTEXT: Final = multiprocessing.get_context("forkserver")


def user_of(cache: Cache) -> Callable[[int], int]:
    @cache(key="user:{number}", ttl=TTL)
    def user(number: int) -> int:
        return number

    return user


class Listeners:
    """Processes that listen by one transport; they are added, and stopped together."""

    def __init__(self, url: str, transport: Heard) -> None:
        self._url = url
        self._transport = transport
        self._running: list[tuple[Any, Connection]] = []

    def grow(self, count: int) -> None:
        """Start processes until there are so many, all of which hold their share of the keys."""
        CONTEXT.set_forkserver_preload([__name__, "redis", "hiredis"])
        added = []
        for number in range(len(self._running), count):
            here, there = CONTEXT.Pipe()
            arguments = (there, self._url, self._transport, number)
            process = CONTEXT.Process(target=listen, args=arguments, daemon=True)
            process.start()
            there.close()
            added.append((process, here))
        self._running += added
        for _, connection in added:
            receive(connection)

    def ask(self, word: str) -> list[float]:
        """Have all processes do one thing; return what each says of its processor time, in s."""
        for _, connection in self._running:
            connection.send(word)
        return [receive(connection) for _, connection in self._running]

    def stop(self) -> None:
        for process, connection in self._running:
            connection.close()
            process.join(10)


def listen(connection: Connection, url: str, transport: Heard, number: int) -> None:
    """Be one process: hold a share of the keys, and answer until the other end closes."""
    front = FrontTier(max_entries=KEYS, transport=transport)
    cache = Cache(url, namespace=transport, front=front, max_staleness=SELDOM, **PATIENT)
    user = user_of(cache)
    mine = [FIRST + (number * 37 + at) % KEYS for at in range(SHARE)]

    def hold() -> None:
        while not is_heard(cache, transport):
            user(mine[0])
            time.sleep(0.002)
        for each in mine:
            user(each)

    hold()
    connection.send("listening")
    while True:
        try:
            word = connection.recv()
        except EOFError:
            break
        if word == "read":
            hold()
        elif word == "fence":
            cache.fence()
        connection.send(time.process_time())
    cache.close()


def is_heard(cache: Cache, transport: str) -> bool:
    front = cache.stats().front
    return front is not None and front.is_open and front.transport == transport


class Totals(NamedTuple):
    """What servers have counted so far, added up."""

    connections: int
    output_bytes: int
    cpu_seconds: float
    used_bytes: int
    tracked: int


def totals(servers: Sequence[Server]) -> Totals:
    told = [server.cli("INFO") for server in servers]
    return Totals(
        sum(info["connected_clients"] for info in told),
        sum(info["total_net_output_bytes"] for info in told),
        sum(info["used_cpu_user"] + info["used_cpu_sys"] for info in told),
        sum(info["used_memory"] for info in told),
        sum(info["tracking_total_items"] for info in told),
    )


def push_bytes(transport: Heard, number: int) -> int:
    """Return how many bytes a server sends to tell one listener of one change."""
    name = f"{transport}:user:{number}".encode()
    if transport == "pubsub":
        channel = channel_of(f"{transport}:")
        names = (name.decode(), f"{transport}:~b:user:{number}")  # and the tag of its variants
        message = to_message(Revocation(channel, names))
        return len(b">3\r\n" + bulk(b"message") + bulk(channel.encode()) + bulk(message))
    return len(b">2\r\n" + bulk(b"invalidate") + b"*1\r\n" + bulk(name))


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)
