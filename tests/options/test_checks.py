from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache.core.nearest import nearest
from dualcache.errors import UsageError
from dualcache.options.checks import (
    to_bool,
    to_int,
    to_namespace,
    to_share,
    to_size,
)

if TYPE_CHECKING:
    from collections.abc import Callable

KNOWN = ("ttl", "tags", "jitter", "max_connections")


def refusal(call: Callable[[], object], code: str = "DC152") -> UsageError:
    with pytest.raises(UsageError) as caught:
        call()
    assert caught.value.code == code
    assert caught.value.help
    return caught.value


@pytest.mark.parametrize(
    ("name", "meant"),
    [("max_conections", "max_connections"), ("TTL", "ttl"), ("jiter", "jitter"), ("zzz", None)],
)
def test_the_nearest_known_name_is_found(name: str, meant: str | None) -> None:
    assert nearest(name, KNOWN) == meant


@pytest.mark.parametrize("value", [0, 0.05, 1, 1.0])
def test_a_share_lies_between_nothing_and_all(value: float) -> None:
    share = to_share(value, "jitter")
    assert share == value
    assert isinstance(share, float)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf, pytest.param(10**400, id="huge")])
def test_what_is_no_share_is_refused(value: float) -> None:
    error = refusal(lambda: to_share(value, "jitter", owner="get_user()"))
    assert error.what == "jitter of get_user() is not between 0 and 1"


@pytest.mark.parametrize("value", [True, "0.5", None])
def test_a_share_of_another_type_is_refused(value: object) -> None:
    assert "not a number" in refusal(lambda: to_share(value, "jitter")).what


@pytest.mark.parametrize(("value", "expected"), [(7, 7), ("7", 7), (" 007 ", 7), (0, 0)])
def test_a_whole_number_is_read(value: object, expected: int) -> None:
    assert to_int(value, "front") == expected


@pytest.mark.parametrize(
    "value", ["abc", "", "1.5", "1_000", "\N{ARABIC-INDIC DIGIT FIVE}", "9" * 5_000, "--1"]
)
def test_text_that_is_no_whole_number_is_refused_without_being_shown(value: str) -> None:
    error = refusal(lambda: to_int(value, "port"))
    assert error.what == "port is not a whole number"
    assert error.args == (error.what,)
    assert error.__context__ is None


@pytest.mark.parametrize("value", [True, 1.0, None, b"1"])
def test_a_number_of_another_type_is_refused(value: object) -> None:
    assert "not a whole number" in refusal(lambda: to_int(value, "front")).what


@pytest.mark.parametrize("value", [0, "-1", 65_536])
def test_a_number_out_of_range_is_refused_with_the_range(value: object) -> None:
    error = refusal(lambda: to_int(value, "port", minimum=1, maximum=65_535))
    assert error.what == "port is out of range"
    assert error.help == "write a whole number from 1 to 65535"


@pytest.mark.parametrize("value", [0, 1, 2**40])
def test_a_number_of_bytes_is_taken_as_it_is(value: int) -> None:
    assert to_size(value, "compress_above") == value


def test_no_bound_is_taken_where_it_means_something() -> None:
    assert to_size(None, "compress_above", allow_none=True) is None
    refusal(lambda: to_size(None, "max_value_bytes"), "DC175")


@pytest.mark.parametrize("value", [True, 1.0, "5", -1])
def test_what_is_no_number_of_bytes_is_refused(value: object) -> None:
    error = refusal(lambda: to_size(value, "compress_above", owner="Cache()"), "DC175")
    assert error.what == "compress_above of Cache() is not a number of bytes"


@pytest.mark.parametrize("value", [True, "1", "TRUE", " yes ", "on", 1])
def test_yes_is_understood(value: object) -> None:
    assert to_bool(value, "enabled") is True


@pytest.mark.parametrize("value", [False, "0", "False", "no", "off", 0])
def test_no_is_understood(value: object) -> None:
    assert to_bool(value, "enabled") is False


@pytest.mark.parametrize("value", ["maybe", "", 2, None, 1.0])
def test_neither_yes_nor_no_is_refused(value: object) -> None:
    assert refusal(lambda: to_bool(value, "enabled")).help == "write true or false"


@pytest.mark.parametrize("value", ["", "shop", "shop.v2", "A-b_9", "-"])
def test_a_namespace_is_taken_as_it_is(value: str) -> None:
    assert to_namespace(value) == value


@pytest.mark.parametrize("value", ["a:b", "~a", "ä", "a b", "a\n", "²", "a{b}"])
def test_a_namespace_with_other_characters_is_refused(value: str) -> None:
    error = refusal(lambda: to_namespace(value, owner="Cache()"), "DC153")
    assert error.what.startswith("namespace of Cache() holds a character")


def test_the_refusal_of_a_namespace_says_where_and_which() -> None:
    error = refusal(lambda: to_namespace("a:b"), "DC153")
    assert error.details == (("position", "1"), ("character", "U+003A"))


def test_a_namespace_that_is_no_text_is_refused() -> None:
    assert "of type bytes" in refusal(lambda: to_namespace(b"shop"), "DC153").what


@given(st.text())
def test_any_text_is_a_namespace_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert to_namespace(text).isascii()
