from __future__ import annotations

import enum
import itertools
import math
import sys
import uuid
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dualcache.errors import UnkeyableArgument
from dualcache.keys.canonical import canonical, text

BERLIN = ZoneInfo("Europe/Berlin")


class Colour(enum.Enum):
    RED = "red"
    ONE = 1
    HALF = 0.5


class Word(enum.StrEnum):
    RED = "red:"


class Permission(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Point:
    x: int
    y: Any = None
    late: int = field(init=False, repr=False)


@dataclass
class Pixel:
    x: int
    y: Any = None


class Pair(NamedTuple):
    x: int
    y: Any


@attrs.define
class Attributes:
    x: int


class Structure(msgspec.Struct):
    x: int


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    x: int
    _hidden: int = pydantic.PrivateAttr(default=0)


class Integer(int):
    pass


class Words(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "shown"


class Real(float):
    pass


class Items(list[Any]):
    pass


@dataclass
class Bag(dict[str, int]):
    colour: str = ""


class Identified:
    def __init__(self, identity: object) -> None:
        self.identity = identity

    def __cache_key__(self) -> object:
        return self.identity


class Offset(tzinfo):
    """A zone with neither a name nor a fixed offset."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        assert moment is not None
        return timedelta()

    def tzname(self, _moment: datetime | None) -> str:
        raise NotImplementedError

    def dst(self, _moment: datetime | None) -> None:
        raise NotImplementedError


EXAMPLES: list[Any] = [
    1, "1", True, 1.0, b"1", bytearray(b"1"), Decimal(1), Decimal("1.0"), Fraction(1), 1 + 0j,
    Integer(1),
    Real(1.0), None, "None", "", b"", (), [], {}, set(), frozenset(), 0.0, -0.0, math.inf, "inf",
    (1, 2), [1, 2], "1:2", {1, 2}, frozenset({1, 2}), {1: 2}, {(1, 2)}, [[1], 2], [[1, 2]],
    [1, [2]],
    ("a:b", "c"), ("a", "b:c"), ("a,b",), ("a", "b"), "('a','b')", "'",
    "(", "x", b"x", "é", "e\u0301",
    Words("x"), Items([1, 2]), range(2), range(0, 4, 2), OrderedDict(a=1, b=2),
    OrderedDict(b=2, a=1),
    {"a": 1, "b": 2}, defaultdict(int, a=1, b=2), Bag(), Bag("red"),
    Colour.RED, Colour.ONE, "red", Word.RED, "red:", Permission.READ,
    Permission.READ | Permission.WRITE,
    Point(1), Point(1, 2), Pixel(1), Pixel(1, 2), Pair(1, 2), Attributes(1), Structure(1),
    Model(x=1),
    Model.model_validate({"x": 1, "y": 2}), Identified(1), Identified("1"),
    uuid.UUID(int=1), str(uuid.UUID(int=1)), date(2024, 1, 2), datetime(2024, 1, 2),  # noqa: DTZ001
    datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=ZoneInfo("UTC")),
    datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN),
    datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
    datetime(2024, 1, 2, fold=1), datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=1))),  # noqa: DTZ001
    datetime(2024, 1, 2, tzinfo=BERLIN), time(0), time(0, fold=1), time(0, tzinfo=BERLIN),
    time(0, tzinfo=UTC),
    timedelta(), timedelta(microseconds=-1), timedelta(microseconds=1), timedelta(days=1),
    timedelta(days=-1),
]  # fmt: skip


def test_no_two_different_values_share_a_form() -> None:
    forms = [canonical(value) for value in EXAMPLES]
    shared = [
        (EXAMPLES[one], EXAMPLES[two])
        for one, two in itertools.combinations(range(len(forms)), 2)
        if forms[one] == forms[two]
    ]
    assert shared == []


def test_forms_hold_no_separator_and_no_wildcard() -> None:
    for value in EXAMPLES:
        assert not set(canonical(value)) & set(":{}*?[]\\ \n")


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
    | st.decimals(allow_nan=False) | st.fractions() | st.uuids() | st.dates() | st.datetimes()
    | st.timedeltas() | st.sampled_from(Colour)
    | st.sampled_from(["1", "None", "True", "a:b", "'", ")", ","])
)  # fmt: skip
hashables = st.recursive(
    scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(hashables, inner, max_size=3)
        | st.frozensets(hashables, max_size=3)
        | st.sets(hashables, max_size=3)
        | st.builds(Point, st.integers(), inner)
        | st.builds(Pixel, st.integers(), inner)
        | st.builds(Pair, st.integers(), inner)
    ),
    max_leaves=8,
)


def same(one: Any, two: Any) -> bool:
    """Compare by type and value, all the way down, and by a rule of its own."""
    if type(one) is not type(two):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, (set, frozenset)):
        return len(one) == len(two) and all(any(same(a, b) for b in two) for a in one)
    if isinstance(one, dict):
        return len(one) == len(two) and all(
            any(same(a, b) and same(one[a], two[b]) for b in two) for a in one
        )
    if isinstance(one, (Point, Pixel)):
        return same((one.x, one.y), (two.x, two.y))
    if isinstance(one, (float, Decimal)):
        return str(one) == str(two)
    return bool(one == two)


@given(values, values)
@example((1, True), (True, 1))
@example({1: "a"}, {True: "a"})
@example(["a", "b"], ["a','b"])
def test_forms_are_equal_exactly_where_type_and_value_are(one: object, two: object) -> None:
    assert (canonical(one) == canonical(two)) is same(one, two)


@given(st.dictionaries(hashables, st.integers(), max_size=5))
def test_the_order_of_a_dict_and_of_a_set_does_not_count(mapping: dict[Any, int]) -> None:
    backwards = dict(reversed(mapping.items()))
    assert canonical(mapping) == canonical(backwards)
    assert canonical(set(mapping)) == canonical(set(backwards))


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (1, "1"),
        ("a:b", "'a%3Ab'"),
        (b"a \xff", "b'a%20%FF'"),
        (["a", (1,)], "list('a',(1))"),
        ({"b": {1}, "a": None}, "dict('a'=None,'b'=set(1))"),
        (Colour.RED, "tests.keys.test_canonical.Colour.RED"),
        (Permission.READ, "tests.keys.test_canonical.Permission(1)"),
        (Integer(5), "tests.keys.test_canonical.Integer(5)"),
        (Words("x"), "tests.keys.test_canonical.Words('x')"),
        (Pair(1, "a"), "tests.keys.test_canonical.Pair(x=1,y='a')"),
        (Point(1), "tests.keys.test_canonical.Point(x=1,y=None)"),
        (Identified((1, 2)), "tests.keys.test_canonical.Identified((1,2))"),
        (Bag("red"), "tests.keys.test_canonical.Bag(dict(),colour='red')"),
        (timedelta(days=1, microseconds=5), "timedelta(86400.000005s)"),
        (datetime(2024, 1, 2, tzinfo=BERLIN),
         "datetime(2024-01-02T00%3A00%3A00+01%3A00%5BEurope/Berlin%5D)"),
    ],
)  # fmt: skip
def test_forms_can_be_read(value: object, form: str) -> None:
    assert canonical(value) == form


def test_fixed_offsets_count_by_their_seconds_alone() -> None:
    named = timezone(timedelta(hours=1), "somewhere")
    bare = timezone(timedelta(hours=1))
    moment = datetime(2024, 1, 2, tzinfo=named)
    assert canonical(moment) == canonical(moment.replace(tzinfo=bare))
    parsed = pydantic.TypeAdapter(datetime).validate_python("2024-01-02T00:00:00Z")
    assert canonical(parsed) == canonical(datetime(2024, 1, 2, tzinfo=UTC))


def test_a_subclass_of_a_standard_type_does_not_meet_it() -> None:
    class Identity(uuid.UUID):
        pass

    assert canonical(Identity(int=1)) != canonical(uuid.UUID(int=1))
    assert canonical(Identity(int=1)).endswith(f".Identity(UUID({uuid.UUID(int=1)}))")


def test_pydantic_extras_and_private_values_count() -> None:
    model, other = Model(x=1), Model(x=1)
    other._hidden = 2
    assert canonical(model) != canonical(other)


def test_a_number_of_any_size_has_a_form() -> None:
    huge = 10 ** (sys.get_int_max_str_digits() + 1)
    assert canonical(huge) == f"{huge:#x}" == text(huge)


def test_a_value_that_contains_itself_is_refused() -> None:
    items: list[object] = []
    items += [items, items]
    with pytest.raises(UnkeyableArgument, match="contains itself"):
        canonical(items)


class Plain:
    pass


UNKEYABLE = [
    object(),
    Plain(),
    Plain,
    len,
    lambda: 1,
    [object()],
    {"a": Plain()},
    iter([]),
    memoryview(b"x"),
]


@pytest.mark.parametrize("value", UNKEYABLE, ids=lambda value: type(value).__name__)
def test_anything_else_is_refused_without_its_repr(value: object) -> None:
    for write in (canonical, text):
        with pytest.raises(UnkeyableArgument) as caught:
            write(value)
        assert " at 0x" not in str(caught.value)
        assert caught.value.code == "DC110"


def test_a_zone_without_name_or_offset_is_refused() -> None:
    with pytest.raises(UnkeyableArgument, match="neither a named zone nor a fixed offset"):
        canonical(datetime(2024, 1, 2, tzinfo=Offset()))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1, "1"), ("1", "1"), (True, "True"), (None, "None"), (1.5, "1.5"),
        ("a:b c*", "a%3Ab%20c%2A"),
        ("", ""), (Colour.RED, "red"), (Colour.ONE, "1"), (Colour.HALF, "HALF"),
        (Word.RED, "red%3A"),
        (Integer(5), "5"), (Real(0.5), "0.5"), (Words("x"), "x"),
        (uuid.UUID(int=0), str(uuid.UUID(int=0))),
        (date(2024, 1, 2), "2024-01-02"), (time(1, 2), "01%3A02%3A00"), (Decimal("1.10"), "1.10"),
        (Fraction(1, 3), "1/3"), (timedelta(minutes=-1), "-60s"), ([1, "a"], "list(1,'a')"),
        (b"x", "b'x'"), (Pair(1, 2), "tests.keys.test_canonical.Pair(x=1,y=2)"),
        (Identified("a"), "tests.keys.test_canonical.Identified('a')"),
        (1j, "complex(0.0,1.0)"),
    ],
)  # fmt: skip
def test_scalars_in_a_template_are_text_and_all_else_canonical(value: object, shown: str) -> None:
    assert text(value) == shown
    assert text(value, typed=True) == canonical(value)
