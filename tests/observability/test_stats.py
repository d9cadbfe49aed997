"""What `stats()` tells of each function and of all: a person can see why a read was no hit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.counters import Counters, Tally
from dualcache.core.events import Invalidated
from dualcache.core.histogram import MS_BOUNDS, Histogram
from dualcache.observability import invalidations
from dualcache.observability.counting import distribution_of, finding_of
from dualcache.observability.invalidations import InvalidationCounts
from tests.front.tiers import kept, kept_key, tiered

if TYPE_CHECKING:
    from dualcache import Cache, TemplateStats
    from tests.colours import Colour


def of(cache: Cache, template: str) -> TemplateStats:
    return cache.stats().templates[template]


def test_hits_are_told_per_tier(colour: Colour, backend_url: str) -> None:
    cache = tiered(colour, backend_url)
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    kept(colour, cache, load, 1)
    stats, each = cache.stats(), of(cache, "k:{n}")
    assert (each.front_hits, each.misses) == (1, 1)
    assert each.hits > each.front_hits  # the backend's, of which one filled the front tier
    assert each.hit_ratio == each.hits / (each.hits + 1)
    assert (stats.hits, stats.front_hits) == (each.hits, 1)
    assert stats.front is not None
    assert (stats.front.hits, stats.front.evictions) == (1, 0)


def test_a_function_says_how_long_its_results_are_stored(colour: Colour) -> None:
    cache = colour.cache("memory://", ttl=None)
    short = cache(key="short", ttl=30)(colour.function(lambda: 1))
    endless = cache(key="endless")(colour.function(lambda: 1))
    assert of(cache, "short").ttl is None
    for load in (short, endless):
        colour.run(load)
    assert (of(cache, "short").ttl, of(cache, "endless").ttl) == (30, None)


def test_direct_calls_have_counters_of_their_own(colour: Colour, backend_url: str) -> None:
    cache = tiered(colour, backend_url)
    colour.call(cache, "set", "k", 1)
    kept_key(colour, cache, "k")
    each = of(cache, "direct")
    assert (each.hits > 1, each.front_hits, each.function) == (True, 1, "")


def test_misses_and_loads_are_told_with_reasons_times_and_sizes(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)

    def body(n: int) -> str:
        if n < 0:
            raise ValueError
        return "x" * n

    load = cache(key="k:{n}")(colour.function(body))
    for n in (10, 10, 1000):
        colour.run(load, n)
    with pytest.raises(ValueError):
        colour.run(load, -1)
    each = of(cache, "k:{n}")
    assert (each.misses, each.miss_reasons) == (3, {"absent": 3})
    assert (each.loads, each.load_failures, each.not_stored) == (2, 1, {})
    assert each.load_times.count == sum(each.load_times.counts) == 2
    assert each.load_times.p99 is not None
    assert each.seconds_saved == pytest.approx(each.load_times.total / 2 / 1000)
    assert each.stored_bytes.count == 2
    assert each.stored_bytes.total > 1010
    assert each.stored_bytes.p99 == pytest.approx(1050, rel=1)
    assert each.function.endswith("body")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"ttl": 0}, "ttl"),
        ({"ttl": lambda *_: 0}, "ttl"),
        ({"condition": lambda *_: False}, "condition"),
    ],
)
def test_what_is_not_stored_is_told_with_its_reason(
    colour: Colour, backend_url: str, options: dict[str, Any], reason: str
) -> None:
    cache = colour.cache(backend_url)
    load = cache(key="k:{n}", **options)(colour.function(lambda n: n))
    for _ in range(2):
        colour.run(load, 1)
    assert of(cache, "k:{n}").not_stored == {reason: 2}


def test_what_no_codec_keeps_is_told_with_its_place(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    load = cache(key="k")(colour.function(lambda: [object()]))
    colour.run(load)
    (reason,) = of(cache, "k").not_stored
    assert "result[0]" in reason


def test_a_result_that_an_invalidation_overtakes_is_told(colour: Colour, backend_url: str) -> None:
    cache, gate = colour.cache(backend_url), colour.gate()

    async def body() -> int:
        await gate.passed()
        return 1

    load = cache(key="k")(colour.function(body))
    call = colour.start(load)
    gate.wait_until_entered()
    colour.call(cache, "invalidate", "k")
    gate.open()
    call.result()
    assert of(cache, "k").not_stored == {"refused": 1}


def test_without_a_backend_that_is_the_reason(colour: Colour) -> None:
    cache = colour.cache("redis://127.0.0.1:1")
    load = cache(key="k")(colour.function(lambda: 1))
    colour.run(load)
    each = of(cache, "k")
    assert each.misses == 1
    assert each.not_stored == {"no_lease": 1}


def test_invalidations_are_told_by_function_and_in_all(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    colour.run(load, 1)
    assert cache.stats().invalidated_at is None
    colour.run(load.invalidate, 1)
    colour.call(cache, "invalidate", "k:2", "k:3")
    stats, each = cache.stats(), of(cache, "k:{n}")
    assert (each.invalidations, stats.invalidations) == (1, 2)
    assert each.invalidated_at is not None
    assert stats.invalidated_at is not None
    assert each.invalidated_at <= stats.invalidated_at


def test_templates_whose_invalidations_are_counted_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(invalidations, "MOST_TEMPLATES", 2)
    counts = InvalidationCounts(lambda: 5.0)
    for template in ("a", "b", "c", "a"):
        counts.note(Invalidated(template))
    tallies = {name: Tally(Counters()) for name in "abc"}
    total = Tally(Counters())
    counts.add_to(tallies)
    counts.add_all(total)
    assert [each.invalidations for each in tallies.values()] == [2, 1, 0]
    assert (total.invalidations, total.invalidated_at) == (4, 5.0)


def test_stats_are_plain_values_for_json(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    colour.run(load, 1)
    plain = json.loads(json.dumps(cache.stats().as_dict()))
    assert plain["templates"]["k:{n}"]["load_times"]["count"] == 1


@pytest.mark.parametrize(
    ("age", "told"), [(30, "30 s"), (240, "4 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_what_verify_found_is_a_sentence(age: float, told: str) -> None:
    counters = Counters()
    assert finding_of("user:{user_id}", "get_user", counters) == ""
    counters.verified = 1000
    for each in (1, 2, age):
        counters.count_differed(each)
    sentence = finding_of("user:{user_id}", "get_user", counters)
    assert sentence == (
        f"get_user: 3 of 1 000 samples differed, oldest {told}: "
        "does every write invalidate user:{user_id}?"
    )
    assert finding_of("app.load", "", counters).startswith("app.load: 3 of 1 000 samples")
    assert finding_of("app.load", "", counters).endswith("does every write invalidate it?")


def test_what_came_after_a_distribution_is_told_apart() -> None:
    times = Histogram(MS_BOUNDS)
    nothing = distribution_of(times)
    times.add(1)
    before = distribution_of(times)
    times.add(100)
    after = distribution_of(times)
    assert before.since(nothing) is before
    during = after.since(before)
    assert (during.count, during.total) == (1, 100)
    assert during.p50 is not None
    assert during.p50 > 50
    assert after.since(after).p95 is None
