from __future__ import annotations

import contextlib
import math
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache.errors import UsageError
from dualcache.options.durations import LONGEST_MS, to_ms

UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


def ms(value: object) -> int:
    return to_ms(value, option="ttl", owner="get_user()")


def refusal(value: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        ms(value)
    assert caught.value.code == "DC150"
    assert "ttl of get_user()" in caught.value.what
    assert '"1h30m"' in caught.value.help
    return caught.value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5_000),
        (0, 0),
        (0.0, 0),
        (-0.0, 0),
        (0.25, 250),
        (10**9, 10**12),
        (timedelta(minutes=5), 300_000),
        (timedelta(0), 0),
        (timedelta(microseconds=1_500), 2),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        (" 1h 30m ", 5_400_000),
        ("1.5h", 5_400_000),
        ("90s", 90_000),
        ("250ms", 250),
        ("1m5ms", 60_005),
        ("2d", 172_800_000),
        ("1w", 604_800_000),
        ("3600", 3_600_000),
        ("0.5", 500),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_a_duration_is_read(value: object, expected: int) -> None:
    assert ms(value) == expected


@pytest.mark.parametrize("value", [0.000_1, 5e-324, timedelta(microseconds=1), "0.01ms"])
def test_what_is_above_zero_stays_above_zero(value: object) -> None:
    assert ms(value) == 1


def test_none_means_for_ever_only_where_it_is_allowed() -> None:
    assert to_ms(None, option="ttl", allow_none=True) is None
    assert refusal(None).what == "ttl of get_user() is None, not a duration"


@pytest.mark.parametrize("value", [True, False, Decimal(5), b"5m", [5], 5j, object()])
def test_other_types_are_refused_and_named(value: object) -> None:
    assert type(value).__name__ in refusal(value).what


@pytest.mark.parametrize("value", [-1, -0.001, -5e-324, timedelta(microseconds=-1), -(10**400)])
def test_a_negative_duration_is_refused(value: object) -> None:
    assert refusal(value).what.endswith("is negative")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    assert refusal(value).what.endswith("is not a finite number")


@pytest.mark.parametrize("value", [LONGEST_MS, 1e300, 10**400, "9" * 60, "9" * 60 + "w"])
def test_what_redis_cannot_count_is_refused(value: object) -> None:
    assert refusal(value).what.endswith("is longer than 2**53 ms")


def test_the_longest_duration_is_taken() -> None:
    assert ms(f"{LONGEST_MS}ms") == LONGEST_MS


@pytest.mark.parametrize("value", ["", "   "])
def test_empty_text_is_refused(value: str) -> None:
    assert refusal(value).what.endswith("is empty text")


def test_endless_text_is_refused_without_being_shown() -> None:
    error = refusal("9" * 5_000)
    assert error.what.endswith("is too long")
    assert "999" not in str(error)


@pytest.mark.parametrize(
    ("value", "at", "why"),
    [
        ("5 parsecs", "parsecs", "not a unit"),
        ("5M", "M", "not a unit"),
        ("1e3", "e", "not a unit"),
        ("-5m", "-", "a number was expected here"),
        ("soon", "s", "a number was expected here"),
        ("5m!", "!", "a number was expected here"),
        ("5m5h", "h", "units go from large to small"),
        ("5m5m", "m", "units go from large to small"),
        ("1_000", "_", "not a unit"),
        ("1.s", ".", "not a unit"),
    ],
)
def test_a_caret_points_at_what_cannot_be_read(value: str, at: str, why: str) -> None:
    (_, shown), (label, pointer) = refusal(value).details
    carets, _, reason = pointer.strip().partition(" ")
    start = pointer.index("^")
    assert (shown, label) == (f'"{value}"', "")
    assert shown[start : start + len(carets)] == at
    assert reason.startswith(why)


def test_digits_of_other_scripts_are_no_numbers() -> None:
    refusal("\N{ARABIC-INDIC DIGIT FIVE}m")
    refusal("5\nm")


def test_the_whole_message_reads_well() -> None:
    assert str(refusal("5 parsecs")) == (
        "[DC150] ttl of get_user() cannot be read as a duration\n"
        '  given     "5 parsecs"\n'
        "               ^^^^^^^ not a unit: w d h m s ms\n"
        '  help      write seconds (300), a timedelta, or text such as "90s", "5m", "1h30m", '
        '"250ms", "2d"'
    )


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(list(UNITS))), min_size=1))
def test_parts_add_up_from_large_to_small(parts: list[tuple[int, str]]) -> None:
    by_unit = {unit: count for count, unit in parts}
    present = [unit for unit in UNITS if unit in by_unit]
    text = "".join(f"{by_unit[unit]}{unit}" for unit in present)
    assert ms(text) == sum(by_unit[unit] * UNITS[unit] for unit in present)


@given(st.text(max_size=80))
def test_any_text_is_a_duration_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert 0 <= ms(text) <= LONGEST_MS


@given(st.floats() | st.integers() | st.timedeltas())
def test_any_number_is_a_duration_or_a_usage_error(value: object) -> None:
    with contextlib.suppress(UsageError):
        assert 0 <= ms(value) <= LONGEST_MS
