"""Statistics of one cache, of this process and of all."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  for those who ask for the type hints
from typing import Any

from msgspec import Struct, field, to_builtins

from dualcache.core.histogram import percentile


class Distribution(Struct, frozen=True):
    """The spread of times in milliseconds, or of sizes in bytes.

    `bounds` are upper bounds. `counts` has one number for each of them, and one for all larger
    values. `p50`, `p95` and `p99` are read from these buckets: times are right to about a quarter,
    sizes to a factor of two. They are `None` if nothing was counted.
    """

    count: int = 0
    total: float = 0.0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    def since(self, earlier: Distribution) -> Distribution:
        """Return how the values are spread that came after `earlier` was read."""
        if not earlier.count:
            return self
        counts = tuple([now - past for now, past in zip(self.counts, earlier.counts, strict=True)])
        p50, p95, p99 = (percentile(share, self.bounds, counts) for share in (0.5, 0.95, 0.99))
        total = self.total - earlier.total
        return Distribution(sum(counts), total, p50, p95, p99, self.bounds, counts)


class Counts(Struct, frozen=True, kw_only=True):
    """The counters of a cache or a function since the process began.

    `hits` are those of both tiers, and include `front_hits`, `stale_hits`, `negative_hits` and
    `coalesced`. `coalesced` are callers who got the result of another caller's load. `hit_ratio` is
    `None` before the first read. The sum of `miss_reasons` is `misses`.

    `loads` gave a result, and `load_failures` raised. `load_ms` is a running mean, and `load_times`
    has all of them. `seconds_saved` is the hits times the mean load. `refused` are background loads
    that were due while too many ran. `stored_bytes` has the sizes of stored values. `not_stored`
    counts, by reason, results that were not stored.

    `verified` are hits that `verify` checked, and `differed` those that were wrong.
    `oldest_differed` is the age of the oldest of these, in seconds.
    """

    hits: int = 0
    front_hits: int = 0
    stale_hits: int = 0
    negative_hits: int = 0
    coalesced: int = 0
    misses: int = 0
    miss_reasons: Mapping[str, int] = field(default_factory=dict)
    hit_ratio: float | None = None
    loads: int = 0
    load_failures: int = 0
    load_ms: float | None = None
    load_times: Distribution = Distribution()
    seconds_saved: float = 0.0
    stored_bytes: Distribution = Distribution()
    not_stored: Mapping[str, int] = field(default_factory=dict)
    refused: int = 0
    verified: int = 0
    differed: int = 0
    oldest_differed: float | None = None
    invalidations: int = 0
    invalidated_at: float | None = None
    """When the last invalidation was, in seconds since the epoch; `None`: there was none."""

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain dictionaries, for JSON."""
        plain: dict[str, Any] = to_builtins(self)
        return plain


class TemplateStats(Counts, frozen=True, kw_only=True):
    """The counters of one function, or of the direct calls.

    `function` is its name; if several functions share a key template, the name of one of them.
    `ttl` is how many seconds results are stored for; `None`: without end, or before the first call.
    `finding` is a sentence on what `verify` found, and empty if every checked hit was right.
    `invalidations` are those by the function's handles, not those of its keys by name.
    """

    function: str = ""
    finding: str = ""
    ttl: float | None = None


class FrontNodeStats(Struct, frozen=True):
    """How the changes on one primary of a cluster are heard; as in `FrontStats`."""

    node: str
    transport: str
    reason: str
    is_heard: bool


class FrontStats(Struct, frozen=True):
    """The in-process tier: its size, and its transport for changes.

    `transport` is `"tracking"`, `"broadcast"`, `"pubsub"`, `"ttl"`, `"local"` or `"none"`, and
    `reason` says why. `losses` counts how often it was emptied because pushes may have been missed.
    `evictions` counts the entries that were dropped because the tier was full. In a cluster,
    transport and reason are those of the primary that is heard the least, and `nodes` has each.
    """

    transport: str
    reason: str
    is_open: bool
    entries: int
    used_bytes: int
    hits: int
    losses: int
    nodes: tuple[FrontNodeStats, ...] = ()
    evictions: int = 0


class Stats(Counts, frozen=True, kw_only=True):
    """The counters of one cache in this process, over all functions and direct calls.

    `running` are the background loads that run now. `pending` are deletions that could not be
    delivered yet. `operations` has the times of the trips to the backend by kind of operation; they
    are measured only after `cache.measure_operations()`. `templates` has the counters of each
    function by its key template or name. `front` is `None` if there is no front tier.
    """

    backend: str
    namespace: str
    tier: str
    is_available: bool
    pending: int
    running: int
    observer_failures: int
    templates: Mapping[str, TemplateStats] = field(default_factory=dict)
    operations: Mapping[str, Distribution] = field(default_factory=dict)
    front: FrontStats | None = None

    @property
    def findings(self) -> tuple[str, ...]:
        """The findings of `verify`: a sentence for each function that served wrong values."""
        return tuple([each.finding for each in self.templates.values() if each.finding])


class FleetMinute(Counts, frozen=True, kw_only=True):
    """The counters of all processes in one minute, which began `at` (epoch seconds)."""

    at: float
    processes: int


class FleetStats(Counts, frozen=True, kw_only=True):
    """The counters of all processes that share theirs, over the last quarter of an hour.

    `since` is when that time began, `processes` how many there were at most in one minute.
    `minutes` are in order, and include those without a share. `is_complete`: the backend answered;
    otherwise these are the counters of this process only.
    """

    since: float
    processes: int
    is_complete: bool
    minutes: tuple[FleetMinute, ...] = ()
    templates: Mapping[str, TemplateStats] = field(default_factory=dict)

    @property
    def findings(self) -> tuple[str, ...]:
        """The findings of `verify`: a sentence for each function that served wrong values."""
        return tuple([each.finding for each in self.templates.values() if each.finding])


__all__ = [
    "Counts",
    "Distribution",
    "FleetMinute",
    "FleetStats",
    "FrontNodeStats",
    "FrontStats",
    "Stats",
    "TemplateStats",
]
