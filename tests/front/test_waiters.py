"""Who waits for another process's load is woken by the push that its commit causes."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.drivers import pauses
from tests.bodies import WAIT_SECONDS
from tests.front.tiers import eventually, front_hits, kept, opened, tiered

if TYPE_CHECKING:
    from dualcache import Cache
    from dualcache.functions.handles import SharedHandles
    from tests.colours import Colour
    from tests.servers import Server

ROUNDS = 30


def looks(server: Server) -> int:
    stats = server.cli("INFO", "commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("get", "mget"))


@pytest.fixture(autouse=True)
def _only_pushes_end_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody who relies on pushes look again by himself while a test lasts."""
    monkeypatch.setattr(pauses, "PUSHED_PAUSE_MS", 1_000 * WAIT_SECONDS)


def patient(function: Any) -> Any:
    """Let callers wait for another process as long as ever: as if the load took ten seconds."""
    handles: SharedHandles = function.invalidate.__self__
    handles.cached.counters.count_load(10_000)
    return function


def is_waiting(cache: Cache) -> bool:
    """Whether somebody waits for the push of a key."""
    return bool(cache._runtime.backend.changes._waiting)


def test_a_waiter_does_not_look_until_the_push_comes(
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
    following = patient(other(key="n:{n}")(colour.function(never)))
    first = colour.start(lambda: leading(1))
    gate.wait_until_entered()
    before = looks(redis_server)
    second = colour.start(lambda: following(1))
    eventually(lambda: is_waiting(other), "a waiter")
    waited = looks(redis_server) - before
    gate.open()
    assert (first.result(), second.result()) == (1, 1)
    assert waited <= 4
    assert looks(redis_server) - before <= 10


def test_on_a_fresh_connection_the_lease_is_heard_too(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    for number in range(8):
        one, other = (tiered(colour, redis_server.url, transport) for _ in range(2))
        opened(colour, one)
        opened(colour, other)
        other._runtime.backend.run(_distrust())
        gate = colour.gate()

        async def load(n: int, gate: Any = gate) -> int:
            await gate.passed()
            return n

        leading = one(key="n:{n}", ignore=["gate"])(colour.function(load))
        following = patient(other(key="n:{n}", ignore=["gate"])(colour.function(load)))
        first = colour.start(partial(leading, number))
        gate.wait_until_entered()
        second = colour.start(partial(following, number))
        eventually(partial(is_waiting, other), "a waiter")
        gate.open()
        assert (first.result(), second.result()) == (number, number)
        assert gate.entered == 1


def _distrust() -> Any:
    from dualcache.core.ops import DropConnections, do

    return (yield from do(DropConnections()))


def test_without_pushes_waiters_poll(colour: Colour, redis_server: Server) -> None:
    one, other = (tiered(colour, redis_server.url, "ttl") for _ in range(2))
    opened(colour, one)
    opened(colour, other)
    gate = colour.gate()

    async def load(n: int) -> int:
        await gate.passed()
        return n

    leading = one(key="n:{n}")(colour.function(load))
    following = patient(other(key="n:{n}")(colour.function(load)))
    first = colour.start(lambda: leading(1))
    gate.wait_until_entered()
    before = looks(redis_server)
    second = colour.start(lambda: following(1))
    eventually(lambda: looks(redis_server) > before + 5, "polls")
    assert not is_waiting(other)
    gate.open()
    assert (first.result(), second.result()) == (1, 1)
    assert gate.entered == 1


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.storm) for seed in (1, 2))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_push_between_the_read_and_its_reply_keeps_nothing(
    colour: Colour, redis_server: Server, transport: Any, seed: int
) -> None:
    """Writers and readers of one key at once: after the last write nobody has an older copy."""
    # Threads that do nothing but hit keep a process busy: one that connects only then may be too
    # late for its time-out, its deletion is pending, and no fence waits for that.
    ours, theirs = (
        tiered(colour, redis_server.url, transport, socket_timeout=20) for _ in range(2)
    )
    version = [0]

    def load(n: int) -> int:
        return version[0]

    body = colour.function(load)
    reading, writing = (each(key="n:{n}")(body) for each in (ours, theirs))
    kept(colour, ours, reading, seed)
    assert colour.call(theirs, "ping")
    stop = threading.Event()
    wrong: list[int] = []

    def read() -> None:
        while not stop.is_set():
            colour.run(reading, seed)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(ROUNDS):
        version[0] += 1
        writer = (ours, reading) if version[0] % 2 else (theirs, writing)
        assert colour.run(writer[1].invalidate, seed).pending == 0
        colour.call(ours, "fence")
        if colour.run(reading, seed) < version[0]:
            wrong.append(version[0])
    stop.set()
    for reader in readers:
        reader.join(WAIT_SECONDS)
    assert wrong == []
    assert front_hits(ours) > 0
