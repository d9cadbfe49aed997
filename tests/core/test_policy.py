from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.entry import MISSING, Packed, Recipe
from dualcache.core.policy import DYNAMIC_TTL_MS, Call, Options, Usage, make_policy
from dualcache.errors import UsageError

if TYPE_CHECKING:
    from dualcache.core.policy import Policy

RECIPE = Recipe(lambda _, value: Packed(0, 0, value), lambda _, stored: stored.payload)
DEFAULTS = Options(ttl=60, jitter=0.1, stale_if_error=5)


def made(**options: Any) -> Policy:
    return make_policy("k", RECIPE, Options(**options), DEFAULTS, owner="@cache()")


def test_options_that_were_not_written_are_those_of_the_cache() -> None:
    policy = made()
    assert (policy.ttl_ms, policy.jitter, policy.stale_if_error_ms) == (60_000, 0.1, 5_000)


def test_options_that_were_written_are_taken_with_their_units_converted() -> None:
    policy = made(ttl=None, jitter=0, stale_if_error="1m")
    assert (policy.ttl_ms, policy.jitter, policy.stale_if_error_ms) == (None, 0.0, 60_000)


def test_a_callable_ttl_is_asked_with_the_result_and_the_arguments() -> None:
    policy = made(ttl=lambda result, factor: result * factor)
    assert policy.ttl_ms == DYNAMIC_TTL_MS
    assert policy.ttl_of is not None
    assert policy.ttl_of(2, 3) == 6_000


def test_what_a_callable_ttl_returns_is_checked_like_a_written_one() -> None:
    policy = made(ttl=lambda _: -1)
    assert policy.ttl_of is not None
    with pytest.raises(UsageError, match=r"ttl of @cache\(\)"):
        policy.ttl_of(0)


def test_a_condition_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(UsageError, match="condition") as raised:
        made(condition=True)
    assert raised.value.code == "DC154"


def test_a_usage_that_is_given_is_shared() -> None:
    usage = Usage()
    policy = make_policy("k", RECIPE, Options(), DEFAULTS, owner="Cache()", usage=usage)
    assert policy.usage is usage
    assert made().usage is not made().usage


def test_the_mean_load_time_follows_the_loads() -> None:
    usage = Usage()
    usage.count_load(100.0)
    assert usage.load_ms == 100.0
    usage.count_load(200.0)
    assert usage.load_ms == 125.0
    assert usage.loads == 2
    usage.reset()
    assert usage.loads == 0


def test_a_call_that_never_loads_has_nothing_to_load_with() -> None:
    call = Call("k", made())
    assert call.function() is None


def test_the_mark_of_no_value_shows_its_name() -> None:
    assert repr(MISSING) == "MISSING"
