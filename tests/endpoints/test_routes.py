"""Which routes `lifespan` finds: mounted, included, of classes, of partials."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Annotated, Any
from unittest.mock import MagicMock, Mock

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import Response
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute

from dualcache import Cache, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.endpoints.conftest import Stage


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


def passed_on(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def outer(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return outer


def as_template(cache: Cache) -> Callable[..., Any]:
    @cache(ttl=60, key="post:{post_id}")
    def read(post_id: int) -> int:
        return post_id

    return read


def bare(cache: Cache) -> Callable[..., Any]:
    @cache
    async def read(post_id: int) -> int:
        return post_id

    return read


def under_a_decorator(cache: Cache) -> Callable[..., Any]:
    return passed_on(as_template(cache))


def over_a_decorator(cache: Cache) -> Callable[..., Any]:
    def read(post_id: int) -> int:
        return post_id

    decorated: Callable[..., Any] = cache(key="post:{post_id}")(passed_on(read))
    return decorated


def of_a_method(cache: Cache) -> Callable[..., Any]:
    class Posts:
        @cache(key="post:{post_id}")
        def read(self, post_id: int) -> int:
            return post_id

    bound: Callable[..., Any] = Posts().read
    return bound


def under_an_invalidation(cache: Cache) -> Callable[..., Any]:
    decorated: Callable[..., Any] = cache.invalidates("feed")(as_template(cache))
    return decorated


@pytest.mark.parametrize(
    "make",
    [as_template, bare, under_a_decorator, over_a_decorator, of_a_method, under_an_invalidation],
)
@pytest.mark.parametrize("build", [included, mounted])
def test_every_cached_function_under_a_method_that_writes_is_refused(
    cache: Cache, make: Callable[..., Any], build: Callable[..., Any]
) -> None:
    with pytest.raises(UsageError, match=r"DC405.*read\(\) writes under DELETE"):
        start(cache, build(make(cache)))


def test_a_function_that_is_cached_elsewhere_may_answer_a_write_itself(cache: Cache) -> None:
    def report(post_id: int) -> int:
        return post_id

    cache(ttl=60)(report)
    start(cache, included(report))


def test_a_cached_dependency_of_a_write_is_let_pass(cache: Cache) -> None:
    app, load = FastAPI(), as_template(cache)

    @app.delete("/{post_id}")
    def write(post: Annotated[int, Depends(load)]) -> int:
        return post

    start(cache, app)


def test_a_cached_answer_to_a_write_is_warned_of_at_its_first_call(stage: Stage) -> None:
    def put(request: Request, post_id: int) -> int:
        return stage.count("put")

    app = FastAPI()
    app.put("/{post_id}")(stage.endpoint(key="post:{post_id}")(put))
    site = stage.site(app)
    with pytest.warns(UserWarning, match=r"DC405.*put\(\) answers a PUT") as told:
        assert site.write("PUT", "/1") == 1
    assert len(told) == 1
    assert site.write("PUT", "/1") == 1


def test_a_cached_helper_of_a_write_is_not_warned_of(stage: Stage) -> None:
    def user(request: Request, name: str) -> str:
        return name

    cached = stage.endpoint(key="user:{name}")(user)

    async def put(request: Request, name: str) -> str:
        result = cached(request, name)
        return str(await result if stage.is_async else result)

    app = FastAPI()
    app.put("/{name}")(put)
    assert stage.site(app).write("PUT", "/ann") == "ann"


def test_a_request_that_does_not_say_whose_it_is_is_warned_of(cache: Cache) -> None:
    @cache(key="post:{post_id}")
    def put(request: Request, post_id: int) -> int:
        return post_id

    with pytest.warns(UserWarning, match="DC405"):
        put(Request({"type": "http", "method": "PUT", "path": "/", "headers": []}), 1)


ABOVE = ["cache", "cache(ttl=60)", 'cache(key_prefix="item")', 'cache.invalidates("{item_id}")']


def written(cache: Cache, text: str) -> Any:
    """Return an application whose one module has this text."""
    names = {
        "__name__": "written",
        "cache": cache,
        "app": FastAPI(),
        "passed_on": passed_on,
    }
    exec(text, names)
    return names["app"]


@pytest.mark.parametrize("decorator", ABOVE)
@pytest.mark.parametrize("word", ["def", "async def"])
@pytest.mark.parametrize(
    ("above", "beneath"), [("", ""), ("@passed_on\n", ""), ("", "@passed_on\n")]
)
def test_a_cache_above_the_route_decorator_is_warned_of(
    cache: Cache, decorator: str, word: str, above: str, beneath: str
) -> None:
    text = f"{above}@{decorator}\n@app.put('/{{item_id}}')\n{beneath}"
    outer = FastAPI()
    outer.mount("/items", written(cache, f"{text}{word} item(item_id: int) -> int: return 1"))
    with pytest.warns(UserWarning, match="DC413") as told:
        start(cache, outer)
    (only,) = told
    assert str(only.message) == (
        "[DC413] PUT /items/{item_id} does not use the cache: item() has the cache's decorator "
        "above the route's; write the cache's decorator below the route's"
    )


@pytest.mark.parametrize(
    "text",
    [
        "@app.get('/{item_id}')\n@cache\ndef item(item_id: int) -> int: return 1",
        "@app.get('/{item_id}')\n@passed_on\n@cache\ndef item(item_id: int) -> int: return 1",
        "@app.get('/{item_id}')\ndef item(item_id: int) -> int: return 1\ncached = cache(item)",
        "@cache\n@app.get('/raw')\ndef item() -> int: return 1\napp.get('/cached')(item)",
        "@cache\ndef item() -> int: return 1\n@app.get('/')\ndef read() -> int: return item()",
        "app.get('/')(lambda: 1)",
        "@app.get('/')\ndef item() -> int: return 1\ndel item",
    ],
)
def test_a_route_whose_function_is_cached_otherwise_is_not_warned_of(
    cache: Cache, text: str
) -> None:
    start(cache, written(cache, text))


def test_a_function_of_another_cache_is_not_warned_of(cache: Cache) -> None:
    other = Cache("memory://")
    text = "@cache\n@app.get('/')\ndef item() -> int: return 1"
    start(other, written(cache, text))


def test_an_application_that_is_a_mock_is_let_pass(cache: Cache) -> None:
    full = Mock(routes=[Mock(endpoint=Mock(), path="/", methods={"PUT"})])
    for app in (Mock(), full, MagicMock()):
        start(cache, app)
