"""What tools see of a value without its type."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

import pydantic
import pytest

from dualcache.codecs import tagged
from dualcache.codecs.outline import outline_of
from dualcache.codecs.value_codec import make_value_codec
from dualcache.core.codec_ids import CodecId
from dualcache.core.entry import MISSING, Packed
from dualcache.core.envelope import seal

NAME = "shop:k"


@dataclass
class User:
    name: str
    born: date


class Colour(Enum):
    RED = "red"


class Model(pydantic.BaseModel):
    number: int


def sealed(packed: Packed) -> bytes:
    return seal(NAME, packed, version=b"12345678", created_ms=1, fresh_ms=None, load_ms=0)


def shown(value: object, annotation: Any = MISSING, **options: Any) -> Any:
    """Store a value as a function would, and look at it without its type."""
    codec = make_value_codec(annotation, **options)
    packed = codec.sign(NAME, codec.pack(value), ())
    return outline_of(NAME, sealed(packed))


PLAIN = [
    None,
    1,
    2**80,
    "é",
    "\udc80",
    b"x",
    [1, (2, {3: {4}})],
    {"a": date(2026, 11, 27)},
    frozenset({1}),
]


@pytest.mark.parametrize("value", PLAIN, ids=ascii)
def test_plain_values_are_shown_as_they_are(value: object) -> None:
    assert shown(value) == value
    assert shown(value, secret="s" * 16) == value
    assert shown([value] * 100, compress_above=10) == [value] * 100


def test_objects_are_shown_by_name_and_parts() -> None:
    ann = User("Ann", date(2000, 1, 2))
    name = f"{User.__module__}.User"
    assert shown([ann]) == [{name: ["Ann", date(2000, 1, 2)]}]
    assert shown(ann, User) == {"name": "Ann", "born": "2000-01-02"}
    assert shown([Colour.RED]) == [{f"{Colour.__module__}.Colour": "RED"}]
    assert shown(Model(number=1), Model) == {"number": 1}


def test_texts_bytes_and_json_are_shown() -> None:
    assert shown("x", codec="raw") == "x"
    assert shown(b"x", codec="raw") == b"x"
    assert shown({"a": 1}, codec="json") == {"a": 1}


def test_a_pickle_is_not_read() -> None:
    assert shown({"a": object}, codec="pickle", secret="s" * 16) is MISSING


@pytest.mark.parametrize(
    "payload", [b"", b"\xc1", b"\x81\x63\x90", b"\x82\x01\x02\x03\x04", b"\x81\x04\x91\x90"]
)
def test_bytes_that_nobody_spelled_show_nothing(payload: bytes) -> None:
    assert outline_of(NAME, sealed(Packed(CodecId.TAGGED, 0, payload))) is MISSING
    assert outline_of(NAME, payload) is MISSING


def test_what_nests_too_deep_shows_nothing() -> None:
    deep = b"\x91" * 500 + b"\xc0"
    assert outline_of(NAME, sealed(Packed(CodecId.TAGGED, 0, deep))) is MISSING
    assert tagged.MAX_DEPTH < 500
