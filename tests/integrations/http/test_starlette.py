"""HTTP mode on endpoints of Starlette: functions, classes, mounts, and HEAD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from tests.integrations.http.conftest import status_of, statuses

if TYPE_CHECKING:
    from starlette.requests import Request

    from tests.integrations.http.conftest import Shop


def test_a_function_is_behind_it_at_once_under_a_mount_too(shop: Shop) -> None:
    @shop.http(ttl=60)
    def read(request: Request) -> JSONResponse:
        return JSONResponse([request.path_params["number"], shop.count("body")])

    route = Route("/{number:int}", read)
    site = shop.site(Starlette(routes=[route, Mount("/sub", routes=[route])]))
    assert [site.get("/1"), site.get("/1"), site.get("/sub/1")] == [[1, 1], [1, 1], [1, 2]]
    assert statuses(site, "/1", "/sub/1", "/2") == ["hit", "hit", "uri-miss"]


def test_methods_of_a_class_read_and_invalidate(shop: Shop) -> None:
    class Posts(HTTPEndpoint):
        @shop.http(ttl=60)
        def get(self, request: Request) -> JSONResponse:  # noqa: ARG002
            return JSONResponse(shop.count("body"))

        @shop.http()
        def put(self, request: Request) -> JSONResponse:
            if "fails" in request.query_params:
                raise HTTPException(409)
            return JSONResponse(0, 201)

    site = shop.site(Starlette(routes=[Route("/{post_id}", Posts)]))
    assert [site.get("/1"), site.get("/1")] == [1, 1]
    assert site.send("PUT", "/1?fails=1").status_code == 409
    assert site.get("/1") == 1
    assert status_of(site.send("PUT", "/1")) == {"fwd": "method"}
    assert [site.get("/1"), site.get("/1")] == [2, 2]


def test_a_head_is_answered_from_a_get_and_stores_nothing_itself(shop: Shop) -> None:
    @shop.http(ttl=60)
    def read(request: Request) -> JSONResponse:
        shop.count(request.method)
        return JSONResponse("hello")

    site = shop.site(Starlette(routes=[Route("/", read)]))
    assert status_of(site.send("HEAD", "/")) == {"fwd": "uri-miss"}
    got = site.send("GET", "/")
    head = site.send("HEAD", "/")
    assert shop.counts == {"HEAD": 1, "GET": 1}
    assert status_of(head) == {"hit": True, "ttl": 60}
    assert (head.content, head.headers["content-length"]) == (b"", "7")
    assert head.headers["etag"] == got.headers["etag"]


def test_a_background_task_of_a_response_keeps_it_out(shop: Shop) -> None:
    @shop.http(ttl=60)
    def read(request: Request) -> JSONResponse:
        return JSONResponse(1, background=BackgroundTask(shop.count, "task"))

    site = shop.site(Starlette(routes=[Route("/", read)]))
    with pytest.warns(UserWarning, match="DC436"):
        site.get("/")
    assert statuses(site, "/") == ["uri-miss"]
    assert shop.counts == {"task": 2}


def test_handlers_of_the_application_make_the_response_of_an_exception(shop: Shop) -> None:
    @shop.http(ttl=60, statuses=[410])
    def read(request: Request) -> JSONResponse:
        raise HTTPException(410, str(shop.count("body")))

    def gone(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse([str(error)], 410)

    app = Starlette(routes=[Route("/", read)], exception_handlers={HTTPException: gone})
    site = shop.site(app)
    assert [site.send("GET", "/").json() for _ in range(2)] == [["410: 1"]] * 2
