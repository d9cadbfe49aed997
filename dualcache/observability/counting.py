"""From counters to statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.core.histogram import percentile
from dualcache.observability.stats import Distribution, Stats, TemplateStats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualcache.core.counters import Counters, Tally
    from dualcache.core.histogram import Histogram
    from dualcache.engine.env import Env
    from dualcache.observability.stats import FrontStats

__all__ = ["counts_of", "distribution_of", "finding_of", "stats_of", "template_stats_of"]

_NOTHING: Final = Distribution()


def stats_of(
    env: Env,
    where: str,
    namespace: str,
    tallies: Mapping[str, Tally],
    total: Tally,
    *,
    failures: int,
    running: int,
    operations: Mapping[str, Histogram],
    front: FrontStats | None = None,
) -> Stats:
    """Return the statistics of one cache; `total` counts what has no template."""
    for each in tallies.values():
        total.counters.add(each.counters)
        total.front_hits += each.front_hits
    health = env.health
    return Stats(
        backend=where,
        namespace=namespace,
        tier=env.tier,
        is_available=health.is_available,
        pending=health.pending_count,
        running=running,
        observer_failures=failures,
        templates={label: template_stats_of(label, each) for label, each in tallies.items()},
        operations={name: distribution_of(each) for name, each in operations.items()},
        front=front,
        **counts_of(total),
    )


def template_stats_of(label: str, tally: Tally) -> TemplateStats:
    """Return the statistics of one function."""
    return TemplateStats(
        function=tally.function,
        ttl=tally.ttl,
        finding=finding_of(label, tally.function, tally.counters),
        **counts_of(tally),
    )


def distribution_of(histogram: Histogram | None) -> Distribution:
    """Return how the values of a histogram are spread."""
    if histogram is None:
        return _NOTHING
    counts, bounds = tuple(histogram.counts), histogram.bounds
    p50, p95, p99 = (percentile(share, bounds, counts) for share in (0.5, 0.95, 0.99))
    return Distribution(sum(counts), histogram.total, p50, p95, p99, bounds, counts)


def finding_of(label: str, function: str, counters: Counters) -> str:
    """Return a sentence on what `verify` found; nothing where each checked hit was right."""
    if not counters.differed:
        return ""
    samples = f"{counters.verified:,}".replace(",", " ")
    # A template names what to invalidate; a dotted name is no key that anybody could write.
    what = label if "{" in label else "it"
    name = function or label
    return (
        f"{name}: {counters.differed} of {samples} samples differed, oldest "
        f"{_age(counters.oldest_differed)}: does every write invalidate {what}?"
    )


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def counts_of(tally: Tally) -> dict[str, Any]:
    """Return the fields of `Counts`."""
    counters = tally.counters
    hits = counters.hits + tally.front_hits
    reads = hits + counters.misses
    load_times = distribution_of(counters.load_times)
    mean_ms = load_times.total / load_times.count if load_times.count else 0.0
    return {
        "hits": hits,
        "front_hits": tally.front_hits,
        "stale_hits": counters.stale_hits,
        "negative_hits": counters.negative_hits,
        "coalesced": counters.coalesced,
        "misses": counters.misses,
        "miss_reasons": dict(counters.miss_reasons),
        "hit_ratio": hits / reads if reads else None,
        "loads": counters.loads,
        "load_failures": counters.load_failures,
        "load_ms": counters.load_ms,
        "load_times": load_times,
        "seconds_saved": hits * mean_ms / 1000,
        "stored_bytes": distribution_of(counters.stored_bytes),
        "not_stored": dict(counters.not_stored),
        "refused": counters.refused,
        "verified": counters.verified,
        "differed": counters.differed,
        "oldest_differed": counters.oldest_differed if counters.differed else None,
        "invalidations": tally.invalidations,
        "invalidated_at": tally.invalidated_at,
    }
