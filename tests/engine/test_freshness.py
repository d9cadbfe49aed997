from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache.core.entry import Kind, Stored
from dualcache.engine.freshness import is_fresh, keepable_ms, lifetime_ms


def entry(fresh_ms: int | None, created_ms: int = 1_000) -> Stored:
    return Stored(Kind.VALUE, 0, 0, b"", created_ms, fresh_ms, 0, (), b"")


@pytest.mark.parametrize(
    ("fresh_ms", "now_ms", "expected"),
    [(None, 10**12, True), (100, 1_099, True), (100, 1_100, False), (100, 0, True)],
)
def test_an_entry_is_fresh_until_its_time_of_freshness_is_over(
    fresh_ms: int | None, now_ms: int, expected: bool
) -> None:
    assert is_fresh(entry(fresh_ms), now_ms) is expected


@pytest.mark.parametrize("created_ms", [1_000, 1_020, 21_000])
@pytest.mark.parametrize(("left_ms", "left_fresh_ms"), [(350, 50), (300, 0), (1, -299)])
def test_the_time_to_live_ends_freshness_whatever_the_writers_clock_said(
    created_ms: int, left_ms: int, left_fresh_ms: int
) -> None:
    stored = entry(100, created_ms)
    assert is_fresh(stored, 1_000, left_ms, 300) is (left_fresh_ms > 0)
    assert keepable_ms(stored, left_ms, 1_000, 300) == max(0, left_fresh_ms)


@pytest.mark.parametrize(("left_ms", "stale_ms"), [(None, 300), (350, 0), (401, 300), (399, 300)])
def test_an_entry_is_stale_once_the_clocks_say_so(left_ms: int | None, stale_ms: int) -> None:
    assert is_fresh(entry(100), 1_099, left_ms, stale_ms)
    assert not is_fresh(entry(100), 1_100, left_ms, stale_ms)


def test_an_entry_from_the_future_is_not_fresh_by_clocks_alone() -> None:
    assert is_fresh(entry(100, created_ms=2_000), 1_000)
    assert not is_fresh(entry(100, created_ms=2_001), 1_000)
    assert keepable_ms(entry(100, created_ms=2_001), None, 1_000) == 0
    assert is_fresh(entry(None, created_ms=10**9), 1_000)


@pytest.mark.parametrize(
    ("fresh_ms", "left_ms", "keepable"),
    [
        (None, None, None),
        (None, 50, 50),
        (100, None, 60),
        (100, 50, 50),
        (100, 70, 60),
        (10, None, 0),
    ],
)
def test_a_copy_is_kept_while_its_entry_is_there_and_fresh(
    fresh_ms: int | None, left_ms: int | None, keepable: int | None
) -> None:
    assert keepable_ms(entry(fresh_ms), left_ms, 1_040) == keepable


def test_a_clock_that_went_back_keeps_no_copy_beyond_its_time_of_freshness() -> None:
    assert keepable_ms(entry(100), None, 0) == 100


def test_an_entry_that_is_stored_for_ever_has_no_lifetime() -> None:
    assert lifetime_ms(None, 1_000, 0.5, 0.5) == (None, None)


@given(
    ttl_ms=st.integers(1, 10**9),
    stale_ms=st.integers(0, 10**9),
    jitter=st.floats(0, 1),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_jitter_only_shortens_a_lifetime_and_never_to_zero(
    ttl_ms: int, stale_ms: int, jitter: float, draw: float
) -> None:
    fresh_ms, whole_ms = lifetime_ms(ttl_ms, stale_ms, jitter, draw)
    assert whole_ms is not None
    assert 1 <= whole_ms - stale_ms <= ttl_ms
    assert fresh_ms == (whole_ms - stale_ms if stale_ms else None)
