"""Spans of endpoints, under FastAPI's own instrumentation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from httpx import ASGITransport, AsyncClient
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dualcache import Cache
from dualcache.integrations.opentelemetry import instrument
from tests.patience import patient

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


def test_a_request_leads_to_the_cache_and_from_there_to_the_loader(backend_url: str) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    cache = Cache(patient(backend_url))
    instrument(cache, metrics=False, tracer_provider=provider)
    app = FastAPI(lifespan=cache.lifespan)
    tracer = provider.get_tracer("app")

    @app.get("/users/{user_id}")
    @cache(key_prefix="user", resource_id_name="user_id")
    async def get_user(request: Request, user_id: int) -> dict[str, int]:
        with tracer.start_as_current_span("SELECT"):
            return {"id": user_id}

    @app.get("/plain/{number}")
    @cache.http(ttl=60)
    async def plain(number: int) -> int:
        return number

    async def ask() -> None:
        transport = ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            AsyncClient(transport=transport, base_url="http://shop") as client,
        ):
            assert (await client.get("/users/1")).json() == {"id": 1}
            server = "GET /users/{user_id}"
            assert ancestors(exporter, "SELECT") == ["SELECT", "cache.load", "cache.get", server]
            exporter.clear()
            assert (await client.get("/users/1")).json() == {"id": 1}
            assert ancestors(exporter, "cache.get") == ["cache.get", server]
            exporter.clear()
            assert (await client.get("/plain/1")).json() == 1
            assert "cache.get" in {span.name for span in exporter.get_finished_spans()}

    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    try:
        asyncio.run(ask())
    finally:
        FastAPIInstrumentor.uninstrument_app(app)


def ancestors(exporter: InMemorySpanExporter, name: str) -> list[str]:
    """Return the names from a span up to the root."""
    by_id: dict[int, ReadableSpan] = {
        span.context.span_id: span for span in exporter.get_finished_spans() if span.context
    }
    (span,) = [span for span in by_id.values() if span.name == name]
    found = [span.name]
    while span.parent is not None:
        span = by_id[span.parent.span_id]
        found.append(span.name)
    return found
