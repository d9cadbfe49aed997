from __future__ import annotations

import pytest

from dualcache.core.entry import MISSING, Packed, ValueCodec
from dualcache.core.policy import Call, Counters, Policy

RECIPE = ValueCodec(
    lambda value: Packed(0, 0, value),
    lambda _, stored: stored.payload,
    lambda packed: packed.payload,
)


def test_the_mean_load_time_follows_the_loads() -> None:
    counters = Counters()
    counters.count_load(100.0)
    assert counters.load_ms == 100.0
    counters.count_load(200.0)
    assert counters.load_ms == 125.0
    assert counters.loads == 2
    counters.reset()
    assert counters.loads == 0


def test_what_several_functions_counted_is_added_up() -> None:
    names = ("hits", "misses", "stale_hits", "coalesced", "loads", "unstored", "unread")
    counters, other = Counters(), Counters()
    for number, name in enumerate(names):
        setattr(counters, name, 100)
        setattr(other, name, number)
    counters.add(other)
    assert [getattr(counters, name) for name in names] == list(range(100, 107))


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [(None, None, None), (5.0, None, 5.0), (None, 7.0, 7.0), (5.0, 7.0, 7.0)],
)
def test_the_load_time_of_several_functions_is_that_of_the_last_measured(
    first: float | None, second: float | None, both: float | None
) -> None:
    counters, other = Counters(), Counters()
    counters.load_ms, other.load_ms = first, second
    counters.add(other)
    assert counters.load_ms == both


def test_a_call_that_never_loads_has_nothing_to_load_with() -> None:
    call = Call("k", Policy("k", RECIPE, ttl_ms=None))
    assert call.function() is None


def test_the_mark_of_no_value_shows_its_name() -> None:
    assert repr(MISSING) == "MISSING"
