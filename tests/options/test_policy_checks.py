"""Options of the policy are checked when they are written."""

from __future__ import annotations

import pytest

from dualcache.errors import UsageError
from dualcache.options.policy_checks import to_staleness


def test_a_bound_on_staleness_counts_seconds() -> None:
    assert to_staleness("250ms", "max_staleness", owner="Cache()") == 0.25


def test_a_bound_on_staleness_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(UsageError, match=r"max_staleness of Cache\(\) is too short") as caught:
        to_staleness(0.049, "max_staleness", owner="Cache()")
    assert caught.value.code == "DC165"
