"""Fixtures: an application with a cache, endpoints in both colours, and a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache
from tests.bodies import Gate, recoloured
from tests.endpoints.web import Site
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import Server


class Stage:
    """A cache, the applications that use it, and the server behind it."""

    site_type: type[Site] = Site

    def __init__(self, cache: Cache, *, is_async: bool) -> None:
        self.cache = cache
        self.is_async = is_async
        self.counts: dict[str, int] = {}
        self._sites: list[Site] = []
        self._gates: list[Gate] = []

    def endpoint(self, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Recolour a body and decorate it."""

        def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
            decorated: Callable[..., Any] = self.cache(**options)(self.coloured(body))
            return decorated

        return decorate

    def coloured(self, body: Callable[..., Any]) -> Callable[..., Any]:
        return recoloured(body, is_async=self.is_async, yields=True)

    def site(self, app: Any) -> Site:
        site = self.site_type(app, self.cache)
        self._sites.append(site)
        return site

    def gate(self) -> Gate:
        gate = Gate(is_async=self.is_async)
        self._gates.append(gate)
        return gate

    def count(self, name: str) -> int:
        """Count one run of a body; return how many there were."""
        self.counts[name] = self.counts.get(name, 0) + 1
        return self.counts[name]

    def close(self) -> None:
        for gate in self._gates:
            gate.open()
        for site in self._sites:
            site.close()
        self.cache.close()


@pytest.fixture(params=["def", "async def"])
def is_async(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "async def")


@pytest.fixture
def stage(backend_url: str, is_async: bool) -> Iterator[Stage]:
    """Both colours on memory and on a server."""
    made = Stage(Cache(patient(backend_url)), is_async=is_async)
    yield made
    made.close()


@pytest.fixture
def redis_stage(redis_server: Server, is_async: bool) -> Iterator[Stage]:
    """Both colours on a server, whose keys can be looked at."""
    made = Stage(Cache(patient(redis_server.url)), is_async=is_async)
    yield made
    made.close()


@pytest.fixture
def cache() -> Iterator[Cache]:
    made = Cache("memory://")
    yield made
    made.close()


def keys_of(server: Server) -> set[str]:
    """Name the users' keys that a server holds, without the cache's own."""
    return {key.decode() for key in server.cli("KEYS", "*") if not key.startswith(b"~")}
