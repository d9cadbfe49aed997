"""Cached methods where frameworks want functions: routes, dependencies, class-based views."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from tests.endpoints.conftest import Stage


def service_of(stage: Stage) -> Any:
    """Make an object whose methods are cached in every way there is."""
    cache, body = stage.cache, stage.coloured

    def load(self: Any, q: str = "-") -> list[Any]:
        return [type(self).__name__, q, stage.count("load")]

    def of(cls: Any, q: str = "-") -> list[Any]:
        return [cls.__name__, q, stage.count("of")]

    def build(q: str = "-") -> list[Any]:
        return ["built", q, stage.count("build")]

    for function in (load, of, build):
        function.__qualname__ = f"Service.{function.__name__}"
        function.__annotations__ = {"q": str, "return": list[Any]}
    own: Any = cache(key="own:{q}")
    members: dict[str, Any] = {
        "load": own(body(load)),
        "of": classmethod(cache(key="of:{q}")(body(of))),
        "build": staticmethod(cache(key="build:{q}")(body(build))),
        "change": cache.invalidates("own:{q}")(body(load)),
    }
    return type("Service", (), members)()


def test_they_are_dependencies_and_endpoints(stage: Stage) -> None:
    app, service = FastAPI(), service_of(stage)
    for name in ("load", "of", "build"):
        method = getattr(service, name)

        def depending(value: Any = Depends(method)) -> Any:  # noqa: B008  local names
            return value

        app.get(f"/{name}")(method)
        app.get(f"/depends/{name}")(depending)
    site = stage.site(app)
    for name in ("load", "of", "build"):
        for path in (f"/{name}?q=a", f"/depends/{name}?q=a", f"/{name}?q=a"):
            answer = site.get(path)
            assert (answer[1], answer[2]) == ("a", 1)


def test_they_are_routes_of_starlette(stage: Stage) -> None:
    class Pages:
        @stage.cache.invalidates("home")
        async def home(self, request: Request) -> JSONResponse:
            return JSONResponse(request.url.path)

        @stage.cache(key="kept", condition=lambda *_: False)
        async def kept(self, request: Request) -> JSONResponse:
            return JSONResponse(request.url.path)

    pages = Pages()
    routes = [Route("/home", pages.home), Route("/kept", pages.kept)]
    site = stage.site(Starlette(routes=routes))
    assert (site.get("/home"), site.get("/kept")) == ("/home", "/kept")


def test_a_class_based_view_may_give_them_a_signature_of_its_own(stage: Stage) -> None:
    service = service_of(stage)
    handler = type(service).load
    seen = inspect.signature(handler)
    me, *others = seen.parameters.values()
    injected = me.replace(default=Depends(lambda: service), kind=me.KEYWORD_ONLY)
    others = [each.replace(kind=each.KEYWORD_ONLY) for each in others]
    handler.__signature__ = seen.replace(parameters=[injected, *others])
    app = FastAPI()
    app.get("/load")(handler)
    site = stage.site(app)
    assert site.get("/load?q=a") == site.get("/load?q=a") == ["Service", "a", 1]


def test_older_releases_of_fastapi_take_them_for_what_they_are(stage: Stage) -> None:
    def is_coroutine_callable(call: Any) -> bool:  # as fastapi 0.110 to 0.123 asks
        if inspect.isroutine(call):
            return inspect.iscoroutinefunction(call)
        if inspect.isclass(call):
            return False
        return inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004

    service = service_of(stage)
    for name in ("load", "of", "build", "change"):
        for method in (getattr(service, name), getattr(type(service), name)):
            assert is_coroutine_callable(method) is stage.is_async
