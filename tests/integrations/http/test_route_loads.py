"""The loads of a route: counted under its template, in both colours, wherever the cache lives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request  # noqa: TC002  FastAPI reads the annotation
from starlette.responses import JSONResponse
from starlette.routing import Route

from dualcache import Cache
from dualcache.http.loads import RouteLoads
from dualcache.http.stored import StoredResponse
from tests.integrations.http.conftest import statuses
from tests.integrations.http.policies import policy

if TYPE_CHECKING:
    from tests.integrations.http.conftest import Shop

RESPONSE = StoredResponse(200, [(b"etag", b'"a"')], b"body", 5)


def test_the_counters_of_a_route_stand_under_its_template(shop: Shop) -> None:
    app, posts = FastAPI(), APIRouter(prefix="/posts")

    @shop.http(ttl=60)
    def read(number: int) -> int:
        return number

    posts.get("/{number}")(read)
    app.get("/first/{number}")(read)
    app.include_router(posts, prefix="/v1")

    @app.get("/price/{number}")
    @shop.http(ttl=60, key="price:{number}")
    def price(number: int) -> int:
        return number

    @app.put("/stock/{number}")
    @shop.http()
    def write(number: int) -> None:
        pass

    site = shop.site(app)
    site.write("PUT", "/stock/1")
    statuses(site, "/v1/posts/1", "/v1/posts/1", "/v1/posts/2", "/first/1", "/price/1", "/price/1")
    told = shop.cache.stats().templates
    assert {label: (each.hits, each.misses, each.loads) for label, each in told.items()} == {
        "direct": (0, 0, 0),
        "http:GET:/v1/posts/{number}": (1, 2, 2),
        "http:GET:/first/{number}": (0, 1, 1),
        "http:GET:price:{number}": (1, 1, 1),
    }


def test_a_route_of_starlette_has_its_template_too(shop: Shop) -> None:
    @shop.http(ttl=60)
    def read(request: Request) -> JSONResponse:
        return JSONResponse(1)

    site = shop.site(Starlette(routes=[Route("/posts/{number}", read)]))
    statuses(site, "/posts/1", "/posts/1")
    assert shop.cache.stats().templates["http:GET:/posts/{number}"].hits == 1


@pytest.mark.parametrize("options", [{}, {"front": 10}, {"codec": "json"}], ids=str)
def test_both_colours_read_what_either_has_stored(options: dict[str, int | str]) -> None:
    cache = Cache("memory://", **options)  # type: ignore[arg-type]  # of several kinds
    loads = RouteLoads(cache._runtime, policy(), "http:GET:/")

    async def response() -> StoredResponse:
        return RESPONSE

    assert loads.find("a") is None
    assert loads.load("a", ["tag"], lambda: RESPONSE) == RESPONSE
    assert asyncio.run(loads.afind("a")) == RESPONSE
    assert asyncio.run(loads.aload("b", (), response)) == RESPONSE
    assert loads.load("b", (), pytest.fail) == RESPONSE
    assert cache.invalidate(tags=["tag"]).tags == 1
    assert loads.find("a") is None
    assert (loads.counters.loads, loads.counters.misses) == (2, 4)


def test_a_route_follows_its_cache_elsewhere_and_is_off_with_it() -> None:
    cache = Cache("memory://")
    loads = RouteLoads(cache._runtime, policy(), "http:GET:/")
    loads.load("a", (), lambda: RESPONSE)
    with cache.override("memory://"):
        assert loads.find("a") is None
        loads.load("a", (), lambda: RESPONSE)
    with cache.disabled():
        assert loads.find("a") is None
        loads.load("a", (), lambda: RESPONSE)
    assert loads.find("a") == RESPONSE
    assert loads.counters.loads == 2
