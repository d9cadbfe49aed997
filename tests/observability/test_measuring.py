"""Trips to the backend are measured only where somebody asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.runtime.measuring import LOOKS

if TYPE_CHECKING:
    from tests.colours import Colour


def test_of_looks_a_sample_is_measured_and_counts_as_all(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    load = cache(key="k")(colour.function(lambda: 1))
    colour.run(load)
    assert cache.stats().operations == {}
    recorded: list[str] = []
    cache.measure_operations()
    cache.measure_operations(lambda name, _: recorded.append(name))
    for looks, measured in ((1, 1), (LOOKS, LOOKS), (2 * LOOKS, LOOKS + 1), (3 * LOOKS, LOOKS + 2)):
        while cache.stats().hits < looks:
            colour.run(load)
        assert recorded == ["look"] * measured
        assert cache.stats().operations["look"].count == looks


def test_trips_are_measured_elsewhere_too(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    cache.measure_operations()
    load = cache(key="k")(colour.function(lambda: 1))
    colour.run(load)
    before = cache.stats().operations["commit"].count
    with cache.override("memory://"):
        colour.run(load)
    assert cache.stats().operations["commit"].count == before + 1
