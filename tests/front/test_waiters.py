"""Who waits for another process's load is woken by the push that its commit causes."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.bodies import WAIT_SECONDS
from tests.front.tiers import front_hits, kept, opened, tiered

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.servers import Server


def looks(server: Server) -> int:
    stats = server.cli("INFO", "commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("get", "mget"))


def test_a_waiter_looks_a_few_times_however_long_the_load(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    one, other = (tiered(colour, redis_server.url, transport) for _ in range(2))
    opened(colour, one)
    opened(colour, other)
    gate = colour.gate()

    async def load(n: int) -> int:
        await gate.passed()
        return n

    def never(n: int) -> int:
        raise AssertionError("two loads")

    leading = one(key="n:{n}")(colour.function(load))
    following = other(key="n:{n}")(colour.function(never))
    first = colour.start(lambda: leading(1))
    gate.wait_until_entered()
    before = looks(redis_server)
    second = colour.start(lambda: following(1))
    threading.Event().wait(0.4)
    waited = looks(redis_server) - before
    gate.open()
    opened_at = time.monotonic()
    assert (first.result(), second.result()) == (1, 1)
    assert time.monotonic() - opened_at < 0.24  # without a push it would be 0.25 or more
    assert waited <= 4
    assert looks(redis_server) - before <= 10


def test_on_a_fresh_connection_the_lease_is_heard_too(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    taken = []
    for number in range(8):
        one, other = (tiered(colour, redis_server.url, transport) for _ in range(2))
        opened(colour, one)
        opened(colour, other)
        other.backend.run(_distrust())
        gate = colour.gate()

        async def load(n: int, gate: Any = gate) -> int:
            await gate.passed()
            return n

        leading = one(key="n:{n}", ignore=["gate"])(colour.function(load))
        following = other(key="n:{n}", ignore=["gate"])(colour.function(load))
        first = colour.start(partial(leading, number))
        gate.wait_until_entered()
        second = colour.start(partial(following, number))
        threading.Event().wait(0.02)
        gate.open()
        first.result()
        ended = time.monotonic()
        second.result()
        taken.append(time.monotonic() - ended)
    assert sorted(taken)[len(taken) // 2] < 0.2


def _distrust() -> Any:
    from dualcache.core.ops import Distrust, do

    return (yield from do(Distrust()))


def test_without_a_stream_waiters_poll(colour: Colour, redis_server: Server) -> None:
    one, other = (tiered(colour, redis_server.url, "ttl") for _ in range(2))
    gate = colour.gate()

    async def load(n: int) -> int:
        await gate.passed()
        return n

    leading, following = (cache(key="n:{n}")(colour.function(load)) for cache in (one, other))
    first = colour.start(lambda: leading(1))
    gate.wait_until_entered()
    second = colour.start(lambda: following(1))
    gate.open()
    assert (first.result(), second.result()) == (1, 1)


@pytest.mark.parametrize("seed", range(3))
def test_a_push_between_the_read_and_its_reply_keeps_nothing(
    colour: Colour, redis_server: Server, transport: Any, seed: int
) -> None:
    """Writers and readers of one key at once: after the last write nobody has an older copy."""
    ours, theirs = (tiered(colour, redis_server.url, transport) for _ in range(2))
    version = [0]

    def load(n: int) -> int:
        return version[0]

    body = colour.function(load)
    reading, writing = (each(key="n:{n}")(body) for each in (ours, theirs))
    kept(colour, ours, reading, seed)
    stop = threading.Event()
    wrong: list[int] = []

    def read() -> None:
        while not stop.is_set():
            colour.run(reading, seed)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    ends = time.monotonic() + 0.7
    while time.monotonic() < ends:
        version[0] += 1
        writer = (ours, reading) if version[0] % 2 else (theirs, writing)
        colour.run(writer[1].invalidate, seed)
        colour.call(ours, "fence")
        if colour.run(reading, seed) < version[0]:
            wrong.append(version[0])
    stop.set()
    for reader in readers:
        reader.join(WAIT_SECONDS)
    assert wrong == []
    assert front_hits(ours) > 0
