"""The fingerprint of types: what changes it, what does not, and what another's entry is worth."""

from __future__ import annotations

import functools
import sys
import typing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypedDict

import pydantic
import pytest
from msgspec.structs import replace

from dualcache.codecs.advice import Teller
from dualcache.codecs.shapes import NO_SHAPE, class_shape, shape_of
from dualcache.codecs.value_codec import make_value_codec
from dualcache.core.entry import MISSING
from dualcache.errors import UsageError
from tests.behaviour.seen import run_script
from tests.codecs.test_value_codec import KEY, pack, reason_of, stored
from tests.soft_limit import SoftLimit, soft_limit

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS: Final[list[str]] = []
IMPORTS: Final = """
import attrs, enum, functools, msgspec, pydantic, typing
from dataclasses import dataclass, field
"""
MODEL: Final = "class U(pydantic.BaseModel):\n    "
STRUCT: Final = "class U(msgspec.Struct):\n    "
DATA: Final = "@dataclass\nclass U:\n    "

PAIRS: Final = {
    "a field more": (f"{DATA}a: int", f"{DATA}a: int\n    b: int = 0"),
    "another order": (f"{DATA}a: int\n    b: int", f"{DATA}b: int\n    a: int"),
    "another default": (f"{DATA}a: int = 1", f"{DATA}a: int = 2"),
    "a default of another type": (f"{DATA}a: int = 1", f"{DATA}a: int = True"),
    "another factory": (
        f"{DATA}a: list = field(default_factory=lambda: [1])",
        f"{DATA}a: list = field(default_factory=lambda: [2])",
    ),
    "a partial as factory": (
        f"{STRUCT}a: int = msgspec.field(default_factory=functools.partial(int, '1'))",
        f"{STRUCT}a: int = msgspec.field(default_factory=functools.partial(int, '2'))",
    ),
    "another constant in a nested function": (
        f"{DATA}a: int = 0\n    def __post_init__(self):\n        (lambda: 1)()",
        f"{DATA}a: int = 0\n    def __post_init__(self):\n        (lambda: 2)()",
    ),
    "a field of init": (f"{DATA}a: int = 0", f"{DATA}a: int = field(default=0, init=False)"),
    "a struct renames": (f"{STRUCT}a: int", "class U(msgspec.Struct, rename='upper'):\n    a: int"),
    "a struct has a tag": (f"{STRUCT}a: int", "class U(msgspec.Struct, tag='u'):\n    a: int"),
    "a struct's bound": (
        f"{STRUCT}a: typing.Annotated[int, msgspec.Meta(gt=1)]",
        f"{STRUCT}a: typing.Annotated[int, msgspec.Meta(gt=2)]",
    ),
    "attrs: a default": (
        "@attrs.define\nclass U:\n    a: int",
        "@attrs.define\nclass U:\n    a: int = 1",
    ),
    "attrs: a factory": (
        "@attrs.define\nclass U:\n    a: list = attrs.field(factory=list)",
        "@attrs.define\nclass U:\n    a: list = attrs.field(factory=lambda: [1])",
    ),
    "attrs: a converter": (
        "@attrs.define\nclass U:\n    a: int",
        "@attrs.define\nclass U:\n    a: int = attrs.field(converter=int)",
    ),
    "a named tuple": (
        "class U(typing.NamedTuple):\n    a: int",
        "class U(typing.NamedTuple):\n    a: int = 1",
    ),
    "a TypedDict's key": (
        "class U(typing.TypedDict):\n    a: int",
        "class U(typing.TypedDict):\n    b: int",
    ),
    "a key that may lack": (
        "class U(typing.TypedDict):\n    a: int",
        "class U(typing.TypedDict):\n    a: typing.NotRequired[int]",
    ),
    "a model's field": (f"{MODEL}a: int", f"{MODEL}a: str"),
    "a model's default": (f"{MODEL}a: int = 1", f"{MODEL}a: int = 2"),
    "a model's bound": (
        f"{MODEL}a: int = pydantic.Field(gt=1)",
        f"{MODEL}a: int = pydantic.Field(gt=2)",
    ),
    "a model's set of values": (
        f"{MODEL}a: frozenset = frozenset({{'x'}})",
        f"{MODEL}a: frozenset = frozenset({{'y'}})",
    ),
    "a model's dict": (f"{MODEL}a: dict = {{1: 2}}", f"{MODEL}a: dict = {{1: 3}}"),
    "a model's validator": (
        f"{MODEL}a: int\n    @pydantic.field_validator('a')\n    def f(cls, v): return v",
        f"{MODEL}a: int\n    @pydantic.field_validator('a')\n    def f(cls, v): return v + 1",
    ),
    "a model's config": (
        f"{MODEL}a: int",
        f"{MODEL}model_config = {{'extra': 'allow'}}\n    a: int",
    ),
    "a member of an enum": (
        "class U(enum.Enum):\n    A = 1",
        "class U(enum.Enum):\n    A = 1\n    B = 2",
    ),
    "the value of a member": ("class U(enum.Enum):\n    A = 1", "class U(enum.Enum):\n    A = 2"),
    "a default that is a member": (
        f"class E(enum.Enum):\n    A = 1\n    B = 2\n{DATA}a: E = E.A",
        f"class E(enum.Enum):\n    A = 1\n    B = 2\n{DATA}a: E = E.B",
    ),
    "a default that is a class": (f"{DATA}a: type = int", f"{DATA}a: type = str"),
    "a default that is an object": (
        f"class E(typing.NamedTuple):\n    x: int\n{DATA}a: E = E(1)",
        f"class E(typing.NamedTuple):\n    x: int\n{DATA}a: E = E(2)",
    ),
    "a part": (
        f"class P(typing.NamedTuple):\n    x: int\n{DATA}a: list[P]",
        f"class P(typing.NamedTuple):\n    y: int\n{DATA}a: list[P]",
    ),
    "int and float": ("U = int", "U = float"),
    "items": ("U = list[int]", "U = list[float]"),
    "a dict and a TypedDict": ("U = dict", "class U(typing.TypedDict):\n    a: int"),
    "literals": ("U = typing.Literal[1]", "U = typing.Literal['1']"),
    "a NewType": ("U = typing.NewType('U', int)", "U = typing.NewType('U', str)"),
    "callables": ("U = typing.Callable[[int], str]", "U = typing.Callable[[str], str]"),
    "unions": ("U = int | str", "U = int | bytes"),
    "a name that is not there": (f"{DATA}a: 'Left'", f"{DATA}a: 'Right'"),
}


def made(source: str) -> Any:
    """Return the class `U` of a program, whose module stays for the test."""
    module = ModuleType(f"program_{len(PROGRAMS)}")
    PROGRAMS.append(module.__name__)
    sys.modules[module.__name__] = module
    exec(compile(IMPORTS + source, "program", "exec", dont_inherit=True), vars(module))
    return module.U


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    yield
    while PROGRAMS:
        del sys.modules[PROGRAMS.pop()]


@pytest.mark.parametrize("pair", list(PAIRS))
def test_what_changes_how_a_value_is_read_changes_its_shape(pair: str) -> None:
    old, new = PAIRS[pair]
    assert shape_of(made(old)).own == shape_of(made(old)).own != NO_SHAPE
    assert shape_of(made(old)).own != shape_of(made(new)).own


def test_every_process_finds_the_same_shapes() -> None:
    sources = [source for pair in PAIRS.values() for source in pair]
    script = (
        "import sys, types\n"
        "from dualcache.codecs.shapes import shape_of\n"
        f"for source in {sources!r}:\n"
        "    module = sys.modules['program'] = types.ModuleType('program')\n"
        f"    exec({IMPORTS!r} + source, vars(module))\n"
        "    print(shape_of(module.U).own.hex())\n"
    )
    assert run_script(script).split() == [shape_of(made(each)).own.hex() for each in sources]


def test_a_class_that_moves_keeps_its_shape_and_one_that_is_renamed_does_not() -> None:
    one, other = made(PAIRS["a part"][0]), made(PAIRS["a part"][0])
    other.__module__ = "elsewhere"
    assert class_shape(one) == class_shape(other)
    assert class_shape(one) == class_shape(one)
    renamed = made(PAIRS["a part"][0])
    renamed.__qualname__ = "V"
    assert class_shape(renamed) != class_shape(one)


def test_classes_that_contain_themselves_have_a_shape() -> None:
    node = made(f"{DATA}next: 'U | None'\n    size: int")
    assert class_shape(node) != class_shape(made(f"{DATA}next: 'U | None'\n    size: str"))


def test_the_none_that_an_annotation_allows_is_told_apart() -> None:
    may, never = shape_of(int | None), shape_of(int)
    assert (may.own, may.other) == (never.other, never.own)
    assert shape_of(typing.Optional[int]) == may  # noqa: UP045  the older spelling
    assert shape_of(int | str | None).other == shape_of(int | str).own
    assert shape_of(None) == shape_of(None)


class Strange(type):
    def __hash__(cls) -> int:
        raise ZeroDivisionError

    def __getattribute__(cls, name: str) -> Any:
        if name == "__qualname__":
            raise ZeroDivisionError
        return super().__getattribute__(name)


class Odd(metaclass=Strange):
    pass


def test_a_class_that_cannot_be_looked_at_has_no_shape() -> None:
    assert shape_of(Odd).own == NO_SHAPE
    assert shape_of(MISSING).own == NO_SHAPE


def test_defaults_of_classes_that_are_not_known_count_by_their_class() -> None:
    class Engine:
        def __init__(self) -> None:
            self.address = id(self)

    def with_default(default: object) -> Any:
        return dataclass(type("U", (), {"__annotations__": {"a": object}, "a": default}))

    assert class_shape(with_default(Engine())) == class_shape(with_default(Engine()))
    bound = functools.partial(print)
    assert class_shape(with_default(bound)) != class_shape(with_default(Engine()))
    assert class_shape(with_default(Decimal(1))) != class_shape(with_default(Decimal(2)))
    assert class_shape(with_default(date(2026, 1, 1))) == class_shape(
        with_default(date(2026, 1, 1))
    )


@dataclass
class Point:
    x: int
    y: int = 0


class User(pydantic.BaseModel):
    name: str = ""


class Keys(TypedDict):
    a: int


def read_as(reader: Any, packed: Any) -> Any:
    """Return what a value codec makes of a packed value, or why it does not take it."""
    try:
        return reader.unpack(KEY, stored(packed))
    except Exception:  # noqa: BLE001  told by its reason
        return reason_of(reader, packed)


@pytest.mark.parametrize(
    ("writer", "value", "reader", "expected"),
    [
        (int, 1, int, 1),
        (int, 1, float, "shape"),
        (dict, {"a": 1}, Keys, "shape"),
        (dict, {"a": 1}, MISSING, {"a": 1}),
        (MISSING, {"a": 1}, Keys, {"a": 1}),
        (MISSING, {"a": 1, "b": 2}, Keys, "shape"),
        (MISSING, {"x": 1}, Point, "shape"),
        (MISSING, {"name": "ada"}, User, "shape"),
        (MISSING, [1, 2], list[int], [1, 2]),
        (MISSING, [(1, 2)], list, [(1, 2)]),
        (MISSING, [1, 2], list[float], "shape"),
        (Point, Point(1), Point, Point(1)),
        (Point, Point(1), MISSING, "untyped"),
        (Point, Point(1), User, "shape"),
    ],
)
def test_a_function_reads_its_own_shape_and_what_is_exactly_its_type(
    writer: Any, value: Any, reader: Any, expected: Any
) -> None:
    packed = pack(make_value_codec(writer), value)
    assert read_as(make_value_codec(reader), packed) == expected
    unchecked = make_value_codec(reader, shape_check=False)
    if expected == "shape":
        assert read_as(unchecked, packed) != "shape"


@pytest.mark.parametrize(
    ("writer", "value", "reader", "expected"),
    [
        (MISSING, {"x": 1}, Point, Point(1)),
        (MISSING, [1], list[float], [1.0]),
        (dict[str, int], {"x": 1}, Point, "shape"),
        (dict[str, int], {"x": 1}, dict, {"x": 1}),
        (Point, Point(1), Point | None, Point(1)),
        (Point | None, Point(1), Point, Point(1)),
        (Point, Point(1), User, "shape"),
    ],
)
def test_a_direct_read_may_ask_for_a_value_as_another_type(
    writer: Any, value: Any, reader: Any, expected: Any
) -> None:
    packed = pack(make_value_codec(writer), value)
    assert read_as(make_value_codec(reader, teller=Teller(is_direct=True)), packed) == expected


def test_a_signed_entry_is_of_the_shape_that_was_signed() -> None:
    value_codec = make_value_codec(Point, secret="s")
    packed = pack(value_codec, Point(1))
    assert value_codec.unpack(KEY, stored(packed)) == Point(1)
    forged = replace(packed, shape=shape_of(int).own)
    assert reason_of(make_value_codec(int, secret="s"), forged) == "signature"


def test_a_type_that_nothing_reads_by_takes_what_has_its_shape_only() -> None:
    class Strange:
        __slots__ = ("__weakref__",)

    packed = pack(make_value_codec(), 5)
    assert reason_of(make_value_codec(typing.Callable[[Strange], int]), packed) == "shape"


def test_whether_shapes_are_checked_is_a_bool() -> None:
    with pytest.raises(UsageError):
        make_value_codec(shape_check="perhaps")  # type: ignore[arg-type]  # what the test is about


def test_an_interrupt_while_types_are_looked_at_is_raised() -> None:
    with soft_limit() as reach:

        class Slow(type):
            def __getattribute__(cls, name: str) -> Any:
                if name in ("__qualname__", "__mro__"):
                    reach()
                return super().__getattribute__(name)

        class Slowly(metaclass=Slow):
            a: Left  # type: ignore[name-defined]  # noqa: F821  a name that is not there

        class Interrupted(pydantic.BaseModel):
            a: int

            @pydantic.field_validator("a")
            @classmethod
            def stop(cls, _: int) -> int:
                reach()
                return 1

        with pytest.raises(SoftLimit):
            shape_of(Slowly)
        packed = pack(make_value_codec(), {"a": 1})
        with pytest.raises(SoftLimit):
            make_value_codec(Interrupted).unpack(KEY, stored(packed))
