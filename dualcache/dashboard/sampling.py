"""What the lines and the event tail show: bounded, and kept by one thread once somebody looks."""

from __future__ import annotations

import os
from collections import deque
from contextlib import ExitStack
from math import inf
from threading import Event as Signal
from threading import Lock, Thread
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import dualcache
from dualcache import Coalesced, Distribution, Event, Hit, StaleHit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dualcache import Cache, FleetStats, Stats

KEPT_SECONDS: Final = 900
MOST_EVENTS: Final = 200
WATCHED_SECONDS: Final = 10.0
"""How long after its last message a page counts as open: its stream may just begin anew."""
MOST_FUNCTIONS: Final = 200
"""For how many functions a line is kept, and a row is shown: those with the most reads."""
ON_HITS: Final = (Hit, StaleHit, Coalesced)
"""Events that are not listened to: they come with hits, which stay as fast as ever."""
HEARD: Final = [
    kind
    for name in dualcache.__all__
    if isinstance(kind := getattr(dualcache, name), type)
    and issubclass(kind, Event)
    and kind not in {Event, *ON_HITS}
]


class Point(NamedTuple):
    """What happened between two samples; `None` where nothing did."""

    at: float
    """Seconds since the epoch."""
    requests: float
    """Reads per second."""
    hit_ratio: float | None
    load_p95: float | None
    """Milliseconds."""
    functions: Mapping[str, tuple[int, int]]
    """Hits and misses of each function."""


class Line(NamedTuple):
    """A line of the tail that is no event: a change by any process, as the server tells it."""

    name: str
    about: str
    fields: Mapping[str, str]


class Heard(NamedTuple):
    """One event or line of the tail."""

    number: int
    at: float
    event: Event | Line


class Sampler:
    """Reads the counters of a cache every few seconds, and listens to its events."""

    def __init__(self, cache: Cache, every: float) -> None:
        self._cache = cache
        self._every = every
        self._lock = Lock()
        self._process = 0
        self._over = Signal()
        self._thread: Thread | None = None
        self._observing = ExitStack()
        self._number = 0
        self._before: tuple[float, Stats] | None = None
        self._shown_at = -inf
        self.points: deque[Point] = deque(maxlen=max(2, int(KEPT_SECONDS / every)))
        self.events: deque[Heard] = deque(maxlen=MOST_EVENTS)

    def start(self) -> None:
        """Begin, unless it has begun in this process."""
        if self._process == os.getpid():
            return
        with self._lock:
            if self._process == os.getpid():
                return
            if not self._process:  # a forked child has its parent's observer, and no thread
                self._observing.enter_context(self._cache.observed(self.put, events=HEARD))
            self._process = os.getpid()
            self._over = Signal()
            self.take()
            self._thread = Thread(
                target=self._run, args=(self._over,), name="dualcache-dashboard", daemon=True
            )
            self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None

    def close(self) -> None:
        """End the thread, and hear no more events."""
        with self._lock:
            self._over.set()
            thread, self._thread = self._thread, None
            self._process = 0
            self._observing.close()
        if thread is not None and thread.is_alive():
            thread.join()

    def take(self) -> None:
        """Read the counters once; what came since the last time is one point of the lines."""
        now, stats = monotonic(), self._cache.stats()
        if self._before is not None:
            self.points.append(point_of(*self._before, now, stats))
        self._before = now, stats

    def shown(self) -> None:
        """Note that a page gets what is here."""
        self._shown_at = monotonic()

    @property
    def is_watched(self) -> bool:
        """Whether a page was open until a moment ago."""
        return monotonic() - self._shown_at < max(WATCHED_SECONDS, 3 * self._every)

    def put(self, event: Event | Line) -> None:
        """Put something into the tail."""
        self._number += 1
        self.events.append(Heard(self._number, time(), event))

    def _run(self, over: Signal) -> None:
        while not over.wait(self._every):
            self.take()


def point_of(past: float, before: Stats, now: float, after: Stats) -> Point:
    """Return the point of the lines between two readings of the counters."""
    hits = max(0, after.hits - before.hits)
    misses = max(0, after.misses - before.misses)
    reads = hits + misses
    return Point(
        at=time(),
        requests=reads / max(now - past, 1e-3),
        hit_ratio=hits / reads if reads else None,
        load_p95=grown(before.load_times, after.load_times).p95,
        functions=reads_between(before, after),
    )


def grown(before: Distribution, after: Distribution) -> Distribution:
    """Return the spread of the values between two readings; empty if the counters began anew."""
    return after.since(before) if after.count >= before.count else Distribution()


def reads_between(before: Stats, after: Stats) -> dict[str, tuple[int, int]]:
    """Return the hits and misses of each function that was called meanwhile."""
    found: dict[str, tuple[int, int]] = {}
    for name in busiest(after):
        now, past = after.templates[name], before.templates.get(name)
        hits = now.hits - (past.hits if past else 0)
        misses = now.misses - (past.misses if past else 0)
        if hits > 0 or misses > 0:
            found[name] = (max(0, hits), max(0, misses))
    return found


def busiest(stats: Stats | FleetStats) -> list[str]:
    """Return the functions with the most reads, those first."""
    reads = {name: one.hits + one.misses for name, one in stats.templates.items()}
    return sorted(reads, key=lambda name: (-reads[name], name))[:MOST_FUNCTIONS]


def ratios(points: Iterable[Point], name: str) -> list[float | None]:
    """Return the line of the hit ratio of one function."""
    counts = [point.functions.get(name) for point in points]
    return [None if each is None else each[0] / sum(each) for each in counts]


def plain_event(heard: Heard) -> dict[str, Any]:
    """Return an event as JSON has it: what it says, without what it leaves at its default."""
    event: Any = heard.event
    if isinstance(event, Line):
        told = {"name": event.name, "template": event.about, "fields": dict(event.fields)}
        return {"number": heard.number, "at": heard.at, **told}
    fields = zip(event.__struct_fields__, event.__struct_defaults__, strict=True)
    told = {name: getattr(event, name) for name, default in fields if name != "key"
            and getattr(event, name) != default}  # fmt: skip
    template = told.pop("template", "")
    return {
        "number": heard.number,
        "at": heard.at,
        "name": type(event).__name__,
        "template": template,
        "fields": told,
    }
