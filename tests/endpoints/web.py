"""A real application behind a real client, without a socket: requests from plain test code."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import httpx

from tests.bodies import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

    from dualcache import Cache


class Site:
    """An ASGI application in an event loop of its own thread, and its client."""

    def __init__(self, app: Any, *caches: Cache) -> None:
        self._caches = caches
        transport = httpx.ASGITransport(app=app)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://test")
        self._begin()

    def _begin(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="site", daemon=True)
        self._thread.start()

    def start(self, method: str, path: str, **options: Any) -> Future[httpx.Response]:
        """Send a request and do not wait for its answer."""
        return self.submit(self._client.request(method, path, **options))

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.start(method, path, **options).result(WAIT_SECONDS)

    def get(self, path: str, **options: Any) -> Any:
        """Return the JSON of an answer that must be a 200."""
        answer = self.send("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def write(self, method: str, path: str, **options: Any) -> Any:
        """Return the JSON of the answer to a write that must succeed."""
        answer = self.send(method, path, **options)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    def submit(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        self.submit(self._close()).result(WAIT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()

    async def _close(self) -> None:
        await self._client.aclose()
        for cache in self._caches:
            await cache.aio.aclose()
        await self._loop.shutdown_default_executor()
