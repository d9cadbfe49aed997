"""Applications of Litestar: responses and sessions in the cache, lifespans, decorated handlers."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from litestar import Litestar, Request, get, post, put
from litestar.di import NamedDependency  # noqa: TC002  Litestar reads the annotations
from litestar.middleware.session.server_side import ServerSideSessionConfig
from litestar.params import FromPath, FromQuery  # noqa: TC002  the same
from litestar.stores.memory import MemoryStore
from litestar.stores.registry import StoreRegistry
from litestar.testing import TestClient

from dualcache import Cache
from dualcache.integrations.litestar import DualCachePlugin, DualStore
from tests.colours import PATIENT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator


@dataclass
class Post:
    post_id: int
    run: int


@pytest.fixture
def cache(backend_url: str) -> Iterator[Cache]:
    """A cache that nothing but the application closes."""
    before = set(threading.enumerate())
    options: dict[str, Any] = dict(PATIENT) if backend_url.startswith("redis") else {}
    yield Cache(backend_url, namespace="shop", front=100, **options)
    left = [thread for thread in set(threading.enumerate()) - before if thread.is_alive()]
    assert not left, left


def served(cache: Cache, *handlers: Any, **options: Any) -> TestClient[Litestar]:
    plugins = [DualCachePlugin(cache)]
    return TestClient(Litestar([*handlers], plugins=plugins, logging_config=None, **options))


def test_responses_are_stored_and_can_be_deleted(cache: Cache) -> None:
    runs: list[int] = []

    @get("/posts/{post_id:int}", cache=60, sync_to_thread=False)
    def read(post_id: FromPath[int]) -> Post:
        runs.append(post_id)
        return Post(post_id, len(runs))

    # Litestar keeps the responses of all methods of a path of which one is cached.
    @put("/changed/{post_id:int}")
    async def write(request: Request[Any, Any, Any], post_id: FromPath[int]) -> None:
        await request.app.stores.get("response_cache").delete(f"GET/posts/{post_id}")

    with served(cache, read, write) as client:
        seen = [client.get(path).json()["run"] for path in ("/posts/1", "/posts/1", "/posts/2")]
        assert seen == [1, 1, 2]
        client.put("/changed/1")
        assert client.get("/posts/1").json() == {"post_id": 1, "run": 3}
        assert sorted(cache.keys()) == [
            "litestar:response_cache:GET/posts/1",
            "litestar:response_cache:GET/posts/2",
        ]


def test_sessions_live_in_the_cache(cache: Cache) -> None:
    @post("/basket/{item:str}", sync_to_thread=False)
    def add(request: Request[Any, Any, Any], item: FromPath[str]) -> list[str]:
        basket = [*request.session.get("basket", []), item]
        request.set_session({"basket": basket})
        return basket

    config = ServerSideSessionConfig(renew_on_access=True, max_age=60)
    with served(cache, add, middleware=[config.middleware]) as client:
        assert client.post("/basket/pen").json() == ["pen"]
        assert client.post("/basket/ink").json() == ["pen", "ink"]
        (name,) = cache.keys("litestar:sessions:*")
        cache.invalidate(name)
        assert client.post("/basket/cap").json() == ["cap"]


def test_handlers_can_be_decorated_and_get_the_cache(cache: Cache) -> None:
    runs: list[str] = []

    @get("/sync/{post_id:int}", sync_to_thread=False)
    @cache(ttl="5m", key_prefix="sync")
    def read_sync(post_id: FromPath[int]) -> Post:
        runs.append("sync")
        return Post(post_id, len(runs))

    @get("/async/{post_id:int}")
    @cache(ttl="5m", key="post:{post_id}:{page}", tags=["posts"])
    async def read_async(post_id: FromPath[int], page: FromQuery[int] = 1) -> Post:
        runs.append("async")
        return Post(post_id, len(runs))

    @put("/posts/{post_id:int}")
    @cache(key_prefix="sync", resource_id_name="post_id")
    async def write(
        request: Request[Any, Any, Any], post_id: FromPath[int], dualcache: NamedDependency[Cache]
    ) -> bool:
        assert dualcache is cache
        await dualcache.aio.invalidate(tags=["posts"])
        return True

    with served(cache, read_sync, read_async, write) as client:
        paths = ("/sync/1", "/async/1?page=2", "/async/1")
        for _ in range(2):
            assert [client.get(path).json()["run"] for path in paths] == [1, 2, 3]
        assert client.put("/posts/1").json() is True
        assert [client.get(path).json()["run"] for path in paths] == [4, 5, 6]
        assert client.get("/async/x").status_code == 404
        assert "/async/{post_id}" in client.get("/schema/openapi.json").json()["paths"]


def test_lifespans_of_the_program_run_within_that_of_the_cache(cache: Cache) -> None:
    seen: list[object] = []

    @asynccontextmanager
    async def own(app: Litestar) -> AsyncGenerator[None]:
        await cache.aio.set("own", 1)
        yield
        seen.append((await cache.aio.get("own"), app.state["dualcache"] is cache))

    with served(cache, lifespan=[own]):
        pass
    assert seen == [(1, True)]


def test_a_cached_read_under_a_method_that_writes_is_refused_at_the_start(cache: Cache) -> None:
    @post("/posts/{post_id:int}", sync_to_thread=False)
    @cache(key_prefix="post")
    def read(post_id: FromPath[int]) -> Post:
        return Post(post_id, 0)

    with pytest.raises(Exception) as caught, served(cache, read):
        pass
    assert "DC405" in str(innermost(caught.value))


def innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def test_stores_that_the_program_registers_stay_its_own(cache: Cache) -> None:
    own, plugin = MemoryStore(), DualCachePlugin(cache, "web")
    app = Litestar(plugins=[plugin], stores={"sessions": own}, logging_config=None)
    assert app.stores.get("sessions") is own
    other = app.stores.get("other")
    assert isinstance(other, DualStore)
    assert other.namespace == "web:other"
    registry = StoreRegistry()
    app = Litestar(plugins=[plugin], stores=registry, logging_config=None)
    assert app.stores is registry
    assert isinstance(registry.get("sessions"), MemoryStore)
