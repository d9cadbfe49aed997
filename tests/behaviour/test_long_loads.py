"""Loads that take longer than anybody thought: who waits, who takes over, what is stored."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Loaded, Miss, WaitExpired
from dualcache.engine import flights, renewal
from tests.behaviour.seen import Seen
from tests.bodies import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from tests.colours import AsyncColour, Colour
    from tests.servers import Server

CALLERS = 30


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the bounds of measured loads end after 30, 60, 120 ms …, so that a test need not wait."""
    monkeypatch.setattr(flights, "LEAST_WAIT_MS", 30.0)


@pytest.mark.usefixtures("short_waits")
def test_one_waiter_takes_over_where_a_load_takes_too_long_and_not_all(
    colour: Colour, backend_url: str
) -> None:
    cache, gate, loads = colour.cache(backend_url), colour.gate(), []
    seen = Seen(cache)

    async def body(n: int) -> int:
        loads.append(n)
        if n:
            await gate.passed()
        return n

    load = cache(key="k:{n}")(colour.function(body))
    colour.run(load, 0)  # a load is measured now: the first bound ends after 30 ms
    callers = [colour.start(lambda: load(7)) for _ in range(CALLERS)]
    seen.wait_for(WaitExpired, 2)
    seen.wait_for(Miss, 1 + CALLERS)
    gate.open()
    assert [caller.result() for caller in callers] == [7] * CALLERS
    assert loads.count(7) == 1 + seen.count(WaitExpired)
    assert loads.count(7) < CALLERS / 3
    assert len(cache._runtime.backend.flights) == 0
    colour.run(load, 7)
    assert loads.count(7) == 1 + seen.count(WaitExpired)  # what ended first is stored


@pytest.mark.usefixtures("short_waits")
def test_a_successor_that_ends_first_stores_and_ends_the_wait_of_all(
    colour: Colour, backend_url: str
) -> None:
    cache, gate, loads = colour.cache(backend_url), colour.gate(), []

    async def body(n: int) -> int:
        loads.append(n)
        if loads == [0, 7]:
            await gate.passed()  # the first hangs; whoever takes over does not
        return len(loads)

    load = cache(key="k:{n}")(colour.function(body))
    colour.run(load, 0)
    hanging = colour.start(lambda: load(7))
    gate.wait_until_entered()
    callers = [colour.start(lambda: load(7)) for _ in range(CALLERS)]
    results = {caller.result() for caller in callers}
    # One, unless the successor stands still for so long that another one takes over from it.
    assert min(results) >= 3
    assert len(loads) < CALLERS / 3
    stored = colour.call(cache, "get", "k:7")
    assert stored in results
    gate.open()
    assert hanging.result() == stored
    assert colour.call(cache, "get", "k:7") == stored


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("how", ["key", "tag", "pattern"])
def test_a_successor_whose_key_is_invalidated_meanwhile_stores_nothing(
    colour: Colour, backend_url: str, how: str
) -> None:
    cache, gate, loads = colour.cache(backend_url), colour.gate(), []

    async def body(n: int) -> int:
        loads.append(n)
        if n:
            await gate.passed()
        return len(loads)

    load = cache(key="k:{n}", tags=["t"])(colour.function(body))
    colour.run(load, 0)
    callers = [colour.start(lambda: load(7)) for _ in range(3)]
    gate.wait_until_entered(2)
    names = {"key": {}, "tag": {"tags": ["t"]}, "pattern": {"patterns": ["k:*"]}}[how]
    colour.call(cache, "invalidate", *(["k:7"] if how == "key" else []), **names)
    gate.open()
    for caller in callers:
        caller.result()
    assert colour.call(cache, "get", "k:7", "nothing") == "nothing"
    assert colour.run(load, 7) == colour.call(cache, "get", "k:7")


@pytest.mark.usefixtures("short_waits")
def test_a_leader_that_is_cancelled_leaves_the_flight_to_its_successor(
    tasks: AsyncColour, backend_url: str
) -> None:
    cache, gate, loads = tasks.cache(backend_url), tasks.gate(), []
    seen = Seen(cache)

    async def body(n: int) -> int:
        loads.append(n)
        if n:
            await gate.passed()
        return n

    load = cache(key="k:{n}")(body)
    tasks.run(load, 0)
    leader = tasks.start(lambda: load(7))
    gate.wait_until_entered()
    callers = [tasks.start(lambda: load(7)) for _ in range(3)]
    seen.wait_for(Miss, 2 + len(callers))
    gate.wait_until_entered(2)
    leader.cancel()
    gate.open()
    assert [caller.result() for caller in callers] == [7] * 3
    assert loads.count(7) == 1 + seen.count(WaitExpired)
    assert len(cache._runtime.backend.flights) == 0


def test_nobody_takes_over_from_a_first_load_of_some_seconds(
    monkeypatch: pytest.MonkeyPatch, colour: Colour, backend_url: str
) -> None:
    monkeypatch.setattr(flights, "LEAST_WAIT_MS", 1.0)  # a measured load would be over at once
    cache, gate, loads = colour.cache(backend_url), colour.gate(), []
    seen = Seen(cache)

    async def body() -> int:
        loads.append(1)
        await gate.passed()
        return 7

    load = cache(key="k")(colour.function(body))
    callers = [colour.start(load) for _ in range(CALLERS)]
    seen.wait_for(Miss, CALLERS)
    gate.open()
    assert [caller.result() for caller in callers] == [7] * CALLERS
    assert len(loads) == 1
    assert [event.outcome for event in seen.of(Loaded)] == ["stored"]


class Renewals:
    """Counts the renewals of leases, each of which is due at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.after_each: Callable[[], object] = lambda: None
        self._changed = threading.Condition()
        monkeypatch.setattr(renewal, "RENEWALS", 2_000)  # of a lease of 10 s: every 5 ms
        renew = renewal.renew

        def counted(*args: Any) -> Any:
            pause_ms = yield from renew(*args)
            with self._changed:
                self.count += 1
                self._changed.notify_all()
            self.after_each()
            return pause_ms

        monkeypatch.setattr(renewal, "renew", counted)

    def wait_for_more(self, more: int = 2) -> None:
        """Block until renewals have ended that began after this call."""
        with self._changed:
            count = self.count + more
            assert self._changed.wait_for(lambda: self.count >= count, WAIT_SECONDS)


@pytest.fixture
def renewals(monkeypatch: pytest.MonkeyPatch) -> Renewals:
    return Renewals(monkeypatch)


KINDS = pytest.mark.parametrize("kind", ["function", "get_or_load", "get_or_load_many", "stale"])


def caller_of(colour: Colour, cache: Cache, kind: str, body: Callable[..., Any]) -> Any:
    """Return a call that loads `k` by the body, in one way or another."""

    async def many(names: list[str]) -> dict[str, Any]:
        return dict.fromkeys(names, await body())

    one, several = colour.function(body), colour.function(many)
    options: dict[str, Any] = (
        {"ttl": 1, "stale_if_error": 100_000, "jitter": 0} if kind == "stale" else {}
    )
    function = cache(key="k", **options)(one)
    calls: dict[str, Callable[[], Any]] = {
        "get_or_load": lambda: colour.face(cache).get_or_load("k", one),
        "get_or_load_many": lambda: colour.face(cache).get_or_load_many(["k"], several),
    }
    return calls.get(kind, function)


@KINDS
def test_a_load_that_outlives_its_first_lease_is_stored(
    colour: Colour, renewals: Renewals, kind: str
) -> None:
    now = [1_000.0]
    cache, gate, loads = colour.cache("memory://", clock=lambda: now[0]), colour.gate(), []
    seen = Seen(cache)

    async def body() -> int:
        loads.append(1)
        if len(loads) > (kind == "stale"):
            await gate.passed()
        return 7

    call = caller_of(colour, cache, kind, body)
    if kind == "stale":
        colour.run(call)
        now[0] += 5

    def passing() -> None:
        now[0] += 1 if kind == "stale" else 4  # of a lease of 2 s, as a load was measured, or 10 s

    caller = colour.start(call)
    gate.wait_until_entered()
    before = now[0]
    renewals.after_each = passing
    renewals.wait_for_more(8)
    renewals.after_each = lambda: None
    renewals.wait_for_more()
    gate.open()
    caller.result()
    assert seen.of(Loaded)[-1].outcome == "stored"
    assert colour.call(cache, "get", "k") == 7
    assert now[0] - before >= (8 if kind == "stale" else 32)


@KINDS
def test_renewals_reach_the_server_and_end_with_the_load(
    colour: Colour, redis_server: Server, renewals: Renewals, kind: str
) -> None:
    now = [1_000.0]
    cache, gate, loads = colour.cache(redis_server.url, clock=lambda: now[0]), colour.gate(), []

    async def body() -> int:
        loads.append(1)
        if len(loads) > (kind == "stale"):
            await gate.passed()
        return 7

    call, name = caller_of(colour, cache, kind, body), "~r:k" if kind == "stale" else "k"
    if kind == "stale":
        colour.run(call)
        now[0] += 5
    caller = colour.start(call)
    gate.wait_until_entered()
    redis_server.cli("PEXPIRE", name, "100000")
    renewals.wait_for_more()
    assert int(redis_server.cli("PTTL", name)) <= 10_000
    redis_server.cli("PEXPIRE", name, "1000")
    renewals.wait_for_more()
    assert int(redis_server.cli("PTTL", name)) > 1_000
    gate.open()
    caller.result()
    count = renewals.count
    assert colour.call(cache, "get", "k") == 7
    assert renewals.count == count
    if kind == "stale":
        assert int(redis_server.cli("PTTL", name)) <= 1  # given back: it ends at once


def test_a_lease_that_ended_is_told_apart_from_one_that_was_revoked(
    colour: Colour, backend_url: str
) -> None:
    cache, gate = colour.cache(backend_url), colour.gate()
    seen = Seen(cache)

    async def body() -> int:
        await gate.passed()
        return 7

    load = cache(key="k")(colour.function(body))
    caller = colour.start(load)
    gate.wait_until_entered()
    colour.call(cache, "invalidate", "k")
    gate.open()
    caller.result()
    assert [event.outcome for event in seen.of(Loaded)] == ["refused"]


def test_a_lease_that_nobody_could_renew_makes_its_load_late(
    colour: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "RENEWALS", 0.001)  # due when all is over
    now = [1_000.0]
    cache, gate = colour.cache("memory://", clock=lambda: now[0]), colour.gate()
    seen = Seen(cache)

    async def body() -> int:
        await gate.passed()
        return 7

    load = cache(key="k")(colour.function(body))
    caller = colour.start(load)
    gate.wait_until_entered()
    now[0] += 11
    gate.open()
    assert caller.result() == 7
    assert [event.outcome for event in seen.of(Loaded)] == ["late"]
    assert colour.call(cache, "get", "k", "nothing") == "nothing"
