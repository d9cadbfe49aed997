from __future__ import annotations

import collections.abc
import datetime as dt
import decimal
import enum
import numbers
import typing
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Protocol, TypedDict

import attrs
import msgspec
import pydantic
import pytest

from dualcache.keys.annotations import is_free_text, is_keyable_annotation

T = typing.TypeVar("T")
OLD_UNION = typing.Union[int, uuid.UUID]  # noqa: UP007  another class than `int | UUID`
OLD_OPTIONAL = typing.Optional[str]  # noqa: UP045  the same
UserId = NewType("UserId", int)
Slug = NewType("Slug", str)


class Colour(enum.Enum):
    RED = "red"


class Session:
    pass


class Shape:
    pass


@dataclass
class Circle(Shape):
    radius: int


class Options(TypedDict):
    page: int


class Pair(NamedTuple):
    x: int


class Structure(msgspec.Struct):
    x: int


class Model(pydantic.BaseModel):
    x: int


@attrs.define
class Attributes:
    x: int


class HasKey:
    def __cache_key__(self) -> int:
        return 1


class Readable(Protocol):
    def read(self) -> bytes: ...


class Box(Generic[T]):
    pass


class TypeAliasType:
    """Stands in for the class of Python 3.12's `type` statement."""

    def __init__(self, value: Any) -> None:
        self.__value__ = value


@pytest.mark.parametrize(
    "annotation",
    [
        int, str, None, type(None), bytes, list, list[int], dict[str, list[int]], tuple[int, ...],
        set[str],
        Colour, uuid.UUID, dt.date, dt.datetime, dt.timedelta, decimal.Decimal,
        int | None,
        OLD_OPTIONAL, Literal["a", 1], Annotated[int, "x"], UserId, Options, Pair,
        Structure, Model,
        Attributes, Circle, HasKey, TypeAliasType(int),
    ],
)  # fmt: skip
def test_values_so_annotated_can_be_part_of_a_key(annotation: Any) -> None:
    assert is_keyable_annotation(annotation) is True


@pytest.mark.parametrize(
    "annotation",
    [Session, list[Session], dict[str, Session], Annotated[Session, 1], type[int], Box, Box[int],
     type, Session | Box],
)  # fmt: skip
def test_no_value_so_annotated_can_be_part_of_a_key(annotation: Any) -> None:
    assert is_keyable_annotation(annotation) is False


@pytest.mark.parametrize(
    "annotation",
    [Any, object, T, Readable, collections.abc.Sequence, collections.abc.Mapping[str, int],
     numbers.Number, Shape,
     Session | None, "Unresolved", list[Any], collections.abc.Callable[[], int], pydantic.EmailStr,
     pydantic.BaseModel, typing.Hashable],
)  # fmt: skip
def test_of_values_so_annotated_nothing_can_be_told(annotation: Any) -> None:
    assert is_keyable_annotation(annotation) is None


@pytest.mark.parametrize(
    "annotation",
    [int, float, bool, complex, None, type(None), Colour, uuid.UUID, dt.date,
     dt.datetime, dt.time,
     dt.timedelta, decimal.Decimal, int | None, OLD_UNION,
     Annotated[int, 1], UserId,
     Literal[1, True, None], TypeAliasType(int)],
)  # fmt: skip
def test_these_hold_no_free_text(annotation: Any) -> None:
    assert is_free_text(annotation) is False


@pytest.mark.parametrize(
    "annotation",
    [
        str,
        object,
        Any,
        T,
        bytes,
        list[int],
        list,
        str | None,
        int | str,
        Slug,
        Literal["a"],
        "int",
        Model,
    ],
)
def test_these_may_hold_free_text(annotation: Any) -> None:
    assert is_free_text(annotation) is True
