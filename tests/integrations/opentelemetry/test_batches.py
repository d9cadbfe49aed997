"""Spans of batches: one for all keys, with counts, and one for each call of the loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import StatusCode

from dualcache import Loaded
from dualcache.integrations.opentelemetry import instrument
from tests.behaviour.seen import Seen
from tests.integrations.opentelemetry.requests import spans, within

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from dualcache import Cache
    from tests.colours import Colour


def counts(span: Any) -> tuple[bool, int, int]:
    """Return what a span of a batch says of its keys."""
    told = span.attributes
    return told["cache.hit"], told["dualcache.hits"], told["dualcache.misses"]


def test_a_batch_has_one_span_with_its_load_beneath(
    colour: Colour, cache: Cache, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    load = cache.many(key="k:{n}")(colour.function(lambda n: {each: each for each in n}))
    assert within(provider, colour, load, [1, 2]) == {1: 1, 2: 2}
    missed = spans(exporter)
    get, loading = missed["cache.get_many"], missed["cache.load"]
    assert get.parent.span_id == missed["request"].context.span_id
    assert loading.parent.span_id == get.context.span_id
    assert counts(get) == (False, 0, 2)
    assert get.attributes["dualcache.template"] == "k:{n}"
    assert get.attributes["dualcache.reason"] == "absent"
    assert get.attributes["dualcache.outcome"] == "stored"
    assert get.attributes["cache.item_size"] > 64
    assert "cache.key" not in get.attributes
    assert within(provider, colour, load, [1, 2, 3]) == {1: 1, 2: 2, 3: 3}
    assert counts(spans(exporter)["cache.get_many"]) == (False, 2, 1)
    assert within(provider, colour, load, [1, 2, 3]) == {1: 1, 2: 2, 3: 3}
    hit = spans(exporter)
    assert set(hit) == {"request", "cache.get_many"}
    assert counts(hit["cache.get_many"]) == (True, 3, 0)
    assert within(provider, colour, load.refresh, [1, 2]) == {1: 1, 2: 2}
    fresh = spans(exporter)
    assert fresh["cache.load"].parent.span_id == fresh["cache.refresh_many"].context.span_id
    assert fresh["cache.refresh_many"].attributes["dualcache.outcome"] == "stored"


def test_direct_calls_for_many_keys_have_spans_with_keys_if_asked_for(
    colour: Colour, backend_url: str, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    instrument(cache, metrics=False, include_keys=True, tracer_provider=provider)
    face, loader = colour.face(cache), colour.function(lambda keys: dict.fromkeys(keys, 1))
    assert within(provider, colour, face.get_or_load_many, ["a", "b"], loader) == {"a": 1, "b": 1}
    assert set(spans(exporter)) == {"request", "cache.get_many", "cache.load"}
    assert within(provider, colour, face.get_many, ["a", "c"]) == {"a": 1}
    get = spans(exporter)["cache.get_many"]
    assert counts(get) == (False, 1, 1)
    assert get.attributes["cache.key"] == ("a", "c")


def test_a_batch_without_a_backend_misses_all_its_keys(
    colour: Colour, cache: Cache, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    face = colour.face(cache)
    with cache.inject_fault(ConnectionError):
        assert within(provider, colour, face.get_many, ["a", "b"]) == {}
    get = spans(exporter)["cache.get_many"]
    assert counts(get) == (False, 0, 2)
    assert get.attributes["dualcache.reason"] == "backend_down"


def test_a_stale_batch_is_a_hit_and_its_load_is_in_its_trace(
    colour: Colour, cache: Cache, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    seen, body = Seen(cache), colour.function(lambda n: {each: each for each in n})
    load = cache.many(key="k:{n}", stale_while_revalidate=600)(body)
    colour.run(load, [1, 2])
    colour.run(load.expire, [1, 2])
    assert within(provider, colour, load, [1, 2]) == {1: 1, 2: 2}
    seen.wait_for(Loaded, 4)
    found = spans(exporter)
    assert counts(found["cache.get_many"]) == (True, 2, 0)
    assert found["cache.get_many"].attributes["dualcache.stale"] == "revalidate"
    assert found["cache.load"].parent == found["cache.get_many"].context


def test_what_the_loader_of_a_batch_raises_stands_in_its_spans(
    colour: Colour, cache: Cache, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    def body(n: list[int]) -> dict[int, int]:
        raise LookupError

    load = cache.many(key="k:{n}")(colour.function(body))
    with pytest.raises(LookupError):
        within(provider, colour, load, [1, 2])
    found = spans(exporter)
    for name in ("cache.get_many", "cache.load"):
        assert found[name].status.status_code is StatusCode.ERROR
