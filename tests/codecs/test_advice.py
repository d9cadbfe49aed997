"""What is said of a value that cannot be stored: the place, the type, and a line that works."""

from __future__ import annotations

import enum
import signal
import sqlite3
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field, make_dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any, NamedTuple

import pydantic
import pytest
import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dualcache.codecs.advice import Teller, advice_for
from dualcache.codecs.value_codec import make_value_codec
from dualcache.core.codec_ids import CodecId
from dualcache.core.entry import MISSING
from dualcache.errors import UnencodableValue


class Sort:
    """A class of the user's, of which nothing is known."""


class Status(enum.Enum):
    NEW = 1


class Bits(enum.IntFlag):
    A = 1
    B = 2


def local_enum() -> Any:
    class Local(enum.Enum):
        NEW = 1

    return Local


@dataclass
class User:
    owner: Any = None
    parts: dict[str, Any] = field(default_factory=dict)


Gone: Any = make_dataclass("Gone", [("level", int, 0)], namespace={"__module__": __name__})
Gone.__module__, Gone.__qualname__ = __name__, "Nothing"  # found under no name
Gone.__name__ = "Gone"
Loud: Any = type("Quiet", (str,), {"__module__": __name__})


@dataclass
class Count:
    number: int


@dataclass
class Team:
    members: list[User]


class Point(NamedTuple):
    x: Any


class Model(pydantic.BaseModel):
    owner: Any = None


COUNT_OF_TEXT = Count("a")  # type: ignore[arg-type]  # what the test is about


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)


class Frame:
    def to_dict(self) -> dict[str, int]:
        return {}


class Array:
    def tolist(self) -> list[int]:
        return []


class Record:
    def keys(self) -> list[str]:
        return []


class Page:
    objects = None
    _meta = None
    DoesNotExist = None


class Noon(tzinfo):
    def utcoffset(self, _: Any) -> timedelta:
        return timedelta()

    dst = utcoffset

    def tzname(self, _: Any) -> str:
        return "noon"


def told(value: Any, annotation: object = MISSING, **options: Any) -> UnencodableValue:
    with pytest.raises(UnencodableValue) as caught:
        make_value_codec(annotation, **options).pack(value)
    return caught.value


NOON = f"a value of type {__name__}.Noon"
SORT = f"a value of type {__name__}.Sort"
GONE = f"a value of type {__name__}.Nothing"


@pytest.mark.parametrize(
    ("value", "annotation", "begins"),
    [
        (Sort(), MISSING, SORT),
        ([1, 2, {"owner": Sort()}], MISSING, f'result[2]["owner"]: {SORT}'),
        ([1, 2, User(Sort())], list[int | User], f"result[2].owner: {SORT}"),
        ([1, User(parts={"a": (0, Sort())})], list[int | User], f'result[1].parts["a"][1]: {SORT}'),
        (Model(owner=Sort()), Model, f"result.owner: {SORT}"),
        ([Point(1), Status.NEW, Sort()], list[Any], f"result[2]: {SORT}"),
        ([Point(Sort())], list[Point], f"result[0].x: {SORT}"),
        ({"bob@example.org": Sort()}, MISSING, f"result[…]: {SORT}"),
        ({7: Sort()}, MISSING, f"result[…]: {SORT}"),
        ({"x" * 33: Sort()}, MISSING, f"result[…]: {SORT}"),
        ({Sort(): 1}, MISSING, f"a key of result: {SORT}"),
        ({"a": {Sort()}}, MISSING, f'an item of result["a"]: {SORT}'),
        (deque([Sort()]), MISSING, "a value of type collections.deque"),
        ([User(Sort())], MISSING, f"result[0].owner: {SORT}"),
        ([Markup("a"), Model(), {1}, Sort()], MISSING, f"result[3]: {SORT}"),
        ([User(), Gone()], MISSING, f"result[1]: {GONE}"),
        ([Count(1), COUNT_OF_TEXT], MISSING, f"result[1]: a value of type {__name__}.Count"),
        ([datetime(2024, 1, 1, tzinfo=Noon())], MISSING, f"result[0].tzinfo: {NOON}"),
        (User(Loud("a")), User, "result.owner: a value of type tests.codecs.test_advice.Quiet"),
        ([User(), Gone()], list[User], f"result[1]: {GONE}"),
        ({"a": Gone()}, dict[str, User | None], f'result["a"]: {GONE}'),
        (Gone(), User, GONE),
        (Team([User(), Gone()]), Team, f"result.members[1]: {GONE}"),
        ([defaultdict(lambda: 1)], MISSING, "result[0]: a value of type collections.defaultdict"),
    ],
)
def test_the_place_and_the_type_are_named(value: Any, annotation: object, begins: str) -> None:
    error = told(value, annotation)
    assert error.what == f"{begins} cannot be stored so that it comes back the same"
    assert error.code == "DC300"


def rows() -> list[Any]:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    row = connection.execute("select 1 as id").fetchone()
    connection.close()
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connected:
        other = connected.execute(sa.text("select 1 as id")).first()
    engine.dispose()
    return [row, other]


SQLITE_ROW, SQLALCHEMY_ROW = rows()


@pytest.mark.parametrize(
    ("value", "annotation", "help_line"),
    [
        (Gone(), MISSING, "annotate the function: -> Gone"),
        (local_enum().NEW, MISSING, "annotate the function: -> Local"),
        (Bits(4), MISSING, "annotate the function: -> Bits"),
        ([Gone()], MISSING, "annotate the function: -> list[Gone]"),
        ({"a": [Gone()]}, MISSING, "annotate the function with all that it returns, Gone included"),
        ((Gone(),), MISSING, "annotate the function with all that it returns, Gone included"),
        (Order(id=1), MISSING, "return a dict, a dataclass or a model of it: the object belongs"),
        ([Order(id=1)], list[Order], "return a dict, a dataclass or a model of it: the object"),
        (Page(), MISSING, "return a dict, a dataclass or a model of it: the object belongs"),
        ([User(), Gone()], list[User], "annotate the function with exactly the types it returns"),
        (SQLITE_ROW, MISSING, "return dict(row), or"),
        ([SQLALCHEMY_ROW], MISSING, "return dict(row._mapping), or"),
        (Record(), MISSING, "return dict(row), or"),
        (Frame(), MISSING, 'give codec="arrow", or return plain values, such as those'),
        (Array(), MISSING, 'give codec="numpy", or return plain values, such as those'),
        (defaultdict(lambda: 1), MISSING, "return a plain dict of it"),
        (User(Loud("a")), User, "return a plain str of it"),
        (Sort(), MISSING, 'return a dict, a dataclass or a model of it, or give codec="pickle"'),
        (
            [Sort()],
            list[Sort],
            'return a dict, a dataclass or a model of it, or give codec="pickle"',
        ),
        ([threading.Lock()], MISSING, "return plain values from it"),
        ({"a": iter([])}, MISSING, "return a list of the items"),
        (datetime(2024, 1, 1, tzinfo=Noon()), MISSING, "return times of a zoneinfo.ZoneInfo"),
    ],
)
def test_the_line_to_write_is_one_that_helps(
    value: Any, annotation: object, help_line: str
) -> None:
    assert told(value, annotation).help.startswith(help_line)


@pytest.mark.parametrize(
    ("value", "help_line"),
    [
        (Gone(), "give get_or_load() the type, type=Gone; or store plain values"),
        ([Gone()], "give get_or_load() the type, type=list[Gone]; or store plain values"),
        ({"a": Gone()}, "give get_or_load() the type, type=…; or store plain values"),
        (Sort(), 'store a dict, a dataclass or a model of it, or give codec="reference"'),
        (Order(id=1), "store a dict, a dataclass or a model of it: the object belongs"),
    ],
)
def test_a_direct_call_has_nothing_to_annotate(value: Any, help_line: str) -> None:
    error = told(value, teller=Teller(is_direct=True, is_local=True))
    assert error.help.startswith(help_line)
    assert told([0, Sort()], teller=Teller(is_direct=True)).what.startswith("value[1]: ")


@pytest.mark.parametrize("number", [1, 100])
def test_a_value_that_contains_itself_is_told_as_such(number: int) -> None:
    value: list[Any] = [0] * number
    value.append(value)
    assert "contains itself" in told(value).what
    holder = User()
    holder.owner = holder
    assert told(holder, User).what.startswith(f"a value of type {__name__}.User")


class Unhashable(type):
    __hash__ = None  # type: ignore[assignment]  # as a metaclass with an __eq__ has


class Odd(str, metaclass=Unhashable):
    __slots__ = ()


def outside(_: object) -> Any:
    raise RuntimeError("working outside of request context")


Unbound = type("Unbound", (), {"__class__": property(outside)})
"""A proxy of a request, outside of any request."""


class Evasive(type):
    def __getattr__(cls, name: str) -> Any:
        raise RuntimeError(name)


class Evaded(metaclass=Evasive):
    pass


@pytest.mark.parametrize("name", ["Odd", "Unbound", "Evaded"])
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value]])
def test_a_class_that_raises_when_it_is_looked_at_is_told_all_the_same(
    name: str, wrap: Any
) -> None:
    error = told(wrap(globals()[name]()))
    assert error.code == "DC300"
    assert "cannot be stored" in error.what


class SoftLimit(Exception):
    """Raised by a signal handler, as Celery does when a task has run for too long."""


def test_an_interrupt_while_a_class_is_looked_at_is_raised() -> None:
    class Slow(type):
        def __getattr__(cls, name: str) -> Any:
            signal.raise_signal(signal.SIGUSR1)

    class Slowly(metaclass=Slow):
        pass

    def handler(*_: object) -> None:
        raise SoftLimit

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(SoftLimit):
            advice_for(Slowly(), MISSING, [CodecId.MSGPACK], [])
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_an_annotation_that_raises_when_it_is_looked_at_is_none_to_learn() -> None:
    assert make_value_codec(list[Odd]).pack([1]).payload


def test_json_offers_the_default_where_that_would_keep_the_value() -> None:
    assert told([(1, 2)], codec="json").help.startswith("leave codec= out")
    assert told([Sort()], codec="json").what.startswith(f"result[0]: {SORT}")
