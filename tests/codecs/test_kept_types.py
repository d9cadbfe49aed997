"""Types beside the builtin ones that come back as they were, and what becomes of all others."""

from __future__ import annotations

import enum
import ipaddress
import sys
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import ModuleType
from typing import Any, Final, NamedTuple

import pytest
from markupsafe import Markup
from msgspec import msgpack

from dualcache.codecs import subclasses, tagged
from dualcache.codecs.compare import is_same
from dualcache.codecs.value_codec import make_value_codec
from dualcache.errors import DecodeError, UnencodableValue

LIBRARY, SUBCLASS = 17, 18


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise AssertionError("code of the class ran")

    __repr__ = __str__


class Upper(str):  # noqa: SLOT000  with a __dict__, as most have
    def __new__(cls, text: str) -> Upper:
        return super().__new__(cls, text.upper())


class Below(Upper):
    """A subclass of a subclass, which adds nothing."""


class Mixin:
    def shout(self) -> str:
        return f"{self}!"


class Mixed(Mixin, str):  # noqa: SLOT000  the same
    pass


class Count(int):
    pass


class Ratio(float):
    pass


class Blob(bytes):
    pass


class Price(Decimal):
    pass


class Pair(tuple[int, ...]):
    __slots__ = ()


class Names(list[str]):
    pass


class Attributes(dict[str, Any]):
    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Tally(Counter[str]):
    pass


class Group(set[str]):
    pass


class Fixed(frozenset[str]):
    pass


class Id(uuid.UUID):
    pass


class Moment(datetime):
    pass


class Day(date):
    pass


class Clock(time):
    pass


class Span(timedelta):
    pass


class Outer:
    class Inner(str):
        __slots__ = ()


class Tagged(str):
    __slots__ = ("tag",)
    tag: str


class Level(enum.IntEnum):
    LOW = 1


class Name(enum.StrEnum):
    ADA = "ada"


class Plain(enum.Enum):
    LIST = [1]  # noqa: RUF012  a member may hold anything
    ALIAS = LIST


class Bits(enum.Flag):
    A = 1
    B = 2


class Point(NamedTuple):
    x: int


@dataclass
class Listed(list[int]):
    name: str = ""


def default(factory: Any, **items: Any) -> defaultdict[str, Any]:
    return defaultdict(factory, **items)


KEPT: Final[list[Any]] = [
    OrderedDict(b=1, a=2),
    OrderedDict(),
    Counter("hello"),
    Counter({"a": -1, "b": 0}),
    default(None, a=1),
    default(list, a=[1]),
    default(dict),
    deque([1, (2,)]),
    deque([1, 2], maxlen=2),
    deque(maxlen=0),
    Path("a/b"),
    PurePosixPath("/etc"),
    PureWindowsPath("c:\\x"),
    Path("\udcff"),
    ipaddress.ip_address("10.0.0.1"),
    ipaddress.ip_address("fe80::1%eth0"),
    ipaddress.ip_network("10.0.0.0/8"),
    ipaddress.ip_network("2001:db8::/32"),
    ipaddress.ip_interface("10.0.0.1/8"),
    ipaddress.ip_interface("::1/128"),
    Markup("<b>"),
    Text("a"),
    Text("\ud800"),
    Upper("a"),
    Below("a"),
    Mixed("a"),
    Count(2**70),
    Ratio("nan"),
    Ratio("-0.0"),
    Blob(b"\x00"),
    Price("1.10"),
    Pair((1, 2)),
    Names(["a"]),
    Attributes(a=Attributes(b=1)),
    Tally("hello"),
    Group("abc"),
    Fixed("abc"),
    Id(int=7),
    Moment(2024, 1, 1, tzinfo=UTC, fold=1),
    Day(2024, 1, 1),
    Clock(1, 2, fold=1),
    Span(1, 2, 3),
    Outer.Inner("a"),
    Level.LOW,
    Name.ADA,
    Plain.ALIAS,
    Bits.B,
    Bits.A | Bits.B,
    {Level.LOW: [Name.ADA]},
    {Text("k"): {Id(int=1): ipaddress.ip_address("::1")}},
    {ipaddress.ip_address("::1"), Path("a"), Text("a")},
]


@pytest.mark.parametrize("value", KEPT, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_equal_and_of_the_same_type(value: Any) -> None:
    back = tagged.decode(tagged.encode([value]))[0]
    assert type(back) is type(value)
    assert is_same(back, value)
    assert is_same(value, make_value_codec().unpack("k", packed(value)))


def packed(value: Any) -> Any:
    from tests.codecs.test_value_codec import stored

    return stored(make_value_codec().pack(value), "k")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)),
        (Counter("a"), Counter("b")),
        (Counter("a"), {"a": 1}),
        (default(None), default(list)),
        (default(lambda: 1), default(lambda: 1)),
        (deque([1]), deque([1], maxlen=1)),
        (deque([1]), deque([True])),
        (Text("a"), Text("b")),
        (Text("a"), "a"),
        (Ratio(0.0), Ratio(-0.0)),
        (Names(["a"]), Names(["b"])),
        (Id(int=1), Id(int=2)),
        (ipaddress.ip_address("::1"), ipaddress.ip_address("::2")),
    ],
)
def test_what_a_caller_could_tell_apart_is_not_the_same(one: object, other: object) -> None:
    assert not is_same(one, other)


def with_attribute() -> Names:
    value = Names()
    value.__dict__["hint"] = "kept nowhere"
    return value


def local() -> Any:
    class Local(str):
        __slots__ = ()

    return Local("a")


def with_tag() -> Tagged:
    value = Tagged("a")
    value.tag = "kept nowhere"
    return value


@pytest.mark.parametrize(
    "value",
    [
        with_attribute(),
        local(),
        with_tag(),
        Listed(),
        default(lambda: 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_subclass_that_holds_more_or_cannot_be_found_is_refused(value: Any) -> None:
    with pytest.raises(UnencodableValue):
        tagged.encode([value])


def test_a_class_is_made_only_where_it_has_been_learned() -> None:
    class_name = f"{__name__}:Text"
    data = tagged.encode(Text("a"))
    assert class_name.encode() in data
    for name in ("os:PathLike", "no.such:Name", f"{__name__}:Nothing", f"{__name__}:", ""):
        document = msgpack.encode({SUBCLASS: [name, "a"]})
        with pytest.raises(DecodeError) as caught:
            tagged.decode(document)
        assert caught.value.reason == "unknown_type"
    del subclasses._learned[class_name]  # as in a process that has just started
    with pytest.raises(DecodeError) as caught:
        tagged.decode(data)
    assert (caught.value.reason, caught.value.code) == ("unknown_type", "DC315")
    make_value_codec(dict[str, type(local())])  # type: ignore[misc]  # which nobody can find by its name
    with pytest.raises(DecodeError):
        tagged.decode(data)
    make_value_codec(list[Text | Level | None])
    assert type(tagged.decode(data)) is Text


def test_a_class_that_was_defined_anew_is_not_made_of_the_old_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = tagged.encode(Upper("a"))
    monkeypatch.setattr(sys.modules[__name__], "Upper", type("Upper", (str,), {}))
    with pytest.raises(DecodeError) as caught:
        tagged.decode(data)
    assert caught.value.reason == "unknown_type"


@pytest.mark.parametrize(
    "body",
    [
        ["tests.codecs.test_kept_types:Text", 1],
        [
            "tests.codecs.test_kept_types:Text",
            {SUBCLASS: ["tests.codecs.test_kept_types:Text", ""]},
        ],
        ["tests.codecs.test_kept_types:Text"],
        ["tests.codecs.test_kept_types:Level", "HIGH"],
        ["tests.codecs.test_kept_types:Level", 1],
        ["tests.codecs.test_kept_types:Level", []],
        [1, "a"],
        {"a": "b", "c": "d"},
    ],
)
def test_a_subclass_is_made_of_its_own_plain_form_alone(body: Any) -> None:
    tagged.encode([Text("a"), Level.LOW])
    with pytest.raises(DecodeError):
        tagged.decode(msgpack.encode({SUBCLASS: body}))


@pytest.mark.parametrize(
    "body",
    [
        ["collections.Counter", {9: [0, 10**9, 1]}],
        ["collections.OrderedDict", ["a"]],
        ["collections.OrderedDict", ["a", 1, "a", 2]],
        ["collections.OrderedDict", 5],
        ["collections.defaultdict", ["open", "a", 1]],
        ["collections.deque", [1, 2, 3]],
        ["collections.deque", ["1", 2]],
        ["collections.deque", []],
        ["collections.namedtuple", []],
        ["pathlib.PosixPath", 5],
        ["pathlib.Path", "a"],
        ["ipaddress.IPv4Network", 5],
        ["ipaddress.IPv4Network", "10.0.0.1/8"],
        ["os.system", "true"],
    ],
)
def test_a_library_type_is_made_of_its_own_parts_alone(body: Any) -> None:
    with pytest.raises(DecodeError) as caught:
        tagged.decode(msgpack.encode({LIBRARY: body}))
    assert caught.value.reason == "payload"


def test_numbers_of_numpy_are_kept_where_numpy_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    numpy = ModuleType("numpy")
    kinds = {name: type(name, (base,), {"__module__": "numpy"}) for name, base in NUMBERS}
    vars(numpy).update(kinds)
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    values = [kind(1) for kind in kinds.values()] + [kinds["float64"]("nan")]
    data = [tagged.encode({value: value}) for value in values]
    for value, each in zip(values, data, strict=True):
        ((key, back),) = tagged.decode(each).items()
        assert type(key) is type(back) is type(value)
        assert is_same(back, value)
    for parts in ("1", [1], None, 1.5):
        with pytest.raises(DecodeError):
            tagged.decode(msgpack.encode({LIBRARY: ["numpy.int64", parts]}))
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(DecodeError) as caught:
        tagged.decode(data[0])
    assert caught.value.reason == "unknown_type"


NUMBERS: Final = (("int64", int), ("uint8", int), ("float32", float), ("float64", float))


def test_numbers_of_the_real_numpy_are_kept() -> None:
    numpy = pytest.importorskip("numpy")
    names = (
        "int8",
        "int64",
        "uint64",
        "longlong",
        "intc",
        "bool_",
        "float16",
        "float32",
        "float64",
    )
    for value in (getattr(numpy, name)(1) for name in names):
        ((key, back),) = tagged.decode(tagged.encode({value: value})).items()
        assert type(key) is type(back) is type(value)
        assert is_same(back, value)
    for value in (numpy.zeros(2), numpy.longdouble(1)):
        with pytest.raises(UnencodableValue):
            tagged.encode(value)


def test_the_uuid_of_asyncpg_is_kept() -> None:
    pgproto = pytest.importorskip("asyncpg.pgproto.pgproto")
    value = pgproto.UUID("7f9cc4e2-9d51-4e5a-8c6b-3d1b2e6c0f55")
    (back,) = tagged.decode(tagged.encode([value]))
    assert type(back) is pgproto.UUID
    assert is_same(back, value)
    with pytest.raises(DecodeError):
        tagged.decode(msgpack.encode({LIBRARY: ["asyncpg.pgproto.pgproto.UUID", "a"]}))


def test_a_uuid_of_a_driver_is_kept_where_the_driver_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pgproto = ModuleType("asyncpg.pgproto.pgproto")
    kind: Any = type("UUID", (uuid.UUID,), {"__module__": pgproto.__name__})
    kind.__init__ = lambda self, data: uuid.UUID.__init__(self, bytes=data)
    vars(pgproto)["UUID"] = kind
    monkeypatch.setitem(sys.modules, pgproto.__name__, pgproto)
    value = kind(bytes(16))
    (back,) = tagged.decode(tagged.encode([value]))
    assert type(back) is kind
    assert is_same(back, value)
    with pytest.raises(DecodeError):
        tagged.decode(msgpack.encode({LIBRARY: ["asyncpg.pgproto.pgproto.UUID", "a"]}))


def test_a_class_of_a_script_has_the_same_name_where_the_script_is_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = ModuleType("__main__")
    vars(script)["__file__"] = "/srv/nightly.py"
    ran = type("Slug", (str,), {"__module__": "__main__"})
    vars(script)["Slug"] = ran
    monkeypatch.setitem(sys.modules, "__main__", script)
    data = tagged.encode(ran("a"))
    assert b"nightly:Slug" in data
    assert type(tagged.decode(data)) is ran

    nightly = ModuleType("nightly")
    imported = type("Slug", (str,), {"__module__": "nightly"})
    vars(nightly)["Slug"] = imported
    monkeypatch.setitem(sys.modules, "nightly", nightly)
    both = tagged.encode([ran("a"), imported("a")])  # one process has loaded it twice
    assert [type(each) for each in tagged.decode(both)] == [ran, imported]
    monkeypatch.delitem(sys.modules, "__main__")
    assert type(tagged.decode(data)) is imported


def test_a_module_of_the_standard_library_is_imported_for_its_types(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = tagged.encode(ipaddress.ip_address("10.0.0.1"))
    monkeypatch.delitem(sys.modules, "ipaddress")
    assert str(tagged.decode(data)) == "10.0.0.1"
