from __future__ import annotations

from typing import Any

import pytest

from dualcache.core.front_tier import FrontTier, to_front
from dualcache.errors import UsageError


@pytest.mark.parametrize("front", [None, False])
def test_no_front_tier_is_asked_for(front: Any) -> None:
    assert to_front(front) is None


def test_a_number_asks_for_a_front_tier_of_so_many_entries() -> None:
    assert to_front(500) == FrontTier(max_entries=500)


def test_a_front_tier_is_taken_as_it_is() -> None:
    front = FrontTier(max_bytes=1_000, max_age=None, transport="ttl")
    assert to_front(front) is front


@pytest.mark.parametrize(
    "options",
    [{"max_entries": 0}, {"max_bytes": 0}, {"max_age": -1}, {"transport": "pigeon"}],
)
def test_an_option_that_makes_no_sense_is_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"FrontTier\(\)"):
        FrontTier(**options)


def test_a_front_tier_of_no_entries_is_refused() -> None:
    with pytest.raises(UsageError, match="front"):
        to_front(0)
