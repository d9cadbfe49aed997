"""Stale values of a batch: served at once, claimed in one trip, loaded anew by one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Loaded, LoadFailed, StaleHit
from tests.behaviour.seen import Seen
from tests.behaviour.test_outages import Clock
from tests.behaviour.test_trips import Trips, trips

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bodies import Gate
    from tests.colours import Colour
    from tests.servers import Server

__all__ = ["trips"]

WINDOW: dict[str, Any] = {"ttl": 10, "stale_while_revalidate": 50, "jitter": 0}
OUTAGE: dict[str, Any] = {"ttl": 10, "stale_if_error": 50, "jitter": 0}
STALE_AFTER = 15


class Source:
    """A source of several values, whose later reads wait at a gate, and what it was asked for."""

    def __init__(self, colour: Colour, url: str, **options: Any) -> None:
        self.colour = colour
        self.clock = Clock()
        self.cache = colour.cache(url, clock=self.clock, **options)
        self.seen = Seen(self.cache)
        self.gate: Gate = colour.gate()
        self.asked: list[list[int]] = []
        self.release = "old"
        self.fails = False

    def spelled(self, spelling: str, **options: Any) -> Callable[[Any], Any]:
        """Return a function of many numbers, cached by the decorator or by a direct call."""
        if spelling == "decorated":

            async def read(numbers: list[int]) -> dict[int, str]:
                return await self._values(list(numbers))

            made = self.cache.many(key="n:{number}", **options)(self.colour.function(read))
            return lambda numbers: self.colour.start(lambda: made(numbers)).result()

        async def load(keys: list[str]) -> dict[str, str]:
            found = await self._values([int(key) for key in keys])
            return {str(number): value for number, value in found.items()}

        loader, face = self.colour.function(load), self.colour.face(self.cache)

        def direct(numbers: Any) -> dict[int, str]:
            keys = [str(number) for number in numbers]
            call = self.colour.start(lambda: face.get_or_load_many(keys, loader, **options))
            return {int(key): value for key, value in call.result().items()}

        return direct

    async def _values(self, numbers: list[int]) -> dict[int, str]:
        self.asked.append(numbers)
        release = self.release
        if release != "old":
            await self.gate.passed()
        if self.fails:
            raise ConnectionError
        return {number: f"{release} {number}" for number in numbers}

    def made_stale(self, load: Callable[[Any], Any], numbers: Any) -> None:
        assert load(numbers) == {number: f"old {number}" for number in numbers}
        self.release = "new"
        self.clock.advance(STALE_AFTER)


@pytest.fixture(params=[None, 10_000], ids=["one tier", "front"])
def source(request: pytest.FixtureRequest, colour: Colour, backend_url: str) -> Source:
    return Source(colour, backend_url, front=request.param)


SPELLINGS = pytest.mark.parametrize("spelling", ["decorated", "direct"])


@SPELLINGS
def test_nobody_waits_and_one_call_loads_all_stale_values_anew(
    source: Source, spelling: str
) -> None:
    load, numbers = source.spelled(spelling, **WINDOW), range(100)
    source.made_stale(load, numbers)
    stale = {number: f"old {number}" for number in numbers}
    assert load(numbers) == stale
    assert load(numbers) == stale
    assert source.cache.stats().running == 1
    source.gate.wait_until_entered()
    assert load([1, 2]) == {1: "old 1", 2: "old 2"}
    source.gate.open()
    source.seen.wait_for(Loaded, 200)
    assert load(numbers) == {number: f"new {number}" for number in numbers}
    assert source.asked == [[*numbers], [*numbers]]
    assert source.seen.count(StaleHit) == 202


@SPELLINGS
def test_a_batch_loads_anew_only_what_no_other_batch_does(source: Source, spelling: str) -> None:
    load = source.spelled(spelling, **WINDOW)
    source.made_stale(load, [1, 2, 3, 4])
    assert load([1, 2]) == {1: "old 1", 2: "old 2"}
    source.gate.wait_until_entered()
    assert load([2, 1, 3]) == {1: "old 1", 2: "old 2", 3: "old 3"}
    source.gate.wait_until_entered(2)
    assert load([3, 2, 1]) == {1: "old 1", 2: "old 2", 3: "old 3"}
    source.gate.open()
    source.seen.wait_for(Loaded, 7)
    assert source.asked[1:] == [[1, 2], [3]]


def test_what_is_missing_is_loaded_by_the_caller_beside_what_is_stale(source: Source) -> None:
    load = source.spelled("decorated", **WINDOW)
    source.made_stale(load, [1, 2])
    source.gate.open()
    assert load([1, 5, 2]) == {1: "old 1", 5: "new 5", 2: "old 2"}
    source.seen.wait_for(Loaded, 5)
    assert sorted(source.asked[1:]) == [[1, 2], [5]]


@SPELLINGS
def test_stale_values_stand_in_for_a_source_that_is_asked_once_in_a_pause(
    source: Source, spelling: str
) -> None:
    load, numbers = source.spelled(spelling, **OUTAGE), range(100)
    source.made_stale(load, numbers)
    source.gate.open()
    source.fails = True
    stale = {number: f"old {number}" for number in numbers}
    assert load(numbers) == stale
    assert load(numbers) == stale
    assert load([7, 8]) == {7: "old 7", 8: "old 8"}
    assert (len(source.asked), source.seen.count(LoadFailed)) == (2, 1)


def test_an_invalidated_value_is_loaded_and_not_served_as_stale(source: Source) -> None:
    load = source.spelled("direct", tags=["t"], **WINDOW)
    source.made_stale(load, [1, 2])
    source.gate.open()
    source.colour.call(source.cache, "invalidate", "1")
    assert load([1, 2]) == {1: "new 1", 2: "old 2"}
    source.seen.wait_for(Loaded, 4)
    source.colour.call(source.cache, "invalidate", tags=["t"])
    source.release = "newer"
    assert load([1, 2]) == {1: "newer 1", 2: "newer 2"}


def test_many_stale_values_cost_one_trip_and_three_in_the_background(
    colour: Colour, redis_server: Server, trips: Trips
) -> None:
    source = Source(colour, redis_server.url)
    load, numbers = source.spelled("direct", **WINDOW), range(100)
    source.made_stale(load, numbers)
    before = trips.taken
    load(numbers)
    source.gate.wait_until_entered()
    assert trips.taken - before <= 5  # 3, and those of a connection that the load may need
    before = trips.taken
    source.gate.open()
    source.seen.wait_for(Loaded, 200)
    assert trips.taken - before == 1  # all commits, and the leases given back
    assert len(source.asked) == 2
