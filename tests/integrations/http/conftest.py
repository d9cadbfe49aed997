"""Fixtures: an application behind HTTP mode, endpoints in both colours, and a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache
from tests.endpoints.conftest import Stage, is_async
from tests.endpoints.web import Site
from tests.integrations.http.policies import parsed_status
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

__all__ = ["is_async"]


class Shop(Stage):
    """A cache whose clock the test moves, and applications behind it."""

    def __init__(self, url: str, *, is_async: bool) -> None:
        self.now = 1_000_000.0
        super().__init__(Cache(patient(url), clock=lambda: self.now), is_async=is_async)

    def http(self, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Recolour an endpoint and put it behind HTTP mode."""
        return lambda body: self.cache.http(**options)(self.coloured(body))


def status_of(response: httpx.Response) -> dict[str, Any]:
    """Return what `Cache-Status` tells."""
    return parsed_status(response.headers["cache-status"])


def statuses(site: Site, *paths: str, **options: Any) -> list[str]:
    """Send GETs; tell of each whether it was a hit, or why not."""
    found: list[str] = []
    for path in paths:
        told = status_of(site.send("GET", path, **options))
        found.append("hit" if told.get("hit") else str(told["fwd"]))
    return found


@pytest.fixture
def site_type(request: pytest.FixtureRequest) -> type[Site]:
    """Where applications run: under trio with `--on-trio`, else under asyncio."""
    if not request.config.getoption("--on-trio"):
        return Site
    from tests.endpoints.trio_web import TrioSite

    return TrioSite


@pytest.fixture
def shop(backend_url: str, is_async: bool, site_type: type[Site]) -> Iterator[Shop]:
    made = Shop(backend_url, is_async=is_async)
    made.site_type = site_type
    yield made
    made.close()


@pytest.fixture
def memory_shop(site_type: type[Site]) -> Iterator[Shop]:
    """For what neither the backend nor the colour of an endpoint changes."""
    made = Shop("memory://", is_async=True)
    made.site_type = site_type
    yield made
    made.close()
