"""A dashboard and its visitor, without a socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dualcache import Cache
from dualcache.dashboard import Dashboard
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server


class Visitor:
    """A browser at this machine, as far as requests go: it keeps cookies, and says where it is."""

    def __init__(
        self, app: Any, *, host: str = "localhost:8700", client: str = "127.0.0.1"
    ) -> None:
        self._app = app
        self._base = f"http://{host}"
        self._client = client
        self.cookies = httpx.Cookies()
        self.headers: dict[str, str] = {}

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.send("GET", path, **options)

    def json(self, path: str, **query: str) -> Any:
        answer = self.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def enter(self) -> None:
        """Get a token, and send it from now on as the page does."""
        token = self.json("/api/session")["token"]
        self.headers |= {"x-csrf-token": token, "origin": self._base}

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return self.send("POST", path, json=body, **options)

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._send(method, path, options))

    async def _send(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app, client=(self._client, 5000))
        headers = {**self.headers, **options.pop("headers", {})}
        async with httpx.AsyncClient(
            transport=transport, base_url=self._base, cookies=self.cookies, headers=headers
        ) as client:
            answer = await client.request(method, path, **options)
            self.cookies = client.cookies
            return answer


@pytest.fixture
def shop(redis_server: Server) -> Iterator[Cache]:
    with Cache(patient(redis_server.url), namespace="shop") as cache:
        yield cache


@pytest.fixture
def dashboard(shop: Cache) -> Iterator[Dashboard]:
    """It may write, and shows no values. Nothing is sampled by itself."""
    made = Dashboard(shop, can_write=True, every=3600)
    yield made
    made.close()


@pytest.fixture
def visitor(dashboard: Dashboard) -> Visitor:
    return Visitor(dashboard)
