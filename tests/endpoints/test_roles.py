"""What parameters are: told by their annotations, by the names of classes, by what values hold."""

from __future__ import annotations

import enum
import sqlite3
import uuid
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Optional, Union

import fastapi
import flask
import httpx
import pytest
import redis.asyncio
import sqlalchemy.orm
import starlette.requests
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from dualcache import Cache
from dualcache.frameworks.roles import ParameterRole, fits, members, method_of, role_of
from dualcache.keys.signature import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable

Number = NewType("Number", int)


class Colour(enum.StrEnum):
    RED = "red"


class Plain:
    pass


class SetsInInit:
    def __init__(self) -> None:
        self.method, self.url, self.headers = "GET", "/", dict[str, str]()


class ReadsInInit:
    def __init__(self, request: Any) -> None:
        self.seen = (request.method, request.url, request.headers)


@dataclass
class Declared:
    method: str
    url: str
    headers: dict[str, str]


class PlainRequest:
    pass


class CreateRequest(BaseModel):
    name: str


class OwnSession:
    def execute(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...


class OwnRedis:
    def execute_command(self) -> None: ...
    def pipeline(self) -> None: ...


class Session:
    """A class of the user's own that only has the name."""


class Answer(fastapi.responses.JSONResponse):
    pass


class Model(sqlalchemy.orm.DeclarativeBase):
    pass


@pytest.mark.parametrize(
    ("hint", "role"),
    [
        (int, ParameterRole.KEYABLE),
        (Optional[int], ParameterRole.KEYABLE),  # noqa: UP045  the old spelling
        (CreateRequest, ParameterRole.KEYABLE),
        (list[CreateRequest], ParameterRole.KEYABLE),
        (ABSENT, ParameterRole.OPEN),
        (Any, ParameterRole.OPEN),
        (object, ParameterRole.OPEN),
        (Union[int, Plain], ParameterRole.OPEN),  # noqa: UP007
        (Plain, ParameterRole.REFUSED),
        (Session, ParameterRole.REFUSED),
        (Model, ParameterRole.REFUSED),
        (ReadsInInit, ParameterRole.REFUSED),
        (fastapi.UploadFile, ParameterRole.OPEN),
        (fastapi.Request, ParameterRole.REQUEST),
        (Annotated[fastapi.Request | None, "x"], ParameterRole.REQUEST),
        (flask.Request, ParameterRole.REQUEST),
        (SetsInInit, ParameterRole.REQUEST),
        (Declared, ParameterRole.REQUEST),
        (PlainRequest, ParameterRole.REQUEST),
        (starlette.requests.HTTPConnection, ParameterRole.LEFT_OUT),
        (fastapi.WebSocket, ParameterRole.LEFT_OUT),
        (fastapi.BackgroundTasks, ParameterRole.LEFT_OUT),
        (sqlalchemy.orm.Session, ParameterRole.LEFT_OUT),
        (sqlalchemy.orm.scoped_session, ParameterRole.LEFT_OUT),
        (sqlalchemy.orm.scoped_session[Any], ParameterRole.LEFT_OUT),
        (redis.Redis, ParameterRole.LEFT_OUT),
        (Cache, ParameterRole.LEFT_OUT),
        (redis.asyncio.Redis | None, ParameterRole.LEFT_OUT),
        (sqlite3.Connection, ParameterRole.LEFT_OUT),
        (httpx.AsyncClient, ParameterRole.LEFT_OUT),
        (OwnSession, ParameterRole.LEFT_OUT),
        (OwnRedis, ParameterRole.LEFT_OUT),
        (fastapi.Response, ParameterRole.RESPONSE),
        (Answer, ParameterRole.RESPONSE),
        (flask.Response, ParameterRole.RESPONSE),
    ],
)
def test_an_annotation_tells_what_a_parameter_is(hint: Any, role: ParameterRole) -> None:
    assert role_of("value", hint) is role


def test_a_parameter_called_request_is_one_unless_it_can_be_part_of_a_key() -> None:
    assert role_of("request", SimpleNamespace) is ParameterRole.REQUEST
    assert role_of("request", CreateRequest) is ParameterRole.KEYABLE


@pytest.mark.parametrize(
    ("hint", "types", "verdict"),
    [
        (int, (int,), True),
        (bool, (int,), False),
        (bool, (bool,), True),
        (str, (int,), False),
        (int | None, (int,), True),
        (int | str, (int,), None),
        (int | str, (int, str), True),
        (Annotated[int, "x"], (int,), True),
        (Number, (int,), True),
        (Literal[1, 2], (int,), True),
        (Literal[1, "a"], (int,), None),
        (Colour, (str,), True),
        (uuid.UUID, (uuid.UUID,), True),
        (None, (int,), False),
        (Any, (int,), None),
        (object, (int,), None),
        (ABSENT, (int,), None),
        (list[int], (int,), False),
    ],
)
def test_an_annotation_tells_whether_values_have_a_type(
    hint: Any, types: tuple[type, ...], verdict: bool | None
) -> None:
    assert fits(hint, types) is verdict


def test_members_look_through_every_wrapping() -> None:
    hint = Optional[Annotated[Union[Number, list[str]], "x"]]  # noqa: UP007, UP045
    assert members(hint) == (int, list, type(None))


@given(st.permutations(["get", None, "request"]))
def test_the_method_is_that_of_the_first_value_that_holds_a_request(order: list[Any]) -> None:
    request = SimpleNamespace(method="put", url="/", headers={})
    values = [request if each == "request" else each for each in order]
    assert method_of(values, range(3)) == "PUT"


def test_what_has_no_text_as_method_is_no_request() -> None:
    values = [SimpleNamespace(method=5, url="", headers={}), SimpleNamespace(method="GET")]
    assert method_of(values, (0, 1)) is None


def test_a_request_of_django_is_known_by_its_class() -> None:
    kind = type("HttpRequest", (), {"__module__": "django.http.request"})
    request = type("WSGIRequest", (kind,), {"method": "DELETE"})()
    assert method_of([request], (0,)) == "DELETE"


@pytest.mark.parametrize(
    "make",
    [SetsInInit, lambda: Declared("", "", {}), PlainRequest, SimpleNamespace],
)
def test_any_object_with_the_three_attributes_is_a_request(make: Callable[[], Any]) -> None:
    ran: list[str] = []

    def endpoint(request: Any, post_id: int) -> int:
        ran.append(request.method)
        return post_id

    endpoint.__annotations__["request"] = type(make())
    cache = Cache("memory://")
    decorated = cache(key_prefix="post")(endpoint)

    def asked(method: str) -> Any:
        made = make()
        made.method, made.url, made.headers = method, "/", {}
        return made

    for method in ("GET", "GET", "PATCH", "GET"):
        assert decorated(asked(method), 5) == 5
    assert ran == ["GET", "PATCH", "GET"]
    assert decorated.key_for(asked("GET"), 5) == "post:5"
