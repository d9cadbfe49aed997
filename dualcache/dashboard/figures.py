"""What the first page shows, as plain values: tiles, lines, a row for each function, events."""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from dualcache import DualCacheError, MissingClientError
from dualcache.dashboard.sampling import MOST_FUNCTIONS, Point, busiest, plain_event, ratios
from dualcache.inspection.server_figures import Figures, figures_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache import Cache, FleetStats, FrontStats, Stats, TemplateStats
    from dualcache.dashboard.sampling import Sampler

SPARK_POINTS: Final = 60
MINUTE_SECONDS: Final = 60
SERVER_SECONDS: Final = 5.0
"""How long the figures of the server are good: they cost it an INFO."""


class ServerFigures:
    """The counters of the server, read at most every few seconds, and only while a page is open."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._before: tuple[float, Figures] | None = None
        self._last: dict[str, Any] | None = None

    def read(self) -> dict[str, Any] | None:
        """Return figures by name; `None` if there is no server, or no answer."""
        now, before = monotonic(), self._before
        if before is not None and now - before[0] < SERVER_SECONDS:
            return self._last
        try:
            figures = figures_of(self._cache)
        except (MissingClientError, RedisError, DualCacheError, OSError):
            self._before = self._last = None
            return None
        passed = 0.0 if before is None else now - before[0]
        self._last = figures.told(before[1] if before else None, passed)
        self._before = now, figures
        return self._last


class FleetFigures:
    """The shared counters of all processes, read as seldom."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._asked: float | None = None
        self._last: FleetStats | None = None

    def read(self) -> FleetStats | None:
        """Return the counters of all processes; `None` if no process shares its counters."""
        now = monotonic()
        if self._asked is None or now - self._asked >= SERVER_SECONDS:
            found = self._cache.stats(fleet=True)
            self._asked, self._last = now, found if found.minutes and found.templates else None
        return self._last


def overview(
    cache: Cache, sampler: Sampler, servers: ServerFigures, fleet: FleetFigures
) -> dict[str, Any]:
    """Return all that the first page shows."""
    stats, points = cache.stats(), list(sampler.points)
    shared = fleet.read()
    return {
        "process": os.getpid(),
        "backend": stats.backend,
        "is_available": stats.is_available,
        "pending": stats.pending,
        "tier": stats.tier,
        "server": servers.read() if stats.is_available else None,
        "front": front_of(stats.front),
        "views": {
            "process": view_of(stats, points),
            "fleet": None if shared is None else fleet_view_of(shared),
        },
        "events": [plain_event(heard) for heard in reversed(list(sampler.events))],
    }


def view_of(stats: Stats | FleetStats, points: Sequence[Point]) -> dict[str, Any]:
    """Return the figures of one process, or of all."""
    return {
        "tiles": tiles_of(stats, points),
        "lines": lines_of(points),
        "functions": [row_of(name, stats.templates[name], points) for name in busiest(stats)],
        "more_functions": max(0, len(stats.templates) - MOST_FUNCTIONS),
        "findings": list(stats.findings),
    }


def fleet_view_of(fleet: FleetStats) -> dict[str, Any]:
    """Return the figures of all processes in the last quarter of an hour, by minutes."""
    points = [
        Point(
            at=minute.at + MINUTE_SECONDS,
            requests=(minute.hits + minute.misses) / MINUTE_SECONDS,
            hit_ratio=minute.hit_ratio,
            load_p95=minute.load_times.p95,
            functions={},
        )
        for minute in fleet.minutes
    ]
    # The last minute has only begun: its reads are not those of a minute yet.
    whole = points[:-1] or points
    return {**view_of(fleet, whole), "processes": fleet.processes}


def tiles_of(stats: Stats | FleetStats, points: Sequence[Point]) -> dict[str, Any]:
    """Return the figures at the top: those of now, and all that was counted."""
    busy = [point for point in points if point.hit_ratio is not None]
    reads = sum(point.requests for point in busy)
    recent = sum((point.hit_ratio or 0.0) * point.requests for point in busy)
    return {
        "hit_ratio": recent / reads if reads else stats.hit_ratio,
        "hit_ratio_total": stats.hit_ratio,
        "requests": points[-1].requests if points else 0.0,
        "reads": stats.hits + stats.misses,
        "load_p95": stats.load_times.p95,
        "load_p50": stats.load_times.p50,
        "loads": stats.loads,
        "load_failures": stats.load_failures,
        "seconds_saved": stats.seconds_saved,
        "coalesced": stats.coalesced,
    }


def lines_of(points: Sequence[Point]) -> dict[str, list[Any]]:
    """Return the lines of the last quarter of an hour, oldest first."""
    return {
        "at": [round(point.at, 1) for point in points],
        "hit_ratio": [rounded(point.hit_ratio) for point in points],
        "requests": [rounded(point.requests) for point in points],
        "load_p95": [rounded(point.load_p95) for point in points],
    }


def front_of(front: FrontStats | None) -> dict[str, Any] | None:
    """Return the state of the in-process tier."""
    if front is None:
        return None
    return {
        "transport": front.transport,
        "reason": front.reason,
        "is_open": front.is_open,
        "entries": front.entries,
        "bytes": front.used_bytes,
        "losses": front.losses,
        "evictions": front.evictions,
        "nodes": [
            {"node": each.node, "transport": each.transport, "is_heard": each.is_heard}
            for each in front.nodes
        ],
    }


def row_of(name: str, one: TemplateStats, points: Sequence[Point]) -> dict[str, Any]:
    """Return the row of one function."""
    stale = min(one.stale_hits, one.hits)
    front = min(one.front_hits, one.hits - stale)
    return {
        "name": name,
        "function": one.function,
        "ttl": one.ttl,
        "calls": one.hits + one.misses,
        "front": front,
        "backend": one.hits - stale - front,
        "stale": stale,
        "misses": one.misses,
        "hit_ratio": one.hit_ratio,
        "line": [rounded(each) for each in ratios(points, name)[-SPARK_POINTS:]],
        "load_p50": one.load_times.p50,
        "load_p95": one.load_times.p95,
        "loads": one.loads,
        "load_failures": one.load_failures,
        "coalesced": one.coalesced,
        "negative": one.negative_hits,
        "bytes_p50": one.stored_bytes.p50,
        "bytes_p95": one.stored_bytes.p95,
        "seconds_saved": one.seconds_saved,
        "miss_reasons": dict(one.miss_reasons),
        "not_stored": dict(one.not_stored),
        "invalidations": one.invalidations,
        "invalidated_at": one.invalidated_at,
        "verified": one.verified,
        "differed": one.differed,
        "finding": one.finding,
    }


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
