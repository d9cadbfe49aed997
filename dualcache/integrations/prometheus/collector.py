"""From statistics to the metrics of Prometheus; a call pays nothing for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from dualcache import Cache, Distribution, FrontStats, Stats, TemplateStats

__all__ = ["CacheCollector"]

_ROUND: Final = ("1.0", "2.0", "5.0")
"""How the bounds of times begin that are exposed, in scientific notation: three a decade."""

_BY_TEMPLATE: Final[Sequence[tuple[str, str, Callable[[TemplateStats], float]]]] = (
    ("loads", "Loads that gave a result", lambda each: each.loads),
    ("load_failures", "Loads that raised", lambda each: each.load_failures),
    ("coalesced", "Callers who got another caller's load", lambda each: each.coalesced),
    ("seconds_saved", "Hits times the mean load", lambda each: each.seconds_saved),
    ("refreshes_refused", "Background loads refused, too many ran", lambda each: each.refused),
    ("verify_samples", "Hits that were checked", lambda each: each.verified),
    ("verify_differed", "Checked hits that were wrong", lambda each: each.differed),
)
_BY_REASON: Final[Sequence[tuple[str, str, Callable[[TemplateStats], dict[str, int]]]]] = (
    ("misses", "Callers who had to load", lambda each: dict(each.miss_reasons)),
    ("not_stored", "Results that were not stored", lambda each: dict(each.not_stored)),
)
_BY_CACHE: Final[Sequence[tuple[str, str, Callable[[Stats], float]]]] = (
    ("backend_up", "Whether the backend answers", lambda stats: stats.is_available),
    ("pending_invalidations", "Deletions not delivered yet", lambda stats: stats.pending),
    ("background_loads", "Loads in the background", lambda stats: stats.running),
)
_OF_FRONT: Final[Sequence[tuple[str, str, Callable[[FrontStats], float]]]] = (
    ("front_up", "Whether the front tier serves", lambda front: front.is_open),
    ("front_entries", "Entries of the front tier", lambda front: front.entries),
    ("front_bytes", "Bytes of the front tier, if counted", lambda front: front.used_bytes),
)
_COUNTED_IN_FRONT: Final[Sequence[tuple[str, str, Callable[[FrontStats], float]]]] = (
    ("front_evictions", "Entries evicted from a full front tier", lambda front: front.evictions),
    ("front_losses", "Times that the front tier was emptied", lambda front: front.losses),
)


class CacheCollector:
    """Collects the metrics of all registered caches, as long as these exist."""

    def __init__(self) -> None:
        self._caches: WeakSet[Cache] = WeakSet()

    def add(self, cache: Cache) -> bool:
        """Collect from a cache, too; return whether it is new."""
        is_new = cache not in self._caches
        self._caches.add(cache)
        return is_new

    def describe(self) -> Iterable[Metric]:
        """Return nothing: otherwise the registry would collect to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its current values."""
        all_stats = [cache.stats() for cache in list(self._caches)]
        yield _requests(all_stats)
        yield _invalidations(all_stats)
        for name, text, read in _BY_TEMPLATE:
            family = _counter(name, text, "template")
            for stats in all_stats:
                for template, each in stats.templates.items():
                    family.add_metric([stats.namespace, template], read(each))
            yield family
        for name, text, read_reasons in _BY_REASON:
            family = _counter(name, text, "template", "reason")
            for stats in all_stats:
                for template, each in stats.templates.items():
                    for reason, count in read_reasons(each).items():
                        family.add_metric([stats.namespace, template, reason], count)
            yield family
        yield from _histograms(all_stats)
        yield from _states(all_stats)


def _requests(all_stats: Sequence[Stats]) -> Metric:
    family = _counter("requests", "Reads, by outcome", "template", "tier", "result")
    for stats in all_stats:
        for template, each in stats.templates.items():
            special = each.stale_hits + each.negative_hits + each.coalesced
            plain = max(0, each.hits - each.front_hits - special)
            for tier, result, count in (
                ("front", "hit", each.front_hits),
                (stats.tier, "hit", plain),
                (stats.tier, "stale", each.stale_hits),
                (stats.tier, "negative", each.negative_hits),
                (stats.tier, "coalesced", each.coalesced),
                (stats.tier, "miss", each.misses),
            ):
                family.add_metric([stats.namespace, template, tier, result], count)
    return family


def _invalidations(all_stats: Sequence[Stats]) -> Metric:
    family = _counter("invalidations", "Invalidations; by name without template", "template")
    for stats in all_stats:
        rest = stats.invalidations
        for template, each in stats.templates.items():
            rest -= each.invalidations
            family.add_metric([stats.namespace, template], each.invalidations)
        family.add_metric([stats.namespace, ""], max(0, rest))
    return family


def _histograms(all_stats: Sequence[Stats]) -> Iterator[Metric]:
    loads = _histogram("load_duration_seconds", "How long loaders ran", "template")
    sizes = _histogram("stored_bytes", "Sizes of stored values", "template")
    trips = _histogram("operation_duration_seconds", "Trips to the backend", "operation")
    for stats in all_stats:
        for template, each in stats.templates.items():
            _add(loads, [stats.namespace, template], each.load_times, 0.001)
            _add(sizes, [stats.namespace, template], each.stored_bytes, 1)
        for operation, times in stats.operations.items():
            _add(trips, [stats.namespace, operation], times, 0.001)
    yield from (loads, sizes, trips)


def _states(all_stats: Sequence[Stats]) -> Iterator[Metric]:
    for name, text, read in _BY_CACHE:
        family = GaugeMetricFamily(f"dualcache_{name}", text, labels=["namespace"])
        for stats in all_stats:
            family.add_metric([stats.namespace], float(read(stats)))
        yield family
    fronts = [(stats.namespace, stats.front) for stats in all_stats if stats.front is not None]
    for name, text, read_front in _OF_FRONT:
        family = GaugeMetricFamily(f"dualcache_{name}", text, labels=["namespace"])
        for namespace, front in fronts:
            family.add_metric([namespace], float(read_front(front)))
        yield family
    for name, text, read_front in _COUNTED_IN_FRONT:
        counted = _counter(name, text)
        for namespace, front in fronts:
            counted.add_metric([namespace], read_front(front))
        yield counted


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"dualcache_{name}", text, labels=["namespace", *labels])


def _histogram(name: str, text: str, label: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(f"dualcache_{name}", text, labels=["namespace", label])


def _add(family: Any, labels: list[str], spread: Distribution, unit: float) -> None:
    """Add a distribution, with its values in another unit."""
    if not spread.count:
        return
    below, buckets = 0, []
    for bound, count in zip(spread.bounds, spread.counts, strict=False):
        below += count
        if unit == 1 or f"{bound:e}".startswith(_ROUND):
            upper = floatToGoString(round(bound * unit, 9))  # type: ignore[no-untyped-call]
            buckets.append((upper, below))
    buckets.append(("+Inf", spread.count))
    family.add_metric(labels, buckets, spread.total * unit)
