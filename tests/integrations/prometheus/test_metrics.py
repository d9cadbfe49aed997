"""Metrics of caches for Prometheus, as it scrapes them."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dualcache import Cache
from dualcache.integrations.prometheus import register
from tests.front.tiers import kept, tiered

if TYPE_CHECKING:
    from tests.colours import Colour


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def scraped(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """Return what Prometheus reads: values by name and labels, these in alphabetical order."""
    text = generate_latest(registry).decode()
    return {
        (sample.name, *[sample.labels[name] for name in sorted(sample.labels)]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_reads_are_counted_by_template_tier_and_result(
    colour: Colour, backend_url: str, registry: CollectorRegistry
) -> None:
    cache = tiered(colour, backend_url, namespace="shop")
    for _ in range(2):  # registered once
        register(cache, registry=registry)
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    kept(colour, cache, load, 1)
    found, stats = scraped(registry), cache.stats()
    assert found["dualcache_requests_total", "shop", "hit", "k:{n}", "front"] == 1
    assert found["dualcache_requests_total", "shop", "miss", "k:{n}", stats.tier] == 1
    assert found["dualcache_misses_total", "shop", "absent", "k:{n}"] == 1
    assert found["dualcache_front_entries", "shop"] == 1
    assert found["dualcache_backend_up", "shop"] == 1
    reads = [value for key, value in found.items() if key[0] == "dualcache_requests_total"]
    assert sum(reads) == stats.hits + stats.misses


def test_loads_and_sizes_are_histograms(
    colour: Colour, backend_url: str, registry: CollectorRegistry
) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    register(cache, registry=registry)
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    for n in range(3):
        colour.run(load, n)
    found, each = scraped(registry), cache.stats().templates["k:{n}"]
    for name, spread, unit in (
        ("dualcache_load_duration_seconds", each.load_times, 0.001),
        ("dualcache_stored_bytes", each.stored_bytes, 1),
    ):
        assert found[f"{name}_count", "shop", "k:{n}"] == 3
        assert found[f"{name}_sum", "shop", "k:{n}"] == pytest.approx(spread.total * unit)
        buckets = [value for key, value in found.items() if key[0] == f"{name}_bucket"]
        assert buckets == sorted(buckets)
        assert 15 < len(buckets) < 30
    assert found["dualcache_load_duration_seconds_bucket", "100.0", "shop", "k:{n}"] == 3
    assert ("dualcache_operation_duration_seconds_count", "shop", "commit") in found


def test_several_caches_share_a_registry(registry: CollectorRegistry) -> None:
    def registered(name: str) -> Cache:
        cache = Cache("memory://", namespace=name)
        register(cache, registry=registry)
        cache.invalidate("k")
        return cache

    caches = [registered(name) for name in ("a", "b")]
    found = scraped(registry)
    assert {found["dualcache_invalidations_total", name, ""] for name in ("a", "b")} == {1}
    del caches
    gc.collect()
    assert ("dualcache_backend_up", "a") not in scraped(registry)
