"""Histograms: their buckets, their sums, and the percentiles that are read from them."""

from __future__ import annotations

import pytest

from dualcache.core.histogram import BYTES_BOUNDS, MS_BOUNDS, Histogram, percentile


def test_bounds_rise_and_span_what_caches_meet() -> None:
    for bounds in (MS_BOUNDS, BYTES_BOUNDS):
        assert list(bounds) == sorted(set(bounds))
    assert (MS_BOUNDS[0], MS_BOUNDS[-1]) == (0.01, 100_000)
    assert (BYTES_BOUNDS[0], BYTES_BOUNDS[-1]) == (64, 64 << 20)


def test_a_value_counts_up_to_its_bound_and_beyond_the_last() -> None:
    histogram = Histogram((1.0, 10.0))
    for value in (0.5, 1.0, 1.1, 10.0, 11.0):
        histogram.add(value)
    assert histogram.counts == [2, 2, 1]
    assert histogram.total == pytest.approx(23.6)
    histogram.add(5, 8)
    assert histogram.counts == [2, 10, 1]
    assert histogram.total == pytest.approx(63.6)


def test_histograms_add_up_whole_or_by_what_they_hold() -> None:
    one, other = Histogram((1.0, 10.0)), Histogram((1.0, 10.0))
    one.add(5)
    other.add(50)
    one.merge(other)
    assert one == Histogram((1.0, 10.0), [0, 1, 1], 55)
    assert one.sparse() == {1: 1, 2: 1}
    again = Histogram((1.0, 10.0))
    again.fill({**one.sparse(), 7: 1}, one.total)  # of a release with more buckets
    assert (again.counts, again.total) == ([0, 1, 2], 55)


def test_percentiles_are_right_to_a_quarter() -> None:
    histogram = Histogram(MS_BOUNDS)
    for value in range(1, 1001):
        histogram.add(value)
    for share in (0.5, 0.95, 0.99):
        found = percentile(share, histogram.bounds, histogram.counts)
        assert found == pytest.approx(1000 * share, rel=0.25)


def test_percentiles_of_nothing_and_of_what_is_larger_than_all_bounds() -> None:
    assert percentile(0.5, (1.0, 10.0), (0, 0, 0)) is None
    assert percentile(0.5, (1.0, 10.0), (0, 0, 9)) == 10
