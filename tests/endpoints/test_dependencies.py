"""FastAPI injects through the decorated function: every common kind of dependency, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator  # noqa: TC003  FastAPI reads annotations
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
)
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from dualcache import Cache
from tests.behaviour.test_outages import Clock
from tests.endpoints.conftest import Stage
from tests.patience import patient

if TYPE_CHECKING:
    from tests.endpoints.web import Site

ENGINE = create_engine("sqlite://", poolclass=NullPool, connect_args={"check_same_thread": False})


class User(BaseModel):
    name: str


class Page(BaseModel):
    number: int = Field(default=1, ge=1)
    size: int = 10


class Account:
    def __init__(self, name: str) -> None:
        self.name = name


class Limits:
    """A dependency that is a class, with parameters of its own."""

    def __init__(self, limit: int = 5) -> None:
        self.limit = limit

    def __cache_key__(self) -> int:
        return self.limit


def session() -> Iterator[Session]:
    with Session(ENGINE) as made:
        yield made


async def async_session() -> AsyncIterator[AsyncSession]:
    made = AsyncSession()
    yield made
    await made.close()


def current_user(x_user: Annotated[str, Header()] = "nobody") -> User:
    return User(name=x_user)


async def current_account(x_user: Annotated[str, Header()] = "nobody") -> Account:
    return Account(x_user)


CurrentUser = Annotated[User, Depends(current_user)]


def site_of(stage: Stage, body: Any, **options: Any) -> Site:
    app = FastAPI()
    app.get("/{post_id}")(stage.endpoint(**({"key_prefix": "post"} | options))(body))
    return stage.site(app)


def test_sessions_are_injected_and_left_out(stage: Stage) -> None:
    def read(
        request: Request,
        post_id: int,
        tasks: BackgroundTasks,
        db: Annotated[Session, Depends(session)],
        async_db: AsyncSession = Depends(async_session),  # noqa: B008
    ) -> Any:
        tasks.add_task(stage.count, "task")
        return [db.execute(text("select 7")).scalar(), stage.count("read")]

    with pytest.warns(UserWarning, match="DC407"):
        site = site_of(stage, read)
    assert [site.get("/1"), site.get("/1")] == [[7, 1], [7, 1]]
    assert stage.counts == {"read": 1, "task": 1}


def test_a_model_from_a_dependency_tells_answers_apart(stage: Stage) -> None:
    def read(request: Request, post_id: int, user: CurrentUser) -> dict[str, Any]:
        return {"for": user.name, "run": stage.count("read")}

    site = site_of(stage, read)
    for name in ("ann", "bob", "ann"):
        assert site.get("/1", headers={"x-user": name})["for"] == name
    assert stage.counts == {"read": 2}


def test_an_object_from_a_dependency_may_stand_in_the_prefix(stage: Stage) -> None:
    def read(
        request: Request, post_id: int, account: Annotated[Account, Depends(current_account)]
    ) -> str:
        stage.count("read")
        return account.name

    site = site_of(stage, read, key_prefix="of_{account.name}:post")
    for name in ("ann", "bob", "ann"):
        assert site.get("/1", headers={"x-user": name}) == name
    assert stage.counts == {"read": 2}


def test_a_class_as_dependency_counts_by_its_own_key(stage: Stage) -> None:
    def read(request: Request, post_id: int, limits: Annotated[Limits, Depends()]) -> int:
        return stage.count("read")

    site = site_of(stage, read)
    answers = [site.get(path) for path in ("/1", "/1?limit=6", "/1", "/1?limit=6")]
    assert answers == [1, 2, 1, 2]


def test_headers_cookies_and_models_of_the_query_count(stage: Stage) -> None:
    def read(
        request: Request,
        post_id: Annotated[int, Path(ge=1)],
        page: Annotated[Page, Query()],
        accept_language: Annotated[str | None, Header()] = None,
        theme: Annotated[str, Cookie()] = "light",
    ) -> int:
        return stage.count("read")

    site = site_of(stage, read)
    requests: list[dict[str, Any]] = [
        {},
        {"headers": {"accept-language": "de"}},
        {"headers": {"cookie": "theme=dark"}},
        {"params": {"number": 2}},
    ]
    first = [site.get("/1", **options) for options in requests]
    assert first == [1, 2, 3, 4]
    assert [site.get("/1", **options) for options in requests] == first
    assert site.send("GET", "/0").status_code == 422


def test_credentials_tell_users_apart_and_are_in_no_key(stage: Stage) -> None:
    def read(
        request: Request,
        post_id: int,
        credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
    ) -> str:
        stage.count("read")
        return credentials.credentials

    site = site_of(stage, read)
    for token in ("secret-1", "secret-2", "secret-1"):
        assert site.get("/1", headers={"authorization": f"Bearer {token}"}) == token
    assert stage.counts == {"read": 2}


def test_dependencies_of_the_router_and_errors_of_dependencies_are_as_before(stage: Stage) -> None:
    def guard(x_user: Annotated[str | None, Header()] = None) -> None:
        if x_user is None:
            raise HTTPException(401)

    def read(request: Request, post_id: int) -> int:
        if post_id == 404:
            stage.count("missing")
            raise HTTPException(404, "no such post")
        return stage.count("read")

    router, app = APIRouter(dependencies=[Depends(guard)]), FastAPI()
    router.get("/{post_id}")(stage.endpoint(key_prefix="post")(read))
    app.include_router(router)
    site = stage.site(app)
    headers = {"x-user": "ann"}
    assert site.get("/1", headers=headers) == site.get("/1", headers=headers) == 1
    assert site.send("GET", "/1").status_code == 401
    for _ in range(2):
        assert site.send("GET", "/404", headers=headers).status_code == 404
    assert stage.counts == {"read": 1, "missing": 2}


def test_overrides_of_dependencies_reach_the_endpoint(stage: Stage) -> None:
    def read(request: Request, post_id: int, user: CurrentUser) -> str:
        return user.name

    app = FastAPI()
    app.get("/{post_id}")(stage.endpoint(key_prefix="post")(read))
    app.dependency_overrides[current_user] = lambda: User(name="tester")
    assert stage.site(app).get("/1") == "tester"


def test_the_schema_shows_the_endpoint_as_it_was_written(stage: Stage) -> None:
    def read(request: Request, post_id: int, page: int = 1) -> dict[str, int]:
        """Show a post."""
        return {}

    plain, cached = FastAPI(), FastAPI()
    plain.get("/{post_id}")(stage.coloured(read))
    cached.get("/{post_id}")(stage.endpoint(key_prefix="post")(read))
    assert cached.openapi() == plain.openapi()


def test_a_write_may_use_its_body_in_what_it_deletes(stage: Stage) -> None:
    def write(request: Request, user: User, note: Annotated[str, Body()]) -> str:
        user.name = "changed by the body"
        return note

    app = FastAPI()
    app.post("/")(
        stage.endpoint(key_prefix="users", to_invalidate_extra={"user_{user.name}": "{note}"})(
            write
        )
    )
    stage.cache.set("user_ann:x", 1)
    site = stage.site(app)
    assert site.write("POST", "/", json={"user": {"name": "ann"}, "note": "x"}) == "x"
    assert stage.cache.get("user_ann:x") is None


def test_a_row_that_was_deleted_is_a_404_and_not_its_old_answer(
    backend_url: str, is_async: bool
) -> None:
    clock = Clock()
    stage = Stage(Cache(patient(backend_url), clock=clock), is_async=is_async)
    rows = {1: "old"}
    status = [404]

    def read(request: Request, post_id: int) -> str:
        if post_id not in rows:
            raise HTTPException(status[0])
        return rows[post_id]

    site = site_of(stage, read, expiration=10, stale_if_error=60, jitter=0)
    assert site.get("/1") == "old"
    rows.clear()
    clock.advance(15)
    assert site.send("GET", "/1").status_code == 404
    status[0] = 503
    assert site.get("/1") == "old"
    stage.close()
