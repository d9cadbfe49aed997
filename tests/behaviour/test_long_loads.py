"""Loads that take longer than anybody thought: who waits, who takes over, what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dualcache import Loaded, Miss, WaitExpired
from dualcache.engine import flights
from tests.behaviour.seen import Seen

if TYPE_CHECKING:
    from tests.colours import AsyncColour, Colour

CALLERS = 30


@pytest.fixture
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the bounds of measured loads end after 30, 60, 120 ms …, so that a test need not wait."""
    monkeypatch.setattr(flights, "LEAST_WAIT_MS", 30.0)


@pytest.mark.usefixtures("_short_waits")
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
    assert len(cache.backend.flights) == 0
    colour.run(load, 7)
    assert loads.count(7) == 1 + seen.count(WaitExpired)  # what ended first is stored


@pytest.mark.usefixtures("_short_waits")
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
    assert [caller.result() for caller in callers] == [3] * CALLERS
    assert colour.call(cache, "get", "k:7") == 3
    gate.open()
    assert hanging.result() == 3
    assert colour.call(cache, "get", "k:7") == 3
    assert loads == [0, 7, 7]


@pytest.mark.usefixtures("_short_waits")
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


@pytest.mark.usefixtures("_short_waits")
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
    gate.wait_until_entered(2)
    leader.cancel()
    gate.open()
    assert [caller.result() for caller in callers] == [7] * 3
    assert loads.count(7) == 1 + seen.count(WaitExpired)
    assert len(cache.backend.flights) == 0


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
