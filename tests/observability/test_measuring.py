"""Trips to the backend are measured only where somebody asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.runtime.measuring import LOOKS

if TYPE_CHECKING:
    from tests.colours import Colour


def test_of_looks_one_in_eight_is_measured_and_counts_as_all(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    load = cache(key="k")(colour.function(lambda: 1))
    colour.run(load)
    assert cache.stats().operations == {}
    recorded: list[str] = []
    cache.measure_operations()
    cache.measure_operations(lambda name, _: recorded.append(name))
    for _ in range(2 * LOOKS):
        colour.run(load)
    assert recorded == ["look", "look"]
    assert cache.stats().operations["look"].count == 2 * LOOKS


def test_trips_are_measured_elsewhere_too(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    cache.measure_operations()
    load = cache(key="k")(colour.function(lambda: 1))
    colour.run(load)
    before = cache.stats().operations["commit"].count
    with cache.override("memory://"):
        colour.run(load)
    assert cache.stats().operations["commit"].count == before + 1
