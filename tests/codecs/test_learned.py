"""Objects that nothing annotates: kept by the name and the shape of their class."""

from __future__ import annotations

import enum
import gc
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from types import GenericAlias
from typing import Any, Final, Generic, Literal, NamedTuple, TypedDict, TypeVar

import attrs
import msgspec
import pydantic
import pytest
from msgspec import msgpack
from msgspec.structs import replace

from dualcache.codecs import generics, learned, names, tagged
from dualcache.codecs.compare import is_same
from dualcache.codecs.shapes import class_shape
from dualcache.codecs.value_codec import make_value_codec
from dualcache.core.codec_ids import CodecId
from dualcache.errors import DecodeError, UnencodableValue
from tests.codecs.test_value_codec import KEY, kept, pack, reason_of, stored

OBJECT, GENERIC = 19, 21
ZONED: Final = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))
T = TypeVar("T")


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Slug(str):
    __slots__ = ()


class Bits(enum.Flag):
    A = 1
    B = 2


class Wide(enum.IntFlag):
    A = 1


@dataclass
class User:
    name: str
    age: float = 0.0
    tags: list[str] = field(default_factory=list)
    number: int = field(init=False, default=7)
    _hidden: Any = None

    def __post_init__(self) -> None:
        self.twice = str(self.name) * 2

    @cached_property
    def thrice(self) -> str:
        return self.name * 3


class Derived(User):
    """Adds nothing to its fields."""


@dataclass(frozen=True, slots=True)
class Slotted:
    name: str
    __private: int = 3  # pyright: ignore[reportGeneralTypeIssues]


@dataclass
class Generics(Generic[T]):
    value: T


class Indexed:
    __class_getitem__: Any = classmethod(GenericAlias)


@dataclass
class Listed(Indexed):
    value: Any


class Point(NamedTuple):
    x: int
    y: Any = None


class Struct(msgspec.Struct):
    x: int
    y: Any = None


class Loose(msgspec.Struct, dict=True, frozen=True):
    x: int


@attrs.define
class Attrs:
    x: int
    _y: int = 2


@attrs.define(cache_hash=True, frozen=True)
class Hashed:
    x: int


class Row(TypedDict):
    user: User


class Model(pydantic.BaseModel):
    x: int
    inner: Model | None = None
    _private: int = pydantic.PrivateAttr(3)

    @pydantic.field_validator("x")
    @classmethod
    def double(cls, value: int) -> int:
        return value * 2


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    x: int


class Page(pydantic.BaseModel, Generic[T]):
    items: list[T]


class Numbers(pydantic.RootModel[list[int]]):
    pass


@pydantic.dataclasses.dataclass
class Checked:
    x: int


def local() -> Any:
    @dataclass
    class Local:
        x: int

    return Local


def changed() -> User:
    user = User("ada")
    user.age = 3  # an int where a float may be
    assert user.thrice
    vars(user)["more"] = [ZONED]
    return user


def loose() -> Loose:
    value = Loose(1)
    vars(value)["more"] = 2
    return value


LOCAL: Final = local()
LISTED: Final[Any] = Listed
GENERICS: Final[Any] = Generics
VALUES: Final = [
    User("ada"),
    changed(),
    Derived("eve"),
    Slotted("ada"),
    Generics(5),
    Generics[int](5),
    Generics[Generics[User] | list[None]](Generics[User](User("ada"))),
    Generics[Literal["a", 1]]("a"),
    LISTED[int](5),
    Point(1, ZONED),
    Struct(1, ZONED),
    loose(),
    Attrs(1),
    Colour.RED,
    Bits.A | Bits.B,
    Bits(0),
    Model(x=1, inner=Model(x=2)),
    Model.model_construct(),
    Open.model_validate({"x": 1, "more": [2]}),
    Page[int](items=[1]),
    Page[Model](items=[Model(x=1)]),
    Page(items=[1]),
    Numbers([1, 2]),
    Checked(x=1),
    LOCAL(1),
    User(None),  # type: ignore[arg-type]  # as code does that is not checked
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("check", [True, False])
def test_an_object_comes_back_as_it_was_at_any_depth(value: Any, check: bool) -> None:
    for whole in (value, [value, value], {"rows": ({1: value},)}, Generics([value])):
        back, packed = kept(whole, check=check)
        assert is_same(back, whole)
        assert packed.codec == CodecId.TAGGED


def test_a_typed_dict_is_a_dict_that_holds_objects() -> None:
    row: Row = {"user": User("ada")}
    assert is_same(kept(row)[0], row)


def test_what_a_weak_annotation_leaves_open_is_kept() -> None:
    for annotation in (dict, dict[str, Any], dict[str, object]):
        value = {"user": User("ada"), "colour": Colour.RED}
        assert is_same(kept(value, annotation)[0], value)
    assert is_same(kept([User("ada")], list)[0], [User("ada")])


@pytest.mark.parametrize(
    "value",
    [
        Hashed(1),
        Wide(4),
        GENERICS[local()](5),
        GENERICS[Literal[Colour.RED]](Colour.RED),
        GENERICS["User"](5),
        User("ada", tags=object()),  # type: ignore[arg-type]  # no form keeps it
        User(5),  # type: ignore[arg-type]  # a value that its annotation excludes
        Slotted.__new__(Slotted),
    ],
    ids=["cached hash", "bits", "local", "member", "forward", "part", "misfit", "nothing set"],
)
def test_what_cannot_be_made_again_is_refused(value: Any) -> None:
    if isinstance(value, Slotted):
        assert is_same(tagged.decode(tagged.encode(value)), value)
        return
    with pytest.raises(UnencodableValue):
        make_value_codec().pack([value])


def test_an_object_that_contains_itself_is_refused() -> None:
    user = User("ada")
    user._hidden = user
    with pytest.raises(UnencodableValue):
        make_value_codec().pack(user)


def test_a_class_that_a_function_makes_anew_is_learned_once() -> None:
    data = tagged.encode(LOCAL(1))
    assert tagged.decode(data) == LOCAL(1)
    with pytest.raises(UnencodableValue):
        tagged.encode(local()(1))
    assert tagged.decode(data) == LOCAL(1)


def test_a_class_that_was_defined_anew_is_none_of_the_old_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = Struct(1)
    data = tagged.encode(old)
    monkeypatch.setitem(globals(), "Struct", type("Struct", (), {}))
    with pytest.raises(UnencodableValue):
        tagged.encode(old)
    with pytest.raises(DecodeError) as caught:
        tagged.decode(data)
    assert caught.value.reason == "unknown_type"


def test_a_class_is_used_only_where_it_was_learned() -> None:
    data = tagged.encode([User("ada"), Colour.RED, Point(1)])
    learned._learned.clear()  # as in a process that has just started
    with pytest.raises(DecodeError) as caught:
        tagged.decode(data)
    assert caught.value.reason == "unknown_type"
    make_value_codec(list[Row | Generics[Point]] | dict[str, Colour])
    assert tagged.decode(data)[0] == User("ada")


def test_a_cache_uses_only_the_classes_that_it_has_learned_itself() -> None:
    ours, theirs = make_value_codec(known=set()), make_value_codec(known=set())
    for value in (User("ada"), Colour.RED, Slug("a")):
        packed = pack(ours, [value])
        assert is_same(ours.unpack(KEY, stored(packed)), [value])
        assert reason_of(theirs, packed) == "unknown_type"
        annotated = make_value_codec(list[type(value)], known=set())  # type: ignore[misc]  # at runtime
        assert is_same(annotated.unpack(KEY, stored(packed)), [value])


def test_what_a_generic_object_was_made_for_is_known_only_where_it_was_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = make_value_codec(known=set()), make_value_codec(known=set())
    made = Generics[Point](Point(1))
    packed = pack(ours, [made])
    assert reason_of(theirs, packed) == "unknown_type"
    theirs = make_value_codec(list[Generics[Point]], known=set())
    back = theirs.unpack(KEY, stored(packed))[0]
    assert back.__orig_class__ == Generics[Point]
    assert not is_same(back, GENERICS[Struct](Point(1)))
    assert not is_same(back, Generics(Point(1)))
    alias = tagged.encode(Generics[Point])
    assert tagged.decode(alias) == Generics[Point]
    assert reason(msgpack.encode({GENERIC: [f"{__name__}:Generics", None]})) == "unknown_type"
    assert reason(alias.replace(b"\xc0", b"\x01")) == "payload"
    monkeypatch.setitem(globals(), "Point", type("Point", (), {}))
    assert reason(alias) == "unknown_type"


def test_only_so_many_arguments_of_generic_classes_are_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(generics, "_MOST", 0)
    with pytest.raises(UnencodableValue):
        make_value_codec().pack(GENERICS[tuple[bytes, bytes]](5))


def test_an_annotation_of_classes_that_are_found_under_no_name_teaches_nothing() -> None:
    class Local(enum.Enum):
        A = 1

    known: set[str] = set()
    learned.learn(dict[Local, int], known)
    assert not known


def spelled(name: str, shape: Any, parts: Any) -> bytes:
    return msgpack.encode({OBJECT: [name, shape, parts]})


def reason(data: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        tagged.decode(data)
    return caught.value.reason


def test_hostile_documents_are_misses() -> None:
    for value in VALUES:
        tagged.encode(value)
    name, shape = f"{__name__}:User", class_shape(User)
    usual = [[], "ada", 1.5, [], 7, None]
    assert tagged.decode(spelled(name, shape, usual)) != User("ada")
    for other in ("os:PathLike", "no.such:Name", f"{__name__}:Nothing", f"{__name__}:test", ""):
        assert reason(spelled(other, shape, usual)) == "unknown_type"
    assert reason(spelled(name, b"8 bytes!", usual)) == "shape"
    wrong: list[Any] = [
        None,
        "ada",
        {3: []},
        [],
        [[]],
        usual[:-1],
        [[], b"ada", 1.5, [], 7, None],
        [[], "ada", "1.5", [], 7, None],
        [["name"], "ada", 1.5, [], 7, None],
        [["more"], "ada", 1.5, [], 7, None],
        [3, "ada", 1.5, [], 7, None],
        [*usual, "more"],
        [*usual, "name", "eve"],
        [*usual, 5, "eve"],
    ]
    for parts in wrong:
        assert reason(spelled(name, shape, parts)) == "payload"
    for parts in (None, "GREEN", 1, [], [[]]):
        assert reason(spelled(f"{__name__}:Colour", class_shape(Colour), parts)) == "payload"
    for parts in ("C", 4, -1, 2**63, 1.0, True, b"A"):
        assert reason(spelled(f"{__name__}:Bits", class_shape(Bits), parts)) == "payload"
    for body in (None, [], [name, shape], [name, "text", usual], [5, shape, usual], {1: 2}):
        assert reason(msgpack.encode({OBJECT: body})) == "payload"
    slotted = f"{__name__}:Slotted"
    extra = [[], "ada", 3, "more", 1]
    assert reason(spelled(slotted, class_shape(Slotted), extra)) == "payload"


def test_nothing_of_a_class_runs_for_what_a_document_names() -> None:
    calls: list[str] = []

    @dataclass
    class Watched:
        x: int

        @property
        def y(self) -> int:
            return 1

        @y.setter
        def y(self, value: int) -> None:
            calls.append(f"y {value}")

        def __setattr__(self, name: str, value: Any) -> None:
            calls.append(name)
            object.__setattr__(self, name, value)

    name, shape, parts = learned.parts_of(Watched(1)) or ("", b"", [])
    calls.clear()
    tagged.decode(spelled(name, shape, [*parts, "y", 5]))
    assert not calls


def test_random_documents_are_misses_or_values() -> None:
    for value in VALUES:
        tagged.encode(value)
    rng = random.Random(7)
    known = [(f"{__name__}:{kind.__name__}", class_shape(kind)) for kind in (User, Point, Struct)]
    parts: list[Any] = [None, 1, "a", b"b", 1.5, [], {3: []}, "name", "x", {1: b"\\x01"}]
    for _ in range(20_000):
        name, shape = rng.choice(known)
        body = [rng.choice(parts) for _ in range(rng.randrange(9))]
        document = {OBJECT: [name, shape, rng.choice([body, [[], *body], rng.choice(parts)])]}
        try:
            made = tagged.decode(msgpack.encode(document))
        except DecodeError:
            continue
        assert type(made) in (User, Point, Struct)


def test_the_class_of_another_release_is_of_another_shape_once_a_load_was_over() -> None:
    packed = pack(make_value_codec(), [User("ada")])
    renamed = replace(packed, payload=packed.payload.replace(b":User", b":Usar"))
    value_codec = make_value_codec()
    entry = stored(renamed)
    assert reason_of(value_codec, renamed) == "unknown_type"
    assert value_codec.is_learned(KEY, entry) is False
    assert reason_of(value_codec, renamed) == "shape"
    assert value_codec.is_learned(KEY, entry) is False
    assert value_codec.is_learned(KEY, stored(packed)) is True
    assert value_codec.is_learned(KEY, stored(replace(packed, payload=b"\xc1"))) is True


def test_only_so_many_names_of_other_releases_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(names, "_MOST_FOREIGN", 0)
    names.take_for_foreign("never:Seen")
    assert names.not_learned("never:Seen").reason == "unknown_type"


def test_a_class_that_nobody_uses_any_more_is_forgotten() -> None:
    @dataclass
    class Passing:
        x: int

    name = (learned.parts_of(Passing(1)) or ("",))[0]
    assert name in learned._learned
    del Passing
    gc.collect()
    assert name not in learned._learned
