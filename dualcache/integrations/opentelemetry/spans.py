"""The spans of one cache, made only under parents that are recorded."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.context import get_current
from opentelemetry.trace import (
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
    use_span,
)

from dualcache import Coalesced, Event, Hit, Invalidated, Loaded, Miss, StaleHit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span

__all__ = ["Spans"]

_BATCHES: Final = ("cache.get_many", "cache.refresh_many")
_MOST_VALUES: Final = 100
"""How many keys, or links, of a batch its span carries."""


class _Begun(NamedTuple):
    """A span, and whether it is one of a batch, which sums its events up."""

    span: Span
    is_batch: bool


class Spans:
    """Makes spans under parents that are recorded (dualcache.typing.Tracer)."""

    def __init__(self, tracer: Any, include_keys: bool) -> None:
        self._tracer = tracer
        self.include_keys = include_keys

    def is_recording(self) -> bool:
        """Tell whether the current span is recorded."""
        # Outside of a request the context is empty, so that no span need be looked for.
        context = get_current()
        if not context:
            return False
        return get_current_span(context).is_recording()

    def begin(self, name: str, template: str, parent: Any = None) -> _Begun | None:
        """Return a new span under `parent`, or under the current span; `None`: not recorded."""
        context = None if parent is None else set_span_in_context(parent.span)
        span = self._tracer.start_span(name, context, attributes={"dualcache.template": template})
        return _Begun(span, name in _BATCHES) if span.is_recording() else None

    def entered(self, span: _Begun) -> AbstractContextManager[Span]:
        """Make a span the current one inside."""
        return use_span(span.span, record_exception=False, set_status_on_exception=False)

    def context_of(self, span: _Begun) -> str:
        """Return the trace context of a span (W3C Trace Context, `traceparent`)."""
        context = span.span.get_span_context()
        flags = int(context.trace_flags)
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"

    def end(self, span: _Begun, events: Sequence[Event], error: BaseException | None) -> None:
        """End a span; `events` are those of its call, in order; `error` is the exception."""
        made, is_batch = span
        if is_batch:
            made.set_attributes(_attributes_of_batch(events))
        else:
            for event in events:
                made.set_attributes(_attributes_of(event))
        keys = [key for event in events if (key := getattr(event, "key", ""))]
        if keys and self.include_keys:
            made.set_attribute("cache.key", _some(keys) if is_batch else keys[-1])
        for trace in _some(getattr(event, "trace", "") for event in events):
            made.add_link(_context_from(trace))
        if error is not None:
            made.record_exception(error)
            made.set_status(Status(StatusCode.ERROR, type(error).__name__))
        made.end()


def _some(values: Iterable[str]) -> list[str]:
    """Return the first values that are not empty, each once: no more than a span should carry."""
    distinct = dict.fromkeys(value for value in values if value)
    return list(islice(distinct, _MOST_VALUES))


def _attributes_of_batch(events: Sequence[Event]) -> dict[str, Any]:
    """Return the attributes of a call for many keys: counts, and the most frequent reasons."""
    stale = Counter(event.reason for event in events if isinstance(event, StaleHit))
    missed = Counter(event.reason for event in events if isinstance(event, Miss))
    hits = stale.total() + sum(isinstance(event, Hit) for event in events)
    # A stale value that stands in for a load which failed was a miss before.
    misses = missed.total() - sum(stale[reason] for reason in ("error", "timeout"))
    outcomes = Counter(event.outcome for event in events if isinstance(event, Loaded))
    size = sum(event.size_bytes for event in events if isinstance(event, Hit | Loaded))
    made: dict[str, Any] = {}
    if hits or misses:
        made = {"cache.hit": not misses, "dualcache.hits": hits, "dualcache.misses": misses}
    if misses:
        made["dualcache.reason"] = missed.most_common(1)[0][0]
    if outcomes:
        made["dualcache.outcome"] = outcomes.most_common(1)[0][0]
    if stale:
        made["dualcache.stale"] = stale.most_common(1)[0][0]
    if size:
        made["cache.item_size"] = size
    return made


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
            counts = ("keys", "tags", "patterns", "removed", "expired", "pending")
            return {f"dualcache.{name}": getattr(event, name) for name in counts}
        case _:
            return {}


def _context_from(traceparent: str) -> SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(int(flags, 16))
    )
