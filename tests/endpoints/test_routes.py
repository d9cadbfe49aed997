"""Which routes `lifespan` finds: mounted, included, of classes, of partials."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import Response
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute

from dualcache import Cache, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


def start(cache: Cache, app: Any) -> None:
    async def begin() -> None:
        async with cache.lifespan(app):
            pass

    asyncio.run(begin())


def reading(cache: Cache) -> Callable[..., Any]:
    @cache(key_prefix="post")
    def read(post_id: int) -> int:
        return post_id

    return read


def included(endpoint: Callable[..., Any]) -> Any:
    router, outer, app = APIRouter(prefix="/a"), APIRouter(prefix="/b"), FastAPI()
    router.delete("/{post_id}")(endpoint)
    outer.include_router(router)
    app.include_router(outer, prefix="/c")
    return app


def mounted(endpoint: Callable[..., Any]) -> Any:
    inner = Starlette(routes=[Route("/{post_id}", endpoint, methods=["DELETE"])])
    return Starlette(routes=[Mount("/a", routes=[Mount("/b", app=inner)])])


def hosted(endpoint: Callable[..., Any]) -> Any:
    inner = Router(routes=[Route("/a", functools.partial(endpoint), methods=["DELETE"])])
    return Starlette(routes=[Host("api.test", app=inner)])


@pytest.mark.parametrize(
    ("build", "path"),
    [(included, "/{post_id}"), (mounted, "/a/b/{post_id}"), (hosted, "/a")],
)
def test_a_read_under_a_method_that_writes_is_refused(
    cache: Cache, build: Callable[..., Any], path: str
) -> None:
    with pytest.raises(UsageError) as told:
        start(cache, build(reading(cache)))
    assert told.value.code == "DC405"
    assert "under DELETE " in str(told.value)
    assert path in str(told.value)
    assert "request" in str(told.value)
    assert "@cache.invalidates" in str(told.value)


def test_a_method_of_a_class_is_refused_where_it_writes(cache: Cache) -> None:
    class Posts(HTTPEndpoint):
        @cache(key_prefix="settings")
        async def post(self) -> Response:
            return Response()

    with pytest.raises(UsageError, match=r"DC405.*POST /posts"):
        start(cache, Starlette(routes=[Route("/posts", Posts)]))


def test_what_may_write_or_only_reads_is_let_pass(cache: Cache) -> None:
    app = FastAPI()

    @app.put("/{post_id}")
    @cache(key_prefix="post")
    def write(request: Request, post_id: int) -> None: ...

    @app.put("/users/{user_id}")
    @cache.invalidates("user:{user_id}")
    def update(user_id: int) -> None: ...

    async def socket(_: Any) -> None: ...

    app.get("/{post_id}")(reading(cache))
    app.router.routes.append(WebSocketRoute("/socket", socket))
    app.mount("/static", lambda *_: None)  # type: ignore[arg-type]
    start(cache, app)
    start(cache, object())
    start(Cache("memory://"), included(reading(cache)))
