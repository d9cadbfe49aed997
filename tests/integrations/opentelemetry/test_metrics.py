"""Metrics of a cache by OpenTelemetry's SDK, as a reader collects them."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from dualcache import Cache
from dualcache.integrations.opentelemetry import instrument
from tests.front.tiers import kept, tiered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.colours import Colour


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    yield reader
    reader.shutdown()


@pytest.fixture
def provider(reader: InMemoryMetricReader) -> MeterProvider:
    return MeterProvider([reader])


def points(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    """Return the data points of each metric, as they are collected now."""
    data = reader.get_metrics_data()
    if data is None:
        return {}
    return {
        metric.name: list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def counts(found: list[Any], *names: str) -> dict[Any, float]:
    """Return the values of data points by some of their attributes, without those that are 0."""
    return {
        tuple(point.attributes.get(f"dualcache.{name}") for name in names): point.value
        for point in found
        if point.value
    }


def test_reads_are_counted_by_template_tier_and_result(
    colour: Colour, backend_url: str, provider: MeterProvider, reader: InMemoryMetricReader
) -> None:
    cache = tiered(colour, backend_url)
    instrument(cache, meter_provider=provider)
    instrument(cache, meter_provider=provider)  # once is enough
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    kept(colour, cache, load, 1)
    stats = cache.stats()
    found = points(reader)
    requests = counts(found["dualcache.requests"], "template", "tier", "result")
    assert requests["k:{n}", "front", "hit"] == stats.templates["k:{n}"].front_hits
    assert requests["k:{n}", stats.tier, "miss"] == 1
    assert sum(requests.values()) == stats.hits + stats.misses
    assert counts(found["dualcache.entries"]) == {(): 1}
    assert counts(found["dualcache.backend.up"], "tier") == {(stats.tier,): 1}
    assert found["dualcache.evictions"][0].value == 0


def test_loads_and_trips_are_histograms_of_seconds(
    colour: Colour, backend_url: str, provider: MeterProvider, reader: InMemoryMetricReader
) -> None:
    cache = colour.cache(backend_url)
    instrument(cache, meter_provider=provider, attributes={"app": "shop"})

    def body(n: int) -> int:
        if n < 0:
            raise ValueError
        return n

    load = cache(key="k:{n}")(colour.function(body))
    colour.run(load, 1)
    with pytest.raises(ValueError):
        colour.run(load, -1)
    found = points(reader)
    by_outcome = {
        point.attributes["dualcache.outcome"]: point for point in found["dualcache.load.duration"]
    }
    assert {outcome: point.count for outcome, point in by_outcome.items()} == {
        "stored": 1,
        "failed": 1,
    }
    assert dict(by_outcome["stored"].attributes) == {
        "app": "shop",
        "dualcache.template": "k:{n}",
        "dualcache.outcome": "stored",
    }
    assert 0 <= by_outcome["stored"].sum < 30
    trips = {
        point.attributes["dualcache.operation"] for point in found["dualcache.operation.duration"]
    }
    assert "commit" in trips
    assert cache.stats().operations["commit"].count


def test_invalidations_refusals_and_samples_are_counted(
    colour: Colour, backend_url: str, provider: MeterProvider, reader: InMemoryMetricReader
) -> None:
    cache = colour.cache(backend_url)
    instrument(cache, meter_provider=provider)
    load = cache(key="k:{n}", condition=lambda *_: False)(colour.function(lambda n: n))
    colour.run(load, 1)
    colour.run(load.invalidate, 1)
    colour.call(cache, "invalidate", "other")
    found = points(reader)
    assert counts(found["dualcache.invalidations"], "template") == {("k:{n}",): 1, ("",): 1}
    assert counts(found["dualcache.not_stored"], "template", "reason") == {
        ("k:{n}", "condition"): 1
    }


def test_a_cache_that_has_gone_is_not_kept(
    provider: MeterProvider, reader: InMemoryMetricReader
) -> None:
    cache = Cache("memory://")
    instrument(cache, meter_provider=provider)
    assert points(reader)["dualcache.backend.up"]
    del cache
    gc.collect()
    assert "dualcache.backend.up" not in points(reader)


def test_without_an_sdk_nothing_happens(colour: Colour) -> None:
    cache = colour.cache("memory://")
    instrument(cache)
    load = cache(key="k")(colour.function(lambda: 1))
    assert [colour.run(load), colour.run(load)] == [1, 1]
