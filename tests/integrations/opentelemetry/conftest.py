"""A cache whose spans an exporter in memory gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dualcache.integrations.opentelemetry import instrument

if TYPE_CHECKING:
    from dualcache import Cache
    from tests.colours import Colour


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


@pytest.fixture
def cache(colour: Colour, backend_url: str, provider: TracerProvider) -> Cache:
    cache = colour.cache(backend_url, namespace="shop")
    instrument(cache, metrics=False, tracer_provider=provider)
    return cache
