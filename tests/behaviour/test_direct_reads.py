"""What direct calls see of entries that functions with a return annotation stored."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

import pydantic
import pytest

from dualcache import MISSING, Miss, NotRead, UnencodableValue, Unusable
from dualcache.codecs.compare import is_same
from tests.behaviour.seen import Seen

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.servers import Server


@dataclass
class User:
    name: str


class Point(NamedTuple):
    x: int
    y: int


class Level(enum.IntEnum):
    LOW = 1


class Model(pydantic.BaseModel):
    name: str


TYPED: Final[list[tuple[Any, Any]]] = [
    (Decimal("1.10"), Decimal),
    (UUID(int=7), UUID),
    (datetime(2024, 1, 2, 3, tzinfo=UTC), datetime),
    (datetime(2024, 1, 2, 3), datetime),  # noqa: DTZ001  naive on purpose
    (date(2024, 1, 2), date),
    (b"bytes", bytes),
    ((1, "a"), tuple[int, str]),
    ({"a"}, set[str]),
    (frozenset({1}), frozenset[int]),
    ([Decimal("1.10")], list[Decimal]),
    ({1: (2,)}, dict[int, tuple[int, ...]]),
    (User("ada"), User),
    ([User("ada")], list[User] | None),
    (Point(1, 2), Point),
    (Level.LOW, Level),
    (Model(name="ada"), Model),
    ([Model(name="ada")], list[Model]),
]
PLAIN: Final[list[tuple[Any, Any]]] = [
    (None, User | None),
    ([], list[Model]),
    ({"a": [1, 2.5, None, True, "x"]}, dict[str, Any]),
    ("1.10", str),
    ("1.10", Decimal | str),
]


def stored_by_a_function(colour: Colour, cache: Any, value: Any, annotation: Any) -> Any:
    """Let a function with that annotation store `value` under "k"; return the function."""

    def body() -> Any:
        return value

    body.__annotations__["return"] = annotation
    load = cache(key="k")(colour.function(body))
    assert is_same(colour.run(load), value)
    return load


@pytest.mark.parametrize(("value", "annotation"), TYPED + PLAIN, ids=lambda each: repr(each)[:20])
@pytest.mark.parametrize("codec", [None, "json"])
def test_a_direct_read_gives_what_the_function_returned_or_nothing(
    colour: Colour, backend_url: str, value: Any, annotation: Any, codec: str | None
) -> None:
    cache = colour.cache(backend_url, codec=codec)
    load = stored_by_a_function(colour, cache, value, annotation)
    is_stored = colour.run(load.peek) is not None
    for _ in range(2):
        got = colour.call(cache, "get", "k", MISSING)
        assert got is MISSING or is_same(got, value)
        many = colour.call(cache, "get_many", ["k"])
        assert many == {} if got is MISSING else is_same(many["k"], value)
        assert colour.call(cache, "contains", "k") is is_stored
        assert (colour.call(cache, "ttl", "k") is not None) is is_stored
        if is_stored:
            assert is_same(colour.call(cache, "get", "k", MISSING, type=annotation), value)
            assert colour.call(cache, "peek", "k").value is got or is_same(
                colour.call(cache, "peek", "k").value, got
            )
    assert is_same(colour.run(load), value)


@pytest.mark.parametrize(("value", "annotation"), PLAIN, ids=lambda each: repr(each)[:20])
def test_what_needs_no_type_is_read_without_one(
    colour: Colour, backend_url: str, value: Any, annotation: Any
) -> None:
    cache = colour.cache(backend_url)
    stored_by_a_function(colour, cache, value, annotation)
    if annotation != list[Model]:  # what pydantic validates is never read without it
        assert is_same(colour.call(cache, "get", "k", MISSING), value)


@pytest.mark.parametrize(("value", "annotation"), TYPED, ids=lambda each: repr(each)[:20])
def test_get_or_load_gives_the_same_on_a_hit_as_on_a_miss(
    colour: Colour, backend_url: str, value: Any, annotation: Any
) -> None:
    cache = colour.cache(backend_url)
    load = stored_by_a_function(colour, cache, value, annotation)
    loader = colour.function(lambda: value)
    for _ in range(3):
        assert is_same(colour.call(cache, "get_or_load", "k", loader), value)
        assert is_same(colour.run(load), value)


def test_an_untyped_read_of_what_needs_a_type_is_told_once(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    seen = Seen(cache)
    stored_by_a_function(colour, cache, User("ada"), User)
    for _ in range(3):
        assert colour.call(cache, "get", "k", "nothing") == "nothing"
    (told,) = seen.of(NotRead)
    assert "type=User" in told.help
    assert [event.reason for event in seen.of(Miss)][-3:] == ["untyped"] * 3
    assert seen.count(Unusable) == 0
    assert colour.call(cache, "peek", "k").value is MISSING


def test_get_or_load_without_a_type_leaves_an_entry_that_it_cannot_replace(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    seen = Seen(cache)
    load = stored_by_a_function(colour, cache, User("ada"), User)
    opaque = object()
    mine = [opaque, opaque]
    loader = colour.function(lambda: mine.pop(0))
    for _ in range(2):
        assert colour.call(cache, "get_or_load", "k", loader) is opaque
    assert seen.count(NotRead) == 1
    assert colour.run(load) == User("ada")
    assert not mine


def test_get_or_load_without_a_type_replaces_an_entry_with_what_both_read(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    load = stored_by_a_function(colour, cache, Decimal("1.10"), Decimal)
    mine = [Decimal("2.20")]
    loader = colour.function(lambda: mine.pop(0))
    for _ in range(3):
        assert is_same(colour.call(cache, "get_or_load", "k", loader), Decimal("2.20"))
    assert is_same(colour.run(load), Decimal("2.20"))
    assert is_same(colour.call(cache, "get", "k"), Decimal("2.20"))


def test_get_or_load_many_without_types_loads_what_it_cannot_read_in_one_call(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    users = {f"u:{number}": User(str(number)) for number in range(5)}

    def body(number: int) -> User:
        return users[f"u:{number}"]

    load = cache(key="u:{number}")(colour.function(body))
    for number in range(5):
        colour.run(load, number)
    asked: list[list[str]] = []
    opaque = object()
    expected = {**dict.fromkeys(users, opaque), "u:0": 1}

    def loader(keys: list[str]) -> dict[str, Any]:
        asked.append(keys)
        return {key: Decimal(1) if key == "u:0" else opaque for key in keys}

    many = colour.function(loader)
    assert colour.call(cache, "get_or_load_many", list(users), many) == expected
    assert asked == [list(users)]
    assert colour.call(cache, "get_or_load_many", list(users), many) == expected
    assert asked[1:] == [list(users)[1:]]
    assert is_same(colour.call(cache, "get", "u:0"), Decimal(1))
    assert [colour.run(load, number) for number in range(1, 5)] == list(users.values())[1:]
    assert colour.call(cache, "get_or_load_many", list(users)[1:], many, type=User) == dict(
        list(users.items())[1:]
    )
    assert len(asked) == 2


def test_a_refresh_by_a_function_without_annotation_replaces_what_it_cannot_read(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    stored_by_a_function(colour, cache, (1, 2), tuple[int, int])
    plain = cache(key="k", name="plain")(colour.function(lambda: (3, 4)))
    assert colour.run(plain.refresh) == (3, 4)
    assert colour.run(plain) == (3, 4)
    assert colour.call(cache, "get", "k") == (3, 4)


def test_an_annotation_that_leaves_everything_open_is_none(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    stored_by_a_function(colour, cache, Decimal("1.10"), Decimal)
    assert colour.call(cache, "get", "k", MISSING, type=Any) is MISSING
    assert colour.call(cache, "get", "k", MISSING, type=object) is MISSING


def test_contains_tells_of_entries_that_no_read_of_this_cache_takes(
    colour: Colour, redis_server: Server
) -> None:
    signing = colour.cache(redis_server.url, secret="a s3cret that is quite long")
    plain = colour.cache(redis_server.url)
    colour.call(signing, "set", "signed", 1)
    colour.call(plain, "set", "plain", 1)
    assert colour.call(signing, "contains", "signed") is True
    assert colour.call(plain, "contains", "signed") is False
    assert colour.call(signing, "contains", "plain") is False
    assert colour.call(signing, "ttl", "plain") is None


def test_set_has_no_type_to_read_by(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "set", "k", Decimal("1.10"))
    assert is_same(colour.call(cache, "get", "k"), Decimal("1.10"))
    colour.call(cache, "set", "k", User("ada"))
    assert is_same(colour.call(cache, "get", "k"), User("ada"))
    with pytest.raises(UnencodableValue):
        colour.call(cache, "set", "k", object())
