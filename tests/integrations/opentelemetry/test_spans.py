"""Spans of a cache, as the SDK exports them: only under a span that is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode, get_current_span

from dualcache import Loaded, Miss
from dualcache.integrations.opentelemetry import instrument
from tests.behaviour.seen import Seen
from tests.integrations.opentelemetry.requests import spans, within

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from dualcache import Cache
    from tests.colours import Colour


def test_a_miss_has_a_load_beneath_and_a_hit_has_none(
    colour: Colour, cache: Cache, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    inner: list[Any] = []

    def body(n: int) -> int:
        inner.append(get_current_span().get_span_context().span_id)
        return n

    load = cache(key="k:{n}")(colour.function(body))
    assert within(provider, colour, load, 1) == 1
    missed = spans(exporter)
    get, loading = missed["cache.get"], missed["cache.load"]
    assert get.parent.span_id == missed["request"].context.span_id
    assert loading.parent.span_id == get.context.span_id
    assert inner == [loading.context.span_id]
    assert get.attributes["cache.hit"] is False
    assert get.attributes["dualcache.template"] == "k:{n}"
    assert get.attributes["dualcache.reason"] == "absent"
    assert get.attributes["cache.item_size"] > 32
    assert "cache.key" not in get.attributes
    assert within(provider, colour, load, 1) == 1
    hit = spans(exporter)
    assert set(hit) == {"request", "cache.get"}
    assert hit["cache.get"].attributes["cache.hit"] is True
    assert hit["cache.get"].attributes["cache.item_size"] > 32
    assert hit["cache.get"].attributes["dualcache.tier"] == cache.stats().tier


def test_without_a_recording_parent_there_are_no_spans(
    colour: Colour, cache: Cache, exporter: InMemorySpanExporter
) -> None:
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    for _ in range(2):
        colour.run(load, 1)
    colour.run(load.invalidate, 1)
    off = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    within(off, colour, load, 2)
    assert spans(exporter) == {}


def test_keys_are_attributes_only_if_asked_for(
    colour: Colour, backend_url: str, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    instrument(cache, metrics=False, include_keys=True, tracer_provider=provider)
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    within(provider, colour, load, 1)
    assert spans(exporter)["cache.get"].attributes["cache.key"] == "k:1"


def test_what_the_loader_raises_stands_in_the_spans(
    colour: Colour, cache: Cache, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    def body() -> int:
        raise LookupError

    load = cache(key="k")(colour.function(body))
    with pytest.raises(LookupError):
        within(provider, colour, load)
    found = spans(exporter)
    for name in ("cache.get", "cache.load"):
        assert found[name].status.status_code is StatusCode.ERROR
        assert found[name].status.description == "LookupError"
        assert [event.name for event in found[name].events] == ["exception"]


def test_direct_calls_have_spans_too(
    colour: Colour, cache: Cache, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    face = colour.face(cache)
    loader = colour.function(lambda: 1)
    assert within(provider, colour, face.get_or_load, "k", loader) == 1
    assert set(spans(exporter)) == {"request", "cache.get", "cache.load"}
    assert within(provider, colour, face.get, "k") == 1
    assert spans(exporter)["cache.get"].attributes["cache.hit"] is True
    assert within(provider, colour, face.get, "absent") is None
    assert spans(exporter)["cache.get"].attributes["cache.hit"] is False

    def failing() -> int:
        raise LookupError

    with pytest.raises(LookupError):
        within(provider, colour, face.get_or_load, "f", colour.function(failing))
    assert spans(exporter)["cache.get"].status.status_code is StatusCode.ERROR


def test_invalidations_have_spans_with_their_counts(
    colour: Colour, cache: Cache, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    load = cache(key="k:{n}", stale_while_revalidate=600)(colour.function(lambda n: n))
    face = colour.face(cache)
    for n in range(4):
        colour.run(load, n)

    def invalidate(call: Callable[..., Any], *args: Any, **options: Any) -> tuple[Any, ...]:
        within(provider, colour, call, *args, **options)
        attributes: Any = spans(exporter)["cache.invalidate"].attributes
        wanted = ("template", "keys", "patterns", "removed", "expired")
        return tuple(attributes[f"dualcache.{name}"] for name in wanted)

    assert invalidate(load.expire, 0) == ("k:{n}", 1, 0, 0, 1)
    assert invalidate(load.invalidate, 1) == ("k:{n}", 1, 0, 1, 0)
    assert invalidate(face.invalidate, "a", "b") == ("", 2, 0, 0, 0)
    assert invalidate(face.expire, "k:0") == ("", 1, 0, 0, 1)
    assert invalidate(face.invalidate, patterns=["k:2"]) == ("", 0, 1, 1, 0)
    assert invalidate(load.cache_clear) == ("k:{n}", 0, 1, 2, 0)
    assert invalidate(face.clear) == ("", 0, 1, 0, 0)


def test_a_refresh_has_a_load_beneath(
    colour: Colour, cache: Cache, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    assert within(provider, colour, load.refresh, 1) == 1
    found = spans(exporter)
    assert found["cache.refresh"].attributes["dualcache.outcome"] == "stored"
    assert found["cache.load"].parent.span_id == found["cache.refresh"].context.span_id


def test_a_load_that_starts_from_the_old_value_has_a_span(
    colour: Colour, cache: Cache, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    renew = colour.function(lambda old: old.value + 1)
    load = cache(key="k", refresh_from=renew)(colour.function(lambda: 1))
    colour.run(load)
    colour.run(load.expire)
    assert within(provider, colour, load) == 2
    assert set(spans(exporter)) == {"request", "cache.get", "cache.load"}


def test_a_load_in_the_background_is_in_the_trace_of_its_call(
    colour: Colour, cache: Cache, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    gate, seen, values = colour.gate(), Seen(cache), iter([1, 2])

    async def body() -> int:
        value = next(values)
        if value == 2:
            await gate.passed()
        return value

    load = cache(key="k", stale_while_revalidate=600)(colour.function(body))
    colour.run(load)
    colour.run(load.expire)
    assert within(provider, colour, load) == 1
    gate.wait_until_entered()
    get: Any
    (get,) = [span for span in exporter.get_finished_spans() if span.name == "cache.get"]
    assert get.attributes["dualcache.stale"] == "revalidate"
    gate.open()
    seen.wait_for(Loaded, 2)
    loading = spans(exporter)["cache.load"]
    assert loading.parent == get.context


def test_who_waits_for_a_load_links_to_its_span(
    colour: Colour, cache: Cache, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    gate, tracer, seen = colour.gate(), provider.get_tracer("app"), Seen(cache)

    async def body() -> int:
        await gate.passed()
        return 1

    load = cache(key="k")(colour.function(body))

    def request() -> Any:
        with tracer.start_as_current_span("request"):
            return load()

    async def arequest() -> Any:
        with tracer.start_as_current_span("request"):
            return await load()

    calls = [colour.start(arequest if colour.is_async else request)]
    gate.wait_until_entered()
    calls.append(colour.start(arequest if colour.is_async else request))
    seen.wait_for(Miss, 2)
    gate.open()
    assert [call.result() for call in calls] == [1, 1]
    finished = exporter.get_finished_spans()
    (loading,) = [span for span in finished if span.name == "cache.load"]
    links = [link for span in finished if span.name == "cache.get" for link in span.links]
    assert [link.context for link in links] == [loading.context]
