from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntFlag
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given
from pydantic_core import TzInfo

from dualcache.codecs.compare import is_immutable, is_same, is_same_or_equal
from tests.codecs.values import plain_values
from tests.soft_limit import SoftLimit, soft_limit

NOON = datetime(2024, 3, 1, 12)  # noqa: DTZ001  naive on purpose
PARIS = ZoneInfo("Europe/Paris")


class Colour(Enum):
    RED = 1
    BLUE = 2


class Bits(IntFlag):
    A = 1
    B = 2


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass
class Plain:
    x: Any


@dataclass(slots=True)
class Slotted:
    x: Any


@dataclass(frozen=True, slots=True)
class Frozen:
    x: Any


@attrs.define
class Attrs:
    x: Any
    __hidden: int = 0  # pyright: ignore[reportGeneralTypeIssues]  # attrs strips the underscores


class Struct(msgspec.Struct):
    x: Any


class FrozenStruct(msgspec.Struct, frozen=True):
    x: Any


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    x: Any = None


def extra(**fields: Any) -> Model:
    return Model.model_validate(fields)


class Unknown:
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


class Text(str):
    __slots__ = ()


class DictData(dict[str, int]):
    __dataclass_fields__: ClassVar[dict[str, Any]] = {}  # pretends to be a dataclass


class OneSlot:
    __slots__ = "__x"  # noqa: PLC0205  a lone name is allowed

    def set_x(self, x: int) -> None:
        self.__x = x


@dataclass
class OnOneSlot(OneSlot):
    y: int
    x: InitVar[int]

    def __post_init__(self, x: int) -> None:
        self.set_x(x)


@given(plain_values())
def test_a_value_is_the_same_as_itself(value: object) -> None:
    assert is_same(value, value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        (1.0, math.nan),
        (complex(0.0, 0.0), complex(0.0, -0.0)),
        ("1", b"1"),
        (b"x", bytearray(b"x")),
        (None, 0),
        ([1], (1,)),
        ([1], [True]),
        ([1], [1, 2]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ({1: "a"}, {True: "a"}),
        ({1}, {True}),
        ({1}, {2}),
        ({1}, {1, 2}),
        ({1}, frozenset({1})),
        ({math.nan}, {1.0}),
        ({1, float("nan")}, {True, float("nan")}),
        ({"a": 1}, {Text("a"): 1}),
        ({"a": 0.0}, {"a": -0.0}),
        ({"a": 1}, OrderedDict(a=1)),
        (Decimal("1.0"), Decimal("1.00")),
        (range(0), range(1, 1)),
        (Fraction(1, 2), Fraction(1, 3)),
        (NOON, NOON.replace(tzinfo=UTC)),
        (NOON, NOON.replace(fold=1)),
        (NOON.replace(tzinfo=UTC), NOON.replace(tzinfo=timezone(timedelta(0), "Z"))),
        (NOON.replace(tzinfo=UTC), NOON.replace(tzinfo=PARIS)),
        (NOON.replace(tzinfo=PARIS), NOON.replace(tzinfo=ZoneInfo("Europe/Berlin"))),
        (NOON.replace(tzinfo=TzInfo(0)), NOON.replace(tzinfo=UTC)),
        (NOON.replace(tzinfo=TzInfo(0)), NOON.replace(tzinfo=TzInfo(60))),
        (time(1, tzinfo=UTC), time(1)),
        (date(2024, 3, 1), NOON),
        (Colour.RED, Colour.BLUE),
        (Bits.A, 1),
        (Point(1, 2), (1, 2)),
        (Point(1, 2), Point(1, True)),
        (Plain(1), Plain(True)),
        (Plain(1), Slotted(1)),
        (Slotted(1), Slotted(2)),
        (Attrs(1), Attrs(2)),
        (Attrs(1), Attrs(1, 5)),
        (Struct(1), Struct(True)),
        (Model(), Model(x=None)),
        (extra(y=2), extra(y=3)),
        (extra(y=2), extra(z=2)),
        (OnOneSlot(5, 6), OnOneSlot(5, 7)),
        (Unknown(), Unknown()),
        (DictData(a=1), DictData(a=2)),
        (Path("a"), Path("b")),
        (object(), object()),
    ],
)
def test_what_a_caller_could_tell_apart_is_not_the_same(one: object, other: object) -> None:
    assert not is_same(one, other)
    assert not is_same(other, one)


@pytest.mark.parametrize(
    "make",
    [
        lambda: float("nan"),
        lambda: {float("nan"), (float("nan"), 1), 1},
        lambda: {"a": [1, (2.5, b"x")], 1: {2, "b"}},
        lambda: NOON.replace(tzinfo=ZoneInfo.no_cache("Europe/Paris")),
        lambda: NOON.replace(tzinfo=timezone(timedelta(hours=1))),
        lambda: NOON.replace(tzinfo=TzInfo(60)),
        lambda: time(1, 2, 3, fold=1),
        lambda: Decimal("NaN12"),
        lambda: range(2**70),
        lambda: complex(math.nan, -0.0),
        lambda: bytearray(b"x"),
        lambda: UUID(int=5),
        lambda: Fraction(1, 3),
        lambda: Bits.A | Bits.B,
        lambda: Point([1], 2),
        lambda: Plain([1]),
        lambda: Slotted([1]),
        lambda: Attrs([1]),
        lambda: Struct([1]),
        lambda: extra(x=1, y=[2]),
        lambda: Path("a"),
        lambda: ipaddress.ip_address("::1"),
        lambda: pydantic.HttpUrl("http://a.b/"),
        lambda: OnOneSlot(5, 6),
    ],
)
def test_equal_structures_are_the_same(make: Any) -> None:
    assert is_same(make(), make())


def test_a_field_more_is_not_the_same() -> None:
    one, other = Plain(1), Plain(1)
    vars(other)["y"] = 2
    assert not is_same(one, other)


def test_zones_without_a_key_are_the_same_only_if_identical() -> None:
    class Zone(tzinfo):
        utcoffset = dst = tzname = None  # type: ignore[assignment]  # never asked

    with _zone_file() as file:
        zone = ZoneInfo.from_file(file)
        file.seek(0)
        again = ZoneInfo.from_file(file)
    assert is_same(NOON.replace(tzinfo=zone), NOON.replace(tzinfo=zone))
    assert not is_same(NOON.replace(tzinfo=zone), NOON.replace(tzinfo=again))
    assert not is_same(NOON.replace(tzinfo=Zone()), NOON.replace(tzinfo=Zone()))
    assert is_same(timezone(timedelta(1, -60)), timezone(timedelta(1, -60)))


def _zone_file() -> Any:
    """Return the smallest file that is a zone: version 1, one type, no changes."""
    import io

    counts = (0, 0, 0, 0, 1, 4)
    head = b"TZif\x00" + bytes(15) + b"".join(count.to_bytes(4, "big") for count in counts)
    return io.BytesIO(head + (3600).to_bytes(4, "big") + b"\x00\x00" + b"CET\x00")


def test_structures_that_contain_themselves_are_compared() -> None:
    one: list[Any] = [1]
    one.append(one)
    other: list[Any] = [1]
    other.append(other)
    assert is_same(one, other)
    other[0] = 2
    assert not is_same(one, other)


def test_what_nests_too_deeply_to_compare_is_not_the_same() -> None:
    one: list[Any] = []
    other: list[Any] = []
    for _ in range(50_000):
        one, other = [one], [other]
    assert not is_same(one, other)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1,
        1.5,
        1j,
        "a",
        b"a",
        NOON,
        NOON.replace(tzinfo=UTC),
        NOON.replace(tzinfo=PARIS),
        time(1),
        date(2024, 1, 1),
        timedelta(1),
        Decimal(1),
        UUID(int=1),
        Colour.RED,
        range(3),
        (1, (2, "a")),
        frozenset({1}),
        Point(1, 2),
        Frozen((1, 2)),
        FrozenStruct(1),
    ],
)
def test_immutable_all_the_way_down(value: object) -> None:
    assert is_immutable(value)


@dataclass(frozen=True)
class WithCachedProperty:
    x: int = field(default=1)

    @cached_property
    def items(self) -> list[int]:
        return [self.x]


class PlainChildOfFrozen(Frozen):
    pass


class RichPoint(Point):
    pass


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        set(),
        bytearray(),
        (1, []),
        Point(1, []),
        RichPoint(1, 2),
        Frozen([]),
        FrozenStruct([]),
        Struct(1),
        Plain(1),
        Attrs(1),
        Model(),
        Unknown(),
        WithCachedProperty(),
        PlainChildOfFrozen(1),
        NOON.replace(tzinfo=TzInfo(0)),
    ],
)
def test_what_a_caller_could_change_is_not_immutable(value: object) -> None:
    assert not is_immutable(value)


def test_what_nests_too_deeply_is_not_taken_for_immutable() -> None:
    value: tuple[Any, ...] = ()
    for _ in range(50_000):
        value = (value,)
    assert not is_immutable(value)


def test_values_that_are_equal_only_are_the_same_to_who_checks_a_hit() -> None:
    class Vague:
        def __eq__(self, _: object) -> bool:
            raise ValueError

        __hash__ = None  # type: ignore[assignment]  # as of anything that can be changed

    assert is_same_or_equal([math.nan], [math.nan])
    assert is_same_or_equal({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert not is_same_or_equal([1], [2])
    assert not is_same_or_equal(Vague(), Vague())


def test_an_interrupt_of_a_comparison_is_raised() -> None:
    class Slow:
        def __eq__(self, _: object) -> bool:
            reach()
            return True

        __hash__ = None  # type: ignore[assignment]  # as of anything that can be changed

    with soft_limit() as reach, pytest.raises(SoftLimit):
        is_same_or_equal(Slow(), Slow())
