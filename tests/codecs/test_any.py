"""`codec="any"`: plain values in their own forms, all else by pickle, readable in every process."""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from dualcache.codecs.value_codec import make_value_codec
from dualcache.core.codec_ids import CodecId
from dualcache.core.entry import MISSING
from dualcache.errors import UnencodableValue, UsageError
from tests.codecs.test_value_codec import KEY, pack, stored


class Markup(str):
    __slots__ = ()


@dataclass
class User:
    id: int


class Session:
    def __init__(self, user: str) -> None:
        self.user = user

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Session) and other.user == self.user

    __hash__ = None  # type: ignore[assignment]  # as of anything that can be changed


PLAIN: list[Any] = [
    None,
    1,
    2**80,
    "text",
    b"bytes",
    [1, (2, {3})],
    {1: Decimal("1.0")},
    datetime(2024, 3, 1, tzinfo=UTC),
    Fraction(1, 3),
]
NAMED: list[Any] = [Markup("a"), User(1), OrderedDict(a=1), Session("ada"), [User(1)], User]


def both(annotation: object = MISSING) -> tuple[Any, Any]:
    """Return the codecs of two processes, of which the second has learned nothing."""
    first, second = (
        make_value_codec(annotation, codec="any", secret="s", known=set()) for _ in "ab"
    )
    return first, second


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_values_are_kept_without_pickle(value: Any) -> None:
    first, second = both()
    packed = pack(first, value)
    assert packed.codec in {CodecId.MSGPACK, CodecId.TAGGED}
    assert second.unpack(KEY, stored(packed)) == value


@pytest.mark.parametrize("value", NAMED, ids=lambda value: type(value).__name__)
def test_other_values_are_read_by_a_process_that_has_never_stored_one(value: Any) -> None:
    first, second = both()
    packed = pack(first, value)
    back = second.unpack(KEY, stored(packed))
    assert packed.codec == CodecId.PICKLE
    assert (back, type(back)) == (value, type(value))


def test_where_the_type_is_known_pickle_comes_last() -> None:
    first, second = both(list[User])
    packed = pack(first, [User(1)])
    assert packed.codec != CodecId.PICKLE
    assert second.unpack(KEY, stored(packed)) == [User(1)]
    assert pack(first, [Session("ada")]).codec == CodecId.PICKLE


def test_it_needs_a_secret() -> None:
    with pytest.raises(UsageError) as caught:
        make_value_codec(codec="any")
    assert caught.value.code == "DC170"
    assert 'codec="any"' in caught.value.what


def test_what_pickle_does_not_take_is_refused_with_its_cause() -> None:
    first, _ = both()
    with pytest.raises(UnencodableValue) as caught:
        pack(first, [threading.Lock()])
    assert caught.value.code == "DC302"
    assert isinstance(caught.value.__cause__, TypeError)


def test_a_value_that_raises_while_it_is_pickled_is_refused_with_what_it_raised() -> None:
    class Never:
        def __reduce__(self) -> str:
            raise pickle.PicklingError

    first, _ = both()
    with pytest.raises(UnencodableValue) as caught:
        pack(first, Never())
    assert isinstance(caught.value.__cause__, pickle.PicklingError)
