"""Calls within a request of the program's, and the spans that came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from tests.colours import Colour


def within(
    provider: TracerProvider,
    colour: Colour,
    call: Callable[..., Any],
    *args: Any,
    **options: Any,
) -> Any:
    """Make a call under a span of the program's."""
    tracer = provider.get_tracer("app")

    async def under_span() -> Any:
        with tracer.start_as_current_span("request"):
            return await call(*args, **options)

    if colour.is_async:
        return colour.run(under_span)
    with tracer.start_as_current_span("request"):
        return call(*args, **options)


def spans(exporter: InMemorySpanExporter) -> dict[str, Any]:
    """Return the spans that were exported, by name, and forget them."""
    found = {span.name: span for span in exporter.get_finished_spans()}
    exporter.clear()
    return found
