"""Django, Quart, Litestar and aiohttp, each as it is, where it is installed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, StaleHit
from tests.behaviour.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


@pytest.fixture
def cache() -> Iterator[Cache]:
    made = Cache("memory://")
    yield made
    made.close()


def real(name: str) -> ModuleType:
    module: ModuleType = pytest.importorskip(name, reason=f"{name} is not installed here")
    return module


async def in_django(cache: Cache) -> tuple[list[Any], list[str]]:
    """Serve two views that hand their request to cached functions."""
    settings = real("django.conf").settings
    if not settings.configured:  # the tests of Django's cache configure it, too
        settings.configure(SECRET_KEY="x")
        real("django").setup()
    from django.http import HttpRequest, JsonResponse  # type: ignore[import-not-found,unused-ignore]
    from django.test import (  # type: ignore[import-not-found,unused-ignore]
        AsyncClient,
        override_settings,
    )
    from django.urls import path  # type: ignore[import-not-found,unused-ignore]

    ran: list[str] = []

    def post(request: Any, post_id: int) -> list[Any]:
        ran.append("post")
        return [post_id, request.GET.get("page")]

    post.__annotations__["request"] = HttpRequest
    cached = cache(key_prefix="post")(post)
    urlpatterns.append(
        path("<int:post_id>", lambda *a, **k: JsonResponse(cached(*a, **k), safe=False))
    )
    client = AsyncClient()
    urls = ("/1", "/1?page=2", "/2", "/1?page=2")
    with override_settings(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__):
        seen = [(await client.get(url)).json() for url in urls]
        await client.put("/1")
        seen.append((await client.get("/1?page=2")).json())
    urlpatterns.clear()
    return seen, ran


urlpatterns: list[Any] = []


async def in_quart(cache: Cache) -> tuple[list[Any], list[str]]:
    """Serve a view whose request is in Quart's context."""
    quart = real("quart")
    app, ran = quart.Quart(__name__), list[str]()

    async def post(post_id: int) -> list[Any]:
        ran.append("post")
        return [post_id, quart.request.args.get("page")]

    app.route("/<int:post_id>", methods=["GET", "PUT"])(cache(key_prefix="post")(post))
    client = app.test_client()
    urls = ("/1", "/1?page=2", "/2", "/1?page=2")
    seen = [await (await client.get(url)).get_json() for url in urls]
    await client.put("/1")
    seen.append(await (await client.get("/1?page=2")).get_json())
    return seen, ran


async def in_aiohttp(cache: Cache) -> tuple[list[Any], list[str]]:
    """Serve a handler whose request has both query and path."""
    web = real("aiohttp.web")
    from aiohttp.test_utils import (  # type: ignore[import-not-found,unused-ignore]
        TestClient,
        TestServer,
    )

    app, ran = web.Application(), list[str]()

    async def post(request: Any) -> list[Any]:
        ran.append("post")
        return [int(request.match_info["n"]), request.query.get("page")]

    post.__annotations__["request"] = web.Request
    cached = cache(key_prefix="post")(post)

    async def handler(request: Any) -> Any:
        return web.json_response(await cached(request))

    app.router.add_route("*", "/{n}", handler)
    async with TestClient(TestServer(app)) as client:
        urls = ("/1", "/1?page=2", "/2", "/1?page=2")
        seen = [await (await client.get(url)).json() for url in urls]
        await client.put("/1")
        seen.append(await (await client.get("/1?page=2")).json())
    return seen, ran


@pytest.mark.parametrize("serve", [in_django, in_quart, in_aiohttp])
def test_query_and_path_count_and_the_method_decides(cache: Cache, serve: Any) -> None:
    seen, ran = asyncio.run(serve(cache))
    assert seen == [[1, None], [1, "2"], [2, None], [1, "2"], [1, "2"]]
    assert len(ran) == 5


def test_litestar_binds_the_query_so_that_it_is_not_counted_twice(cache: Cache) -> None:
    litestar, ran = real("litestar"), list[int]()

    async def items(request: Any, page: int = 1) -> dict[str, int]:
        ran.append(page)
        return {"page": page}

    items.__annotations__["request"] = litestar.Request
    cached = cache(key_prefix="items")(items)
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"utm=1", "headers": []}
    assert cached.key_for(litestar.Request(scope)) == "items:global:page=1"


def test_djangos_404_is_no_outage(cache: Cache) -> None:
    missing = real("django.http").Http404
    cache = Cache("memory://", stale_if_error=60, ttl=0.001)
    seen, rows = Seen(cache), {1: "old"}

    @cache(key="row:{n}")
    def row(n: int) -> str:
        if n not in rows:
            raise missing
        return rows[n]

    assert row(1) == "old"
    rows.clear()
    while cache.contains("row:1"):
        pass
    with pytest.raises(missing):
        row(1)
    assert seen.count(StaleHit) == 0
