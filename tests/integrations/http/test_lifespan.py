"""The lifespan of a cache, around one of the program, and the cache as a dependency."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, Request

from dualcache import Cache, UsageError
from dualcache.integrations.fastapi import CacheDep  # noqa: TC001  FastAPI reads the annotation

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.integrations.http.conftest import Shop


BENEATH = FastAPI()
BENEATHS_CACHE = Cache("memory://")


@BENEATHS_CACHE.http(ttl=60)
@BENEATH.get("/")
def beneath() -> int:
    return 1


class Running:
    """An application between its start and its end."""

    def __init__(self, shop: Shop, app: FastAPI, context: Any = None) -> None:
        self._site = shop.site(app)
        self._context = context or app.router.lifespan_context(app)

    def __enter__(self) -> Any:
        self.state = self._site.submit(self._context.__aenter__()).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._site.submit(self._context.__aexit__(None, None, None)).result(30)

    def get(self, path: str) -> Any:
        return self._site.get(path)


def test_a_lifespan_of_the_program_runs_within_that_of_the_cache(shop: Shop) -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncGenerator[dict[str, int]]:
        await shop.cache.aio.set("greeting", "hello")
        steps.append("began")
        yield {"number": 5}
        steps.append(str(await shop.cache.aio.get("greeting")))

    app = FastAPI(lifespan=shop.cache.lifespan(wrap=own))
    with Running(shop, app) as running:
        assert running.state == {"number": 5}
        assert steps == ["began"]
    assert steps == ["began", "hello"]


def test_an_endpoint_takes_the_cache_of_its_application(shop: Shop) -> None:
    app, sub = FastAPI(lifespan=shop.cache.lifespan), FastAPI()

    @app.get("/")
    @sub.get("/")
    async def read(cache: CacheDep, request: Request) -> bool:
        return cache is shop.cache

    app.mount("/sub", sub)
    with Running(shop, app) as running:
        assert running.get("/")
        assert running.get("/sub/")


def test_without_a_lifespan_the_cache_is_named_by_the_program(shop: Shop) -> None:
    app = FastAPI()

    @app.get("/")
    async def read(cache: CacheDep) -> bool:
        return cache is shop.cache

    site = shop.site(app)
    with pytest.raises(UsageError) as caught:
        site.get("/")
    assert caught.value.code == "DC437"
    app.state.dualcache = shop.cache
    assert site.get("/")


def test_the_first_of_two_caches_is_the_applications(shop: Shop) -> None:
    other = Cache("memory://")
    app = FastAPI(lifespan=shop.cache.lifespan(wrap=other.lifespan))

    @app.get("/")
    async def read(cache: CacheDep) -> bool:
        return cache is shop.cache

    with Running(shop, app) as running:
        assert running.get("/")


def test_a_route_that_is_registered_beneath_the_decorator_is_told(memory_shop: Shop) -> None:
    with (
        pytest.warns(UserWarning, match="DC413"),
        Running(memory_shop, BENEATH, BENEATHS_CACHE.lifespan(BENEATH)) as running,
    ):
        assert running.get("/") == 1
