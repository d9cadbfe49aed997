"""Statistics of one cache in this process, and the logger of all."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field, to_builtins

from dualcache.options.time_travel import time_traveller

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualcache.core.policy import Counters
    from dualcache.engine.env import Env

LOGGER: Final = "dualcache"


class TemplateStats(Struct, frozen=True):
    """Counters of one function, or of the direct calls; times in ms."""

    hits: int
    misses: int
    stale_hits: int
    negative_hits: int
    refused: int
    coalesced: int
    loads: int
    load_ms: float | None


class FrontNodeStats(Struct, frozen=True):
    """How the changes on one primary of a cluster are heard, in the words of `FrontStats`."""

    node: str
    transport: str
    reason: str
    is_heard: bool


class FrontStats(Struct, frozen=True):
    """The in-process tier: its size, and the transport of changes.

    `transport` is `"tracking"`, `"broadcast"`, `"pubsub"`, `"ttl"`, `"local"` or `"none"`, and
    `reason` says why. `losses` counts how often it was emptied because pushes may have been missed.
    In a cluster both are those of the primary that is heard the least, and `nodes` has each.
    """

    transport: str
    reason: str
    is_open: bool
    entries: int
    used_bytes: int
    hits: int
    losses: int
    nodes: tuple[FrontNodeStats, ...] = ()


class Stats(Struct, frozen=True):
    """The counters of one cache in this process.

    `hits` are those of both tiers, stale and negative ones included. `running` are the loads in the
    background of now, `refused` those that were due while too many ran. `pending` are deletions
    that could not be delivered yet.
    `templates` has the counters of each function by its key template or name, without hits of the
    front tier; `front` is `None` where there is none.
    """

    backend: str
    tier: str
    is_available: bool
    pending: int
    hits: int
    misses: int
    stale_hits: int
    negative_hits: int
    running: int
    refused: int
    coalesced: int
    loads: int
    observer_failures: int
    templates: Mapping[str, TemplateStats] = field(default_factory=dict)
    front: FrontStats | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain dictionaries, for JSON."""
        plain: dict[str, Any] = to_builtins(self)
        return plain


def log(level: str, text: str, *arguments: object) -> None:
    """Write one line to the logger `dualcache`.

    The line names the library itself: where a program has not set up logging, Python prints
    warnings without the name of their logger.
    """
    import logging

    logging.getLogger(LOGGER).log(getattr(logging, level), "dualcache: " + text, *arguments)  # noqa: G003  a constant


def was_told_of_time_travel() -> bool:
    """Log that a library moves the time of a test, if one does; return whether it was logged."""
    library = time_traveller(sys.modules)
    if library is not None:
        log(
            "WARNING",
            "%s moves the time, and the cache does not follow: entries do not expire by it; "
            'make the cache with Cache("memory://", clock=lambda: time.time())',
            library,
        )
    return library is not None


def stats_of(
    env: Env,
    where: str,
    by_label: Mapping[str, list[Counters]],
    failures: int,
    front: FrontStats | None = None,
    running: int = 0,
) -> Stats:
    """Add up the counters of all functions."""
    templates = {label: _summed(each) for label, each in by_label.items()}
    total = _summed([one for each in by_label.values() for one in each])
    health = env.health
    return Stats(
        backend=where,
        tier=env.tier,
        is_available=health.is_available,
        pending=health.pending_count,
        hits=total.hits + (front.hits if front else 0),
        misses=total.misses,
        stale_hits=total.stale_hits,
        negative_hits=total.negative_hits,
        running=running,
        refused=total.refused,
        coalesced=total.coalesced,
        loads=total.loads,
        observer_failures=failures,
        templates=templates,
        front=front,
    )


def _summed(counters: list[Counters]) -> TemplateStats:
    """Add up counters; the load time is that of the last one measured."""
    measured = [one.load_ms for one in counters if one.load_ms is not None]
    return TemplateStats(
        hits=sum(one.hits for one in counters),
        misses=sum(one.misses for one in counters),
        stale_hits=sum(one.stale_hits for one in counters),
        negative_hits=sum(one.negative_hits for one in counters),
        refused=sum(one.refused for one in counters),
        coalesced=sum(one.coalesced for one in counters),
        loads=sum(one.loads for one in counters),
        load_ms=measured[-1] if measured else None,
    )


__all__ = [
    "FrontNodeStats",
    "FrontStats",
    "Stats",
    "TemplateStats",
    "log",
    "stats_of",
    "was_told_of_time_travel",
]
