"""Whole applications behind HTTP mode: as a mount, by a middleware, within each other."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from litestar import Litestar, get
from litestar.middleware import DefineMiddleware
from quart import Quart
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from dualcache import Cache, UsageError
from dualcache.http.application import is_asgi_application
from dualcache.integrations.asgi import HttpCache
from tests.integrations.http.conftest import status_of, statuses

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from tests.integrations.http.conftest import Shop

LARGE = b"x" * 300_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.txt").write_bytes(b"small")
    (tmp_path / "large.bin").write_bytes(LARGE)
    (tmp_path / "huge.bin").write_bytes(LARGE * 5)
    return tmp_path


def test_static_files_in_a_mount_are_kept(shop: Shop, folder: Path) -> None:
    files = shop.cache.http(ttl=60, client_ttl=30)(StaticFiles(directory=folder))
    site = shop.site(Starlette(routes=[Mount("/static", files)]))
    for name, body in (("small.txt", b"small"), ("large.bin", LARGE)):
        first, second = (site.send("GET", f"/static/{name}") for _ in range(2))
        assert (status_of(first)["fwd"], status_of(second)["hit"]) == ("uri-miss", True)
        assert first.content == second.content == body
        assert second.headers["cache-control"] == "private, max-age=30"
        since = {"if-modified-since": second.headers["last-modified"]}
        assert site.send("GET", f"/static/{name}", headers=since).status_code == 304
    head = site.send("HEAD", "/static/large.bin")
    assert (status_of(head)["hit"], head.headers["content-length"]) == (True, str(len(LARGE)))
    part = site.send("GET", "/static/large.bin", headers={"range": "bytes=0-2"})
    assert (part.status_code, part.content) == (206, b"xxx")
    for _ in range(2):  # too large to be held back until its end
        huge = site.send("GET", "/static/huge.bin")
        assert (status_of(huge)["detail"], huge.content) == ("stream", LARGE * 5)
    assert site.send("GET", "/static/none").status_code == 404
    assert shop.cache.invalidate(tags=["/static/small.txt"]).tags == 1
    assert statuses(site, "/static/small.txt") == ["uri-miss"]
    assert shop.cache.stats().templates["http:GET:/static"].hits >= 4


def counting(shop: Shop) -> Starlette:
    """An application that is not decorated: each of its responses counts its runs."""

    def count(request: Request) -> JSONResponse:
        return JSONResponse(shop.count(request.url.path))

    def stream(request: Request) -> StreamingResponse:
        body = (b"%d" % each for each in range(2))
        return StreamingResponse(
            body, headers={"content-length": "1"} if request.query_params else {}
        )

    methods = ["GET", "PUT"]
    paths = ("/a/1", "/a/off", "/b", "/a/tenant")
    routes = [Route(path, shop.coloured(count), methods=methods) for path in paths]
    return Starlette(routes=[*routes, Route("/a/stream", stream)])


def test_a_middleware_keeps_the_paths_that_it_names(shop: Shop) -> None:
    app = counting(shop)
    options = {"ttl": 60, "query": False, "vary": ["x-tenant"]}
    app.add_middleware(
        HttpCache, cache=shop.cache, paths={"/a/off": None, "/a/*": options}
    )  # fmt: skip
    site = shop.site(app)
    assert statuses(site, "/a/1", "/a/1", "/a/1?utm_source=x") == ["uri-miss", "hit", "hit"]
    assert statuses(site, "/a/tenant", "/a/tenant", headers={"x-tenant": "1"}) == [
        "uri-miss",
        "hit",
    ]
    assert statuses(site, "/a/tenant", headers={"x-tenant": "2"}) == ["uri-miss"]
    for path in ("/a/off", "/b"):
        for run in (1, 2):
            answer = site.send("GET", path)
            assert (answer.json(), "cache-status" in answer.headers) == (run, False)
    assert status_of(site.send("PUT", "/a/1")) == {"fwd": "method"}
    assert statuses(site, "/a/1") == ["uri-miss"]
    for path in ("/a/stream", "/a/stream?longer_than_declared=1"):
        assert status_of(site.send("GET", path))["detail"] == "stream"
    assert shop.cache.stats().templates["http:GET:/a/*"].loads == 6


def test_a_decorated_route_within_a_middleware_waits_for_nobody(shop: Shop) -> None:
    """Both have one key for a request: a load of the inner one would wait for the outer one."""
    app = FastAPI(lifespan=shop.cache.lifespan)

    @app.get("/")
    @shop.http(ttl=60, shared=True)
    def read() -> int:
        return shop.count("body")

    @app.put("/")
    @shop.http(invalidates=["other"])
    def write() -> None:
        shop.count("write")

    @app.get("/tasks")
    @shop.http(ttl=60)
    def tasks(tasks: BackgroundTasks) -> None:
        tasks.add_task(shop.count, "task")

    app.add_middleware(HttpCache, cache=shop.cache, paths={"*": {"ttl": 60}})
    site = shop.site(app)
    assert statuses(site, "/", "/") == ["uri-miss", "hit"]
    assert shop.counts == {"body": 1}
    bypassed = site.send("GET", "/", headers={"cookie": "a=b"})
    assert bypassed.json() == 1
    assert "dualcache; hit; ttl=60" in bypassed.headers["cache-status"]
    assert site.send("PUT", "/").status_code == 200
    assert statuses(site, "/") == ["uri-miss"]
    with pytest.warns(UserWarning, match="DC436"):
        assert status_of(site.send("GET", "/tasks"))["detail"] == "background"
    assert shop.counts == {"body": 2, "write": 1, "task": 1}


def test_litestar_takes_the_middleware(memory_shop: Shop) -> None:
    @get("/posts/{number:int}", sync_to_thread=False)
    def read() -> int:
        return memory_shop.count("body")

    options = {"ttl": 60, "vary": lambda request: request.headers.get("x-tenant", "")}
    middleware = DefineMiddleware(HttpCache, cache=memory_shop.cache, paths={"/posts/*": options})
    site = memory_shop.site(Litestar([read], middleware=[middleware]))
    assert statuses(site, "/posts/1", "/posts/1", "/posts/2") == ["uri-miss", "hit", "uri-miss"]
    tag = site.send("GET", "/posts/1").headers["etag"]
    known = site.send("GET", "/posts/1", headers={"if-none-match": tag})
    assert known.status_code == 304


@pytest.mark.of_asyncio
def test_an_application_of_quart_is_wrapped_in_place(memory_shop: Shop) -> None:
    app = Quart(__name__)

    @app.route("/posts/<int:number>", methods=["GET", "PUT"])
    async def read(number: int) -> dict[str, int]:
        return {"run": memory_shop.count("body")}

    app.asgi_app = memory_shop.cache.http(ttl=60)(app.asgi_app)  # type: ignore[method-assign]
    site = memory_shop.site(app)
    assert statuses(site, "/posts/1", "/posts/1") == ["uri-miss", "hit"]
    site.write("PUT", "/posts/1")
    assert statuses(site, "/posts/1") == ["uri-miss"]


def test_a_function_of_the_request_needs_a_framework_that_makes_one(
    memory_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("starlette.requests", "litestar"):
        monkeypatch.delitem(sys.modules, name)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    site = memory_shop.site(memory_shop.cache.http(vary=str)(app))
    with pytest.raises(UsageError, match="DC444"):
        site.send("GET", "/")


def test_an_application_is_told_from_an_endpoint() -> None:
    app = Starlette()
    assert is_asgi_application(app)
    assert is_asgi_application(Quart(__name__).asgi_app)
    assert not any(map(is_asgi_application, (Starlette, 5, print, "app", statuses)))
    assert Cache("memory://").http()(app).routes is app.routes


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"cache": None, "paths": {"/": {}}}, "DC438"),
        ({"paths": {}}, "DC438"),
        ({"paths": ["/static"]}, "DC438"),
        ({"paths": {"static/*": {}}}, "DC439"),
        ({"paths": {"/": 60}}, "DC439"),
        ({"paths": {"/": {"max_age": 60}}}, "DC151"),
    ],
)
def test_a_middleware_that_cannot_be_is_refused(options: dict[str, Any], code: str) -> None:
    given: dict[str, Any] = {"cache": Cache("memory://"), **options}
    with pytest.raises(UsageError) as caught:
        HttpCache(Starlette(), **given)
    assert caught.value.code == code
