"""The spans of one cache, made only under parents that are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span

__all__ = ["Spans"]


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

    def begin(self, name: str, template: str, parent: Any = None) -> Any:
        """Return a new span under `parent`, or under the current span; `None`: not recorded."""
        if parent is not None and not parent.is_recording():
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
        """End a span; `events` are those of its call, in order; `error` is the exception."""
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
