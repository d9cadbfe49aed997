"""The options of the front tier are checked when they are written."""

from __future__ import annotations

from typing import Any

import pytest

from dualcache.errors import UsageError
from dualcache.options.front_tier import FrontTier, to_front, to_own_front


@pytest.mark.parametrize(
    "options",
    [
        {"max_entries": 0},
        {"max_entries": "many"},
        {"max_bytes": 0},
        {"max_bytes": True},
        {"max_age": -1},
        {"max_age": "5 parsecs"},
        {"transport": "pigeon"},
        {"policy": "random"},
    ],
    ids=str,
)
def test_what_cannot_be_a_tier_is_refused_by_the_name_of_its_option(
    options: dict[str, Any],
) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        FrontTier(**options)


def test_a_number_is_a_tier_of_so_many_entries() -> None:
    assert to_front(500) == FrontTier(max_entries=500)


@pytest.mark.parametrize("nothing", [None, False])
def test_nothing_is_no_tier(nothing: Any) -> None:
    assert to_front(nothing) is None


def test_a_tier_with_a_bound_on_bytes_is_taken_as_it_is() -> None:
    tier = FrontTier(max_bytes=1 << 20, max_age=None)
    assert to_front(tier) is tier


def test_a_tier_of_no_entries_is_refused() -> None:
    with pytest.raises(UsageError, match="front"):
        to_front(0)


@pytest.mark.parametrize("shared", [None, True, False])
def test_a_function_may_share_the_tier_of_its_cache(shared: Any) -> None:
    assert to_own_front(shared, "load()") is None


def test_a_function_has_limits_of_its_own_and_no_transport() -> None:
    assert to_own_front(5, "load()") == FrontTier(max_entries=5)
    with pytest.raises(UsageError, match=r"load\(\) names a transport") as caught:
        to_own_front(FrontTier(transport="ttl"), "load()")
    assert caught.value.code == "DC167"
