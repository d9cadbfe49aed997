"""The metrics of one cache.

Counters are read from `stats()` when a reader collects, so a call pays nothing for them.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final
from weakref import ref

from opentelemetry.metrics import Observation

from dualcache import Event, Loaded, LoadFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from opentelemetry.metrics import CallbackOptions, Histogram, Meter

    from dualcache import Cache, Stats

    Attributes = Mapping[str, str]

__all__ = ["Metrics"]

_STATS_SECONDS: Final = 0.1
"""For how long one look at the statistics serves the instruments of one collection."""
_MOST_WAITING: Final = 10_000
"""How many measurements of one histogram wait for a collection."""


class Metrics:
    """The instruments of one cache, which they do not keep alive."""

    def __init__(self, cache: Cache, meter: Meter, attributes: Attributes) -> None:
        self._cache = ref(cache)
        self._meter = meter
        self._attributes = attributes
        self._known: tuple[float, Stats] | None = None
        self._by_operation: dict[str, Attributes] = {}
        self._load_duration = _Recorded(
            meter.create_histogram("dualcache.load.duration", "s", "How long loaders ran.")
        )
        self._operation_duration = _Recorded(
            meter.create_histogram(
                "dualcache.operation.duration",
                "s",
                "How long trips to the backend took; of looks one in 64 is recorded.",
            )
        )
        cache.on_event(self._record_load, events=[Loaded, LoadFailed])
        cache.measure_operations(self._record_operation)

    def register(self) -> None:
        """Create the instruments that are read at each collection."""
        meter = self._meter
        for name, unit, description, read in (
            ("requests", "{request}", "Reads, by outcome.", _requests),
            ("coalesced", "{request}", "Callers who waited for another's load.", _coalesced),
            ("invalidations", "{invalidation}", "Invalidations.", _invalidations),
            ("evictions", "{entry}", "Entries evicted from a full front tier.", _evictions),
            ("not_stored", "{value}", "Results that were not stored.", _not_stored),
            ("verify.samples", "{hit}", "Hits that were checked.", _verified),
            ("verify.differed", "{hit}", "Checked hits that were wrong.", _differed),
        ):
            callbacks = [self._observed(read)]
            meter.create_observable_counter(f"dualcache.{name}", callbacks, unit, description)
        for name, unit, description, read in (
            ("entries", "{entry}", "Entries of the front tier.", _entries),
            ("size", "By", "Bytes of the front tier, where they are counted.", _size),
        ):
            callbacks = [self._observed(read)]
            meter.create_observable_up_down_counter(
                f"dualcache.{name}", callbacks, unit, description
            )
        callbacks = [self._observed(_backend_up)]
        meter.create_observable_gauge(
            "dualcache.backend.up", callbacks, "1", "Whether the backend answers."
        )

    def _observed(
        self, read: Callable[[Stats], Iterator[tuple[int, Attributes]]]
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            stats = self._stats()
            if stats is None:
                return []
            return [Observation(count, {**self._attributes, **more}) for count, more in read(stats)]

        return observe

    def _stats(self) -> Stats | None:
        cache, now = self._cache(), monotonic()
        if cache is None:
            return None
        self._load_duration.record_all()
        self._operation_duration.record_all()
        if self._known is None or now - self._known[0] > _STATS_SECONDS:
            self._known = now, cache.stats()
        return self._known[1]

    def _record_load(self, event: Event) -> None:
        assert isinstance(event, Loaded | LoadFailed)
        outcome: str = event.outcome if isinstance(event, Loaded) else "failed"
        attributes = {"dualcache.template": event.template, "dualcache.outcome": outcome}
        self._load_duration.put(event.load_ms / 1000, {**self._attributes, **attributes})

    def _record_operation(self, name: str, seconds: float) -> None:
        attributes = self._by_operation.get(name)
        if attributes is None:
            attributes = {**self._attributes, "dualcache.operation": name}
            self._by_operation[name] = attributes
        self._operation_duration.put(seconds, attributes)


class _Recorded:
    """A histogram whose measurements are recorded at the next collection.

    An SDK takes about ten microseconds to record one: as long as a whole hit.
    """

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._waiting: deque[tuple[float, Attributes]] = deque()

    def put(self, seconds: float, attributes: Attributes) -> None:
        """Keep one measurement; if many are waiting, record them at once."""
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append((seconds, attributes))
        else:
            self._histogram.record(seconds, attributes)

    def record_all(self) -> None:
        """Record all that are waiting."""
        waiting = self._waiting
        for _ in range(len(waiting)):
            self._histogram.record(*waiting.popleft())


def _requests(stats: Stats) -> Iterator[tuple[int, Attributes]]:
    """Yield the reads of each template: each is in one of these."""
    for template, each in stats.templates.items():
        named = {"dualcache.template": template, "dualcache.tier": stats.tier}
        special = each.stale_hits + each.negative_hits + each.coalesced
        plain = each.hits - each.front_hits - special
        yield each.front_hits, {**named, "dualcache.tier": "front", "dualcache.result": "hit"}
        yield max(0, plain), {**named, "dualcache.result": "hit"}
        yield each.stale_hits, {**named, "dualcache.result": "stale"}
        yield each.negative_hits, {**named, "dualcache.result": "negative"}
        yield each.coalesced, {**named, "dualcache.result": "coalesced"}
        for reason, count in each.miss_reasons.items():
            yield count, {**named, "dualcache.result": "miss", "dualcache.reason": reason}


def _coalesced(stats: Stats) -> Iterator[tuple[int, Attributes]]:
    for template, each in stats.templates.items():
        yield each.coalesced, {"dualcache.template": template}


def _invalidations(stats: Stats) -> Iterator[tuple[int, Attributes]]:
    rest = stats.invalidations
    for template, each in stats.templates.items():
        rest -= each.invalidations
        yield each.invalidations, {"dualcache.template": template}
    yield max(0, rest), {"dualcache.template": ""}


def _not_stored(stats: Stats) -> Iterator[tuple[int, Attributes]]:
    for template, each in stats.templates.items():
        for reason, count in each.not_stored.items():
            yield count, {"dualcache.template": template, "dualcache.reason": reason}


def _verified(stats: Stats) -> Iterator[tuple[int, Attributes]]:
    for template, each in stats.templates.items():
        if each.verified:
            yield each.verified, {"dualcache.template": template}


def _differed(stats: Stats) -> Iterator[tuple[int, Attributes]]:
    for template, each in stats.templates.items():
        if each.verified:
            yield each.differed, {"dualcache.template": template}


def _evictions(stats: Stats) -> Iterator[tuple[int, Attributes]]:
    if stats.front is not None:
        yield stats.front.evictions, {}


def _entries(stats: Stats) -> Iterator[tuple[int, Attributes]]:
    if stats.front is not None:
        yield stats.front.entries, {}


def _size(stats: Stats) -> Iterator[tuple[int, Attributes]]:
    if stats.front is not None:
        yield stats.front.used_bytes, {}


def _backend_up(stats: Stats) -> Iterator[tuple[int, Attributes]]:
    yield int(stats.is_available), {"dualcache.tier": stats.tier}
