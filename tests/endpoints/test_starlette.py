"""Starlette alone, where the request is all that an endpoint gets; and Starlette's classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from tests.endpoints.conftest import Stage


def test_a_request_is_told_by_what_it_holds_where_its_annotation_is_not_there(stage: Stage) -> None:
    runs: list[str] = []

    @stage.cache(key_prefix="countries")
    async def countries(request: Request) -> list[str]:
        runs.append(request.method)
        return ["ch", str(len(runs))]

    async def endpoint(request: Request) -> JSONResponse:
        return JSONResponse(await countries(request))

    app = Starlette(routes=[Route("/", endpoint, methods=["GET", "PUT"])])
    site = stage.site(app)
    assert [site.get("/"), site.get("/")] == [["ch", "1"]] * 2
    assert site.write("PUT", "/") == ["ch", "2"]
    assert site.get("/") == ["ch", "3"]
    assert runs == ["GET", "PUT", "GET"]


def test_a_method_of_a_class_is_an_endpoint_too(stage: Stage) -> None:
    runs: list[Any] = []

    class Posts(HTTPEndpoint):
        async def get(self, request: Request) -> JSONResponse:
            return JSONResponse(await self.read(request, request.path_params["post_id"]))

        async def put(self, request: Request) -> JSONResponse:
            return JSONResponse(await self.write(request, request.path_params["post_id"]))

        @stage.cache(key_prefix="post")
        async def read(self, request: Request, post_id: int) -> int:  # noqa: ARG002
            runs.append(post_id)
            return len(runs)

        @stage.cache(key_prefix="post")
        async def write(self, request: Request, post_id: int) -> str:  # noqa: ARG002
            return "written"

    site = stage.site(Starlette(routes=[Route("/{post_id:int}", Posts)]))
    assert [site.get("/5"), site.get("/5"), site.get("/6")] == [1, 1, 2]
    assert site.write("PUT", "/5") == "written"
    assert [site.get("/5"), site.get("/6")] == [3, 2]


def test_the_answer_of_a_starlette_endpoint_itself_is_not_stored(stage: Stage) -> None:
    runs: list[int] = []

    @stage.cache(key_prefix="countries")
    async def countries(request: Request) -> JSONResponse:
        runs.append(1)
        return JSONResponse(len(runs))

    site = stage.site(Starlette(routes=[Route("/", countries)]))
    assert [site.get("/"), site.get("/")] == [1, 2]
