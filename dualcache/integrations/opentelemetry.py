"""`instrument`: metrics and spans of a cache, by the API of OpenTelemetry.

Counters are read from `stats()` when a reader collects, so a call pays nothing for them. Without an
SDK all of it does nothing.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet, ref

from opentelemetry.metrics import Observation, get_meter
from opentelemetry.trace import (
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    get_tracer,
    set_span_in_context,
    use_span,
)

from dualcache import (
    Coalesced,
    Event,
    Hit,
    Invalidated,
    Loaded,
    LoadFailed,
    Miss,
    StaleHit,
    __version__,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from dualcache import Cache, Stats

    Attributes = Mapping[str, str]

__all__ = ["instrument"]

_STATS_SECONDS: Final = 0.1
"""For how long one look at the statistics serves the instruments of one collection."""
_instrumented: Final[WeakSet[Cache]] = WeakSet()


def instrument(
    cache: Cache,
    *,
    metrics: bool = True,
    traces: bool = True,
    include_keys: bool = False,
    attributes: Mapping[str, str] | None = None,
    meter_provider: MeterProvider | None = None,
    tracer_provider: TracerProvider | None = None,
) -> None:
    """Give metrics and spans of a cache to OpenTelemetry; a second call for it changes nothing.

    `include_keys` puts keys into spans, as `cache.key`; metrics have key templates alone.
    `attributes` are added to each measurement, where a program has several caches. The providers
    are the global ones unless they are given.
    """
    if cache in _instrumented:
        return
    _instrumented.add(cache)
    if metrics:
        meter = get_meter("dualcache", __version__, meter_provider)
        _Metrics(cache, meter, attributes or {}).register()
    if traces:
        cache.trace(_Tracer(get_tracer("dualcache", __version__, tracer_provider), include_keys))


class _Metrics:
    """The instruments of one cache, which they do not keep alive."""

    def __init__(self, cache: Cache, meter: Meter, attributes: Attributes) -> None:
        self._cache = ref(cache)
        self._meter = meter
        self._attributes = attributes
        self._known: tuple[float, Stats] | None = None
        self._load_duration = meter.create_histogram(
            "dualcache.load.duration", "s", "How long loaders ran."
        )
        self._operation_duration = meter.create_histogram(
            "dualcache.operation.duration",
            "s",
            "How long trips to the backend took; of looks one in eight is recorded.",
        )
        cache.on_event(self._record_load, events=[Loaded, LoadFailed])
        cache.measure_operations(self._record_operation)

    def register(self) -> None:
        """Create the instruments that are read at each collection."""
        meter = self._meter
        for name, unit, description, read in (
            ("requests", "{request}", "Reads, by what came of them.", _requests),
            ("coalesced", "{request}", "Callers who waited for another's load.", _coalesced),
            ("invalidations", "{invalidation}", "Invalidations.", _invalidations),
            ("evictions", "{entry}", "Entries that a full front tier gave up.", _evictions),
            ("not_stored", "{value}", "Results that were not stored.", _not_stored),
            ("verify.samples", "{hit}", "Hits that were checked.", _verified),
            ("verify.differed", "{hit}", "Hits that were found to be wrong.", _differed),
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
        if self._known is None or now - self._known[0] > _STATS_SECONDS:
            self._known = now, cache.stats()
        return self._known[1]

    def _record_load(self, event: Event) -> None:
        assert isinstance(event, Loaded | LoadFailed)
        outcome: str = event.outcome if isinstance(event, Loaded) else "failed"
        attributes = {"dualcache.template": event.template, "dualcache.outcome": outcome}
        self._load_duration.record(event.load_ms / 1000, {**self._attributes, **attributes})

    def _record_operation(self, name: str, seconds: float) -> None:
        attributes = {**self._attributes, "dualcache.operation": name}
        self._operation_duration.record(seconds, attributes)


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


class _Tracer:
    """Makes spans under recording parents alone (dualcache.typing.Tracer)."""

    def __init__(self, tracer: Any, include_keys: bool) -> None:
        self._tracer = tracer
        self.include_keys = include_keys

    def begin(self, name: str, template: str, parent: Any = None) -> Any:
        """Return a new span under `parent`, or under the current span; `None`: not recorded."""
        above = get_current_span() if parent is None else parent
        if not above.is_recording():
            return None
        context = None if parent is None else set_span_in_context(parent)
        return self._tracer.start_span(name, context, attributes={"dualcache.template": template})

    def entered(self, span: Any) -> AbstractContextManager[Span]:
        """Make a span the current one inside."""
        return use_span(span, record_exception=False, set_status_on_exception=False)

    def context_of(self, span: Any) -> str:
        """Return the trace context of a span (W3C Trace Context, `traceparent`)."""
        context = span.get_span_context()
        flags = int(context.trace_flags)
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"

    def end(self, span: Any, events: Sequence[Event], error: BaseException | None) -> None:
        """End a span; `events` are those of its call, in order, `error` is what it raised."""
        for event in events:
            span.set_attributes(_attributes_of(event))
            key = getattr(event, "key", "")
            if key and self.include_keys:
                span.set_attribute("cache.key", key)
            if isinstance(event, Coalesced) and event.trace:
                span.add_link(_context_from(event.trace))
        if error is not None:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        span.end()


def _attributes_of(event: Event) -> dict[str, Any]:
    """Return what an event tells of the span of its call."""
    match event:
        case Hit():
            age = {} if event.age is None else {"dualcache.age": event.age}
            size = {"cache.item_size": event.size_bytes} if event.size_bytes else {}
            return {"cache.hit": True, "dualcache.tier": event.tier, **age, **size}
        case StaleHit():
            return {"cache.hit": True, "dualcache.stale": event.reason}
        case Miss():
            return {"cache.hit": False, "dualcache.reason": event.reason}
        case Loaded():
            size = {"cache.item_size": event.size_bytes} if event.size_bytes else {}
            return {"dualcache.outcome": event.outcome, **size}
        case Coalesced():
            return {"dualcache.coalesced": True, "dualcache.waited": event.waited_ms / 1000}
        case Invalidated():
            counts = ("keys", "tags", "patterns", "removed", "pending")
            return {f"dualcache.{name}": getattr(event, name) for name in counts}
        case _:
            return {}


def _context_from(traceparent: str) -> SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(int(flags, 16))
    )
