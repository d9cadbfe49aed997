"""`incr` and `decr`: on the server, and only where a counter is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.core.cache import caches

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.integrations.django.project import Face


def test_a_counter_goes_up_and_down_and_keeps_its_timeout(cache: Face) -> None:
    cache.set("n", 5, 1_000)
    assert cache.incr("n") == 6
    assert cache.incr("n", 10) == 16
    assert cache.decr("n", 20) == -4
    assert cache.incr("n", delta=-1) == -5
    assert cache.get("n") == -5
    left = cache.dualcache.ttl(":1:n")
    assert left is not None
    assert 300 < left <= 1_000


def test_a_counter_that_lives_for_ever_goes_on_doing_so(cache: Face) -> None:
    cache.set("n", 5, None)
    cache.incr("n")
    assert cache.dualcache.contains(":1:n")
    assert cache.dualcache.ttl(":1:n") is None


def test_a_counter_that_is_not_there_is_an_error_and_stays_so(cache: Face) -> None:
    for method in ("incr", "decr", "incr_version", "decr_version"):
        with pytest.raises(ValueError, match="'n' not found"):
            getattr(cache, method)("n")
    assert cache.has_key("n") is False
    cache.set("n", 0)  # nor is a counter taken for a missing one by what it counts
    assert cache.incr("n") == 1


@pytest.mark.parametrize("value", [None, "1", 1.0, True, [1]])
def test_other_values_are_not_counted(cache: Face, value: object) -> None:
    cache.set("n", value)
    with pytest.raises(TypeError, match="whole number"):
        cache.incr("n")
    with pytest.raises(TypeError, match="whole number"):
        cache.incr("other", 1.5)
    assert cache.get("n") == value


def test_no_count_is_lost_among_many_callers(colour: Colour, cache: Face) -> None:
    cache.set("n", 0)
    method = "aincr" if colour.is_async else "incr"
    calls = [lambda: getattr(caches["default"], method)("n") for _ in range(20)]
    assert sorted(colour.gather(*calls)) == [*range(1, 21)]
    assert cache.get("n") == 20
