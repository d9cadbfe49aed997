"""Counters of functions: what is added up, and what stays bounded."""

from __future__ import annotations

from dualcache.core.counters import MOST_REASONS, OTHER_REASONS, Counters


def counted() -> Counters:
    counters = Counters()
    counters.hits += 2
    counters.count_miss("stale")
    counters.count_load(20)
    counters.count_stored(100)
    counters.count_unstored("late")
    counters.verified += 2
    counters.count_differed(60)
    counters.count_differed(30)
    return counters


def test_counters_of_several_functions_add_up() -> None:
    total = Counters()
    for counters in (counted(), Counters(), counted()):
        total.add(counters)
    assert (total.hits, total.misses, total.loads, total.verified) == (4, 2, 2, 4)
    assert (total.differed, total.oldest_differed) == (4, 60)
    assert (total.miss_reasons, total.not_stored) == ({"stale": 2}, {"late": 2})
    assert total.load_times is not None
    assert total.stored_bytes is not None
    assert (sum(total.load_times.counts), total.load_times.total) == (2, 40)
    assert (sum(total.stored_bytes.counts), total.stored_bytes.total) == (2, 200)


def test_reasons_that_differ_each_time_are_counted_together() -> None:
    counters = Counters()
    for number in range(MOST_REASONS + 5):
        counters.count_unstored(f"no codec keeps result[{number}]")
    counters.count_unstored("no codec keeps result[0]")
    assert len(counters.not_stored) == MOST_REASONS + 1
    assert counters.not_stored["no codec keeps result[0]"] == 2
    assert counters.not_stored[OTHER_REASONS] == 5


def test_counting_begins_anew() -> None:
    counters = counted()
    counters.reset()
    assert (counters.hits, counters.miss_reasons, counters.load_times) == (0, {}, None)
