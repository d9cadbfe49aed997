"""Options of the policy are checked when they are written."""

from __future__ import annotations

import math
from typing import Any

import pytest

from dualcache.core.entry import MISSING
from dualcache.errors import UsageError
from dualcache.options.policy_checks import to_beta, to_staleness
from dualcache.options.table import checked


def test_a_bound_on_staleness_counts_seconds() -> None:
    assert to_staleness("250ms", "max_staleness", owner="Cache()") == 0.25


def test_a_bound_on_staleness_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(UsageError, match=r"max_staleness of Cache\(\) is too short") as caught:
        to_staleness(0.049, "max_staleness", owner="Cache()")
    assert caught.value.code == "DC165"


@pytest.mark.parametrize("value", [-1, True, "1", None, math.nan, math.inf])
def test_a_beta_is_a_number_from_0_up(value: object) -> None:
    with pytest.raises(UsageError) as caught:
        to_beta(value, "early", owner="load()")
    assert caught.value.code == "DC414"


def test_a_beta_may_be_a_whole_number() -> None:
    assert to_beta(1, "early", owner="load()") == 1.0


@pytest.mark.parametrize("value", [None, MISSING])
def test_what_a_function_of_many_lacks_is_none_or_nothing(value: Any) -> None:
    assert checked("missing", value, owner="f()") is value


def test_no_other_value_stands_for_what_a_function_of_many_lacks() -> None:
    with pytest.raises(UsageError, match="missing of f") as caught:
        checked("missing", 0, owner="f()")
    assert caught.value.code == "DC152"
