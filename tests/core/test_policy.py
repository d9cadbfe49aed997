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
    usage = Counters()
    usage.count_load(100.0)
    assert usage.load_ms == 100.0
    usage.count_load(200.0)
    assert usage.load_ms == 125.0
    assert usage.loads == 2
    usage.reset()
    assert usage.loads == 0


def test_what_several_functions_counted_is_added_up() -> None:
    counters = ("hits", "misses", "stale_hits", "coalesced", "loads", "unstored", "unread")
    usage, other = Counters(), Counters()
    for number, counter in enumerate(counters):
        setattr(usage, counter, 100)
        setattr(other, counter, number)
    usage.add(other)
    assert [getattr(usage, counter) for counter in counters] == list(range(100, 107))


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [(None, None, None), (5.0, None, 5.0), (None, 7.0, 7.0), (5.0, 7.0, 7.0)],
)
def test_the_load_time_of_several_functions_is_that_of_the_last_measured(
    first: float | None, second: float | None, both: float | None
) -> None:
    usage, other = Counters(), Counters()
    usage.load_ms, other.load_ms = first, second
    usage.add(other)
    assert usage.load_ms == both


def test_a_call_that_never_loads_has_nothing_to_load_with() -> None:
    call = Call("k", Policy("k", RECIPE, ttl_ms=None))
    assert call.function() is None


def test_the_mark_of_no_value_shows_its_name() -> None:
    assert repr(MISSING) == "MISSING"
