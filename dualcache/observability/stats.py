"""Events to observers, one log line per change of state, statistics."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec import Struct, field, to_builtins

from dualcache.core.callables import taking_of
from dualcache.core.events import (
    BackendDown,
    BackendUp,
    Differed,
    NotRead,
    NotStored,
    ObserverFailed,
    PendingOverflowed,
    Replayed,
    ScansRefused,
    StoresStopped,
)
from dualcache.core.interrupts import interrupt_in
from dualcache.errors import UsageError
from dualcache.options.time_travel import time_traveller

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualcache.core.events import Event
    from dualcache.core.policy import Counters
    from dualcache.engine.env import Env
    from dualcache.typing import Observer

LOGGER: Final = "dualcache"


class TemplateStats(Struct, frozen=True):
    """Counters of one function, or of the direct calls; times in ms."""

    hits: int
    misses: int
    stale_hits: int
    refused: int
    coalesced: int
    loads: int
    load_ms: float | None


class FrontStats(Struct, frozen=True):
    """The in-process tier: its size, and the transport of changes.

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
    """The counters of one cache in this process.

    `hits` are those of both tiers, stale ones included. `running` are the loads in the background
    of now, `refused` those that were due while too many ran. `pending` are deletions that could not
    be delivered yet.
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


def _to_observer(observer: Any) -> Observer:
    """Check an observer of events; one that takes no event is called without."""
    if not callable(observer):
        raise UsageError(
            "the observer of on_event() is not callable",
            code="DC154",
            help="give a function of one event: @cache.on_event above it, or on_event(function)",
        )
    taking = taking_of(observer, (), option="the observer", owner="on_event()", first="event")
    takes_event = taking is None or taking.takes_result
    called: Any = observer if takes_event else lambda _: observer()
    return called  # type: ignore[no-any-return]  # which of them it is, was looked at


class Observers:
    """Hands events to observers; one that raises is counted, and harms nobody."""

    def __init__(self) -> None:
        self._observers: tuple[Observer, ...] = ()
        self.failures = 0

    def add(self, observer: Observer) -> None:
        """Have an observer called with each event from now on."""
        observer = _to_observer(observer)
        self._observers = (*self._observers, observer)

    def emit(self, event: Event, server: str = "") -> None:
        """Log changes of the state of `server`, and call every observer."""
        line = LINES.get(type(event))
        if line is not None:
            level, text = line(event, server)
            log(level, "%s", text)
        for observer in self._observers:
            try:
                observer(event)
            except Exception as error:
                if interrupt_in(error) is not None:
                    raise
                # The observer's own: the caller must not notice.
                self.failures += 1
                if not isinstance(event, ObserverFailed):
                    self.emit(ObserverFailed(error=type(error).__name__), server)

    @property
    def hear_hits(self) -> bool:
        """Whether anybody listens: a hit is an event only then."""
        return bool(self._observers)


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


STATES: Final = {"DC200": "cannot be reached", "DC201": "does not answer"}
"""Problems of a server, by the reason of the event; the cause follows in brackets."""

Line: TypeAlias = "tuple[str, str]"
"""A level and a text."""


def _down_line(event: BackendDown, server: str) -> Line:
    """Describe a problem: its nature, its cause and its consequence."""
    seconds = f"{event.retry_ms / 1000:g} s"
    if event.is_configuration:
        what = f"{server} refuses this program ({event.cause}); functions run without the cache"
        return "ERROR", f"{what} until that is mended; next try in {seconds}"
    state = STATES.get(event.reason, "cannot be used now")
    what = f"{server} {state} ({event.cause}); functions run without the cache"
    return "WARNING", f"{what}; next try in {seconds}"


def _stopped_line(event: StoresStopped, server: str) -> Line:
    """Describe a server that takes no writes: a full one still deletes, others do not."""
    deletions = (
        "deletions go on" if event.reason == "OOM" else "deletions are kept and delivered later"
    )
    what = f"{server} takes no writes ({event.reason}); stored values are still served"
    return "WARNING", f"{what}, nothing new is stored, {deletions}"


def _scans_line(event: ScansRefused, server: str) -> Line:
    """Describe invalidations on a server that does not list its keys."""
    what = f"{server} does not let its keys be listed ({event.reason}: allow +scan)"
    return "ERROR", f"{what}; patterns and clears are kept undelivered, keys and tags go on"


def _replayed_line(event: Replayed, server: str) -> Line:
    """Say how many deletions were delivered late."""
    many = "invalidation" if event.delivered == 1 else "invalidations"
    return "INFO", f"{server} got what was kept while it did not answer: {event.delivered} {many}"


def _overflow_line(event: PendingOverflowed, server: str) -> Line:
    """Describe the way out when too many invalidations were pending."""
    what = f"{server} is not read until clear() has reached it"
    return "ERROR", f"{what}: {event.dropped} invalidations could not be kept"


def _differed_line(event: Differed, _: str) -> Line:
    """Say that a write seems to forget to invalidate."""
    what = f"{event.template}: an entry of {event.age:.0f} s is not what the function returns now"
    return "WARNING", f"{what}, and nothing has invalidated it: which write changes its source?"


LINES: Final[Mapping[type[Event], Callable[[Any, str], Line]]] = {
    BackendDown: _down_line,
    BackendUp: lambda _, server: ("INFO", f"{server} answers again; functions use the cache"),
    StoresStopped: _stopped_line,
    ScansRefused: _scans_line,
    Replayed: _replayed_line,
    PendingOverflowed: _overflow_line,
    Differed: _differed_line,
    NotStored: lambda e, _: ("WARNING", f"{e.template}: not stored: {e.reason}; {e.help}"),
    NotRead: lambda e, _: ("WARNING", f"{e.template}: not read: {e.reason}; {e.help}"),
}


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
        is_available=health.breaker.is_closed and not health.has_overflowed,
        pending=len(health.pending) + len(health.refused),
        hits=total.hits + (front.hits if front else 0),
        misses=total.misses,
        stale_hits=total.stale_hits,
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
        refused=sum(one.refused for one in counters),
        coalesced=sum(one.coalesced for one in counters),
        loads=sum(one.loads for one in counters),
        load_ms=measured[-1] if measured else None,
    )


__all__ = [
    "FrontStats",
    "Observers",
    "Stats",
    "TemplateStats",
    "log",
    "stats_of",
    "was_told_of_time_travel",
]
