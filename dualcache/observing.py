"""Seeing what happens: events to observers, one log line per change of state, statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field, to_builtins

from dualcache.core.events import (
    BackendDown,
    BackendUp,
    NotRead,
    NotStored,
    ObserverFailed,
    PendingOverflowed,
    Replayed,
    StoresStopped,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualcache.core.events import Event
    from dualcache.core.policy import Usage
    from dualcache.engine.env import Env
    from dualcache.typing import Observer

LOGGER: Final = "dualcache"


class TemplateStats(Struct, frozen=True):
    """Counters of one function, or of the direct calls; times in ms."""

    hits: int
    misses: int
    stale_hits: int
    coalesced: int
    loads: int
    load_ms: float | None


class FrontStats(Struct, frozen=True):
    """The in-process tier: what it keeps, and how it hears what others change.

    `transport` is `"tracking"`, `"broadcast"`, `"pubsub"`, `"ttl"`, `"local"` or `"none"`, and
    `reason` says why. `losses` counts how often it was emptied because pushes may have been missed.
    """

    transport: str
    reason: str
    is_open: bool
    entries: int
    used_bytes: int
    hits: int
    losses: int


class Stats(Struct, frozen=True):
    """What one cache did so far in this process.

    `hits` are those of both tiers. `pending` are deletions that could not be delivered yet.
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
    coalesced: int
    loads: int
    observer_failures: int
    templates: Mapping[str, TemplateStats] = field(default_factory=dict)
    front: FrontStats | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain dictionaries, for JSON."""
        plain: dict[str, Any] = to_builtins(self)
        return plain


class Observers:
    """Hands events to observers; one that raises is counted, and harms nobody."""

    def __init__(self) -> None:
        self._observers: tuple[Observer, ...] = ()
        self.failures = 0

    def add(self, observer: Observer) -> None:
        """Have an observer called with each event from now on."""
        self._observers = (*self._observers, observer)

    def emit(self, event: Event) -> None:
        """Log what changes the state, and tell every observer."""
        line = LINES.get(type(event))
        if line is not None:
            log(*line(event))
        for observer in self._observers:
            try:
                observer(event)
            except Exception as error:  # noqa: BLE001  the caller must not notice
                self.failures += 1
                if not isinstance(event, ObserverFailed):
                    self.emit(ObserverFailed(error=type(error).__name__))

    @property
    def hear_hits(self) -> bool:
        """Whether anybody listens: a hit is an event only then."""
        return bool(self._observers)


def log(level: str, text: str, *arguments: object) -> None:
    """Write one line to the logger `dualcache`."""
    import logging

    logging.getLogger(LOGGER).log(getattr(logging, level), text, *arguments)


def down_line(event: BackendDown) -> tuple[Any, ...]:
    if event.is_configuration:
        return "ERROR", "backend refuses us (%s): its configuration needs a person", event.reason
    return "WARNING", "backend down (%s): loads run without it", event.reason


LINES: Final[Mapping[type[Event], Callable[[Any], tuple[Any, ...]]]] = {
    BackendDown: down_line,
    BackendUp: lambda _: ("INFO", "backend up again"),
    StoresStopped: lambda e: (
        "WARNING",
        "backend takes no writes (%s): reads and deletions go on",
        e.reason,
    ),
    Replayed: lambda e: ("INFO", "%d invalidations kept during the outage delivered", e.delivered),
    PendingOverflowed: lambda e: (
        "ERROR",
        "%d invalidations could not be kept: the backend is not read until clear()",
        e.dropped,
    ),
    NotStored: lambda e: ("WARNING", "%s: not stored: %s; %s", e.template, e.reason, e.help),
    NotRead: lambda e: ("WARNING", "%s: not read: %s; %s", e.template, e.reason, e.help),
}


def stats_of(
    env: Env,
    where: str,
    usages: Mapping[str, list[Usage]],
    failures: int,
    front: FrontStats | None = None,
) -> Stats:
    """Add up the counters of all functions."""
    templates = {label: summed(each) for label, each in usages.items()}
    total = summed([usage for each in usages.values() for usage in each])
    health = env.health
    return Stats(
        backend=where,
        tier=env.tier,
        is_available=health.breaker.is_closed and not health.has_overflowed,
        pending=len(health.owed),
        hits=total.hits + (front.hits if front else 0),
        misses=total.misses,
        stale_hits=total.stale_hits,
        coalesced=total.coalesced,
        loads=total.loads,
        observer_failures=failures,
        templates=templates,
        front=front,
    )


def summed(usages: list[Usage]) -> TemplateStats:
    """Add up counters; the load time is that of the last one measured."""
    measured = [usage.load_ms for usage in usages if usage.load_ms is not None]
    return TemplateStats(
        hits=sum(usage.hits for usage in usages),
        misses=sum(usage.misses for usage in usages),
        stale_hits=sum(usage.stale_hits for usage in usages),
        coalesced=sum(usage.coalesced for usage in usages),
        loads=sum(usage.loads for usage in usages),
        load_ms=measured[-1] if measured else None,
    )


__all__ = ["FrontStats", "Observers", "Stats", "TemplateStats", "log", "stats_of"]
