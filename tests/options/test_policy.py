from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.entry import Packed, ValueCodec
from dualcache.core.policy import DYNAMIC_TTL_MS, Counters
from dualcache.errors import UsageError
from dualcache.options.policy import make_defaults, make_policy

if TYPE_CHECKING:
    from dualcache.core.policy import Policy

RECIPE = ValueCodec(
    lambda value: Packed(0, 0, value),
    lambda _, stored: stored.payload,
    lambda packed: packed.payload,
)
DEFAULTS = make_defaults({"ttl": 60, "jitter": 0.1, "stale_if_error": 5}, owner="Cache()")


def made(**options: Any) -> Policy:
    return make_policy("k", RECIPE, options, DEFAULTS, owner="@cache()", parameters=("factor",))


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
    policy = made(ttl=lambda result: result)
    assert policy.ttl_of is not None
    given: list[object] = ["5 parsecs", True, [], float("nan")]
    for wrong in given:
        with pytest.raises(UsageError, match=r"ttl of @cache\(\)"):
            policy.ttl_of(wrong)


@pytest.mark.parametrize("ended", [0, -1, -0.5, timedelta(0), timedelta(-1)])
def test_a_callable_ttl_that_has_ended_is_nought(ended: object) -> None:
    policy = made(ttl=lambda: ended)
    assert policy.ttl_of is not None
    assert policy.ttl_of("result", 3) == 0


def test_a_callable_ttl_of_the_cache_gets_the_arguments_of_each_function() -> None:
    defaults = make_defaults({"ttl": lambda result, factor: result * factor}, owner="Cache()")
    usual = make_policy("k", RECIPE, {}, defaults, owner="f()", parameters=("other", "factor"))
    own = make_policy("k", RECIPE, {"ttl": 5}, defaults, owner="g()")
    assert usual.ttl_of is not None
    assert usual.ttl_of(2, 100, 3) == 6_000
    assert (own.ttl_ms, own.ttl_of) == (5_000, None)


async def later(result: object) -> int:
    return 1 if result else 0


def test_a_ttl_of_the_cache_that_has_to_be_awaited_is_refused_when_the_cache_is_made() -> None:
    with pytest.raises(UsageError, match=r"ttl of Cache\(\)") as raised:
        make_defaults({"ttl": later}, owner="Cache()")
    assert raised.value.code == "DC129"


def test_a_cache_that_says_nothing_has_the_defaults_of_the_table() -> None:
    policy = make_policy("k", RECIPE, {}, make_defaults({}, owner="Cache()"), owner="f()")
    assert (policy.ttl_ms, policy.jitter, policy.stale_if_error_ms) == (3_600_000, 0.05, 0)


def test_no_condition_stores_everything() -> None:
    assert made(condition=None).condition is None


def test_a_condition_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(UsageError, match="condition") as raised:
        made(condition=True)
    assert raised.value.code == "DC154"


def fails(error: Exception) -> bool:
    return bool(error.args)


@pytest.mark.parametrize(
    ("written", "held"),
    [
        (OSError, (OSError,)),
        ((OSError, KeyError), (OSError, KeyError)),
        ([OSError], (OSError,)),
        (fails, fails),
        (None, None),
    ],
)
def test_the_exceptions_of_an_outage_are_types_or_asked_for(written: Any, held: Any) -> None:
    assert made(stale_on=written).stale_on == held


def test_the_exceptions_of_an_outage_may_be_those_of_the_cache() -> None:
    defaults = make_defaults({"stale_on": OSError}, owner="Cache()")
    usual = make_policy("k", RECIPE, {}, defaults, owner="f()")
    own = make_policy("k", RECIPE, {"stale_on": None}, defaults, owner="f()")
    assert (usual.stale_on, own.stale_on, made().stale_on) == ((OSError,), None, None)


async def asked_later(error: Exception) -> bool:
    return bool(error.args)


@pytest.mark.parametrize(
    "wrong",
    [(), 5, "OSError", int, KeyboardInterrupt, (OSError, 5), (OSError,) * 2 + (int,), asked_later],
)
def test_what_says_of_no_exception_whether_it_counts_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match="stale_on") as raised:
        made(stale_on=wrong)
    assert raised.value.code == "DC412"


def test_a_usage_that_is_given_is_shared() -> None:
    counters = Counters()
    policy = make_policy("k", RECIPE, {}, DEFAULTS, owner="Cache()", counters=counters)
    assert policy.counters is counters
    assert made().counters is not made().counters
