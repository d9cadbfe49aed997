from __future__ import annotations

import datetime as dt
import sys
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack
from pydantic_core import TzInfo

from dualcache.codecs import tagged
from dualcache.codecs.compare import is_same
from dualcache.errors import DecodeError, UnencodableValue
from tests.codecs.values import plain_values


@given(plain_values())
def test_every_value_comes_back_the_same(value: object) -> None:
    assert is_same(tagged.decode(tagged.encode(value)), value)


def test_a_zone_of_pydantic_comes_back() -> None:
    value = dt.datetime(2024, 1, 1, tzinfo=TzInfo(3600))
    assert is_same(tagged.decode(tagged.encode(value)), value)


@pytest.mark.parametrize("value", [object(), int, iter([]), sys])
def test_only_exact_types_are_taken(value: object) -> None:
    with pytest.raises(UnencodableValue):
        tagged.encode([value])


def test_zones_of_other_kinds_are_refused() -> None:
    class Zone(dt.tzinfo):
        utcoffset = dst = tzname = None  # type: ignore[assignment]  # never asked

    with pytest.raises(UnencodableValue, match="Zone"):
        tagged.encode(dt.datetime(2024, 1, 1, tzinfo=Zone()))


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_the_deepest_value_that_is_taken_comes_back() -> None:
    value = nested(tagged.MAX_DEPTH)
    assert is_same(tagged.decode(tagged.encode(value)), value)


@pytest.mark.parametrize("levels", [tagged.MAX_DEPTH + 1, 100_000])
def test_deeper_values_are_refused(levels: int) -> None:
    with pytest.raises(UnencodableValue, match="nests deeper"):
        tagged.encode(nested(levels))


def test_a_structure_that_contains_itself_is_refused() -> None:
    value: dict[str, Any] = {}
    value["self"] = [value]
    with pytest.raises(UnencodableValue, match="contains itself"):
        tagged.encode(value)


def test_too_little_stack_is_told_as_too_deep() -> None:
    def exhausted(_: Any) -> Any:
        raise RecursionError

    with pytest.raises(UnencodableValue, match="nests deeper"):
        tagged.encode(object(), exhausted)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {1: b"", 2: b""},
        {99: []},
        {"a": 1},
        {3: 5},
        {4: ["a"]},
        {4: [1, "a", True, "b"]},
        {4: [[], 1]},
        {5: [[]]},
        {6: [[]]},
        {7: 10**9},
        {9: [0, 5, 0]},
        {10: [2024, 13, 1, 0, 0, 0, 0, 0, None]},
        {10: [2024]},
        {12: [0, 0, 0, 0, 0, [2, "../../etc/passwd"]]},
        {12: [0, 0, 0, 0, 0, [2, "No/Such"]]},
        {12: [0, 0, 0, 0, 0, [9, 1]]},
        {13: [10**18, 0, 0]},
        {14: "one"},
        {15: b"short"},
        {16: [1, 0]},
        msgpack.Ext(5, b""),
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    ],
)
def test_documents_that_encode_never_writes_are_refused(document: object) -> None:
    with pytest.raises(DecodeError):
        tagged.decode(msgpack.encode(document))


@pytest.mark.parametrize(
    "data",
    [b"", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff\x01", b"\x91" * 100_000, b"\xc1"],
)
def test_lengths_that_lie_and_endless_nesting_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        tagged.decode(data)


@pytest.mark.parametrize("wrap", [b"\x91", b"\x81\x03\x91"])
def test_documents_deeper_than_values_may_be_are_refused(wrap: bytes) -> None:
    with pytest.raises(DecodeError):
        tagged.decode(wrap * 150 + b"\x90")


def documents() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.integers(-9, 2**64 - 1) | st.floats() | st.text() | st.binary()
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=9)
            | st.builds(lambda tag, body: {tag: body}, st.integers(0, 17), inner)
        ),
    )


@given(st.binary() | documents().map(msgpack.encode))
def test_hostile_bytes_are_a_decode_error_or_builtins(data: bytes) -> None:
    try:
        value = tagged.decode(data)
    except DecodeError:
        return
    assert type(value).__module__ in {
        "builtins",
        "datetime",
        "decimal",
        "uuid",
        "fractions",
    }


def test_zones_keep_their_keys() -> None:
    value = dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris"))
    assert repr(tagged.decode(tagged.encode(value))) == repr(value)
