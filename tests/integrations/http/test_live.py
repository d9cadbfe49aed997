"""Real workers, a real client, and a browser where the machine has one."""

from __future__ import annotations

import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import HTMLResponse, StreamingResponse

from dualcache import Cache
from tests.bodies import Gate
from tests.integrations.http.conftest import status_of
from tests.integrations.http.live import LiveServer
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.servers import Server

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
RELOADING = """<!doctype html><body><script>
const way = performance.getEntriesByType("navigation")[0].type;
document.body.append(`came by ${way}`);
if (way != "reload") onload = () => setTimeout(() => location.reload());
</script>"""
PRICES: dict[int, int] = {}
"""The source that all workers read."""


class Worker:
    """A process of its own as far as the cache goes: with its cache, its application, its port."""

    def __init__(self, url: str, **options: Any) -> None:
        self.cache = Cache(patient(url), **options)
        self.runs: list[str] = []
        self.gate = Gate(is_async=True)
        self.app = self._application()

    def _application(self) -> FastAPI:
        app = FastAPI(lifespan=self.cache.lifespan)

        @app.get("/prices/{number}")
        @self.cache.http(ttl=60)
        async def read(number: int) -> int:
            self.runs.append("read")
            return PRICES[number]

        @app.put("/prices/{number}")
        @self.cache.http()
        async def write(number: int, price: int) -> None:
            PRICES[number] = price

        @app.get("/stream")
        @self.cache.http(ttl=60)
        async def stream() -> StreamingResponse:
            return StreamingResponse(self._chunks())

        return app

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield b"first"
        await self.gate.passed()
        yield b"last"


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as made:
        yield made


@pytest.mark.parametrize("options", [{}, {"front": 100}], ids=["one tier", "front"])
def test_two_workers_share_responses_and_nobody_sees_an_old_price(
    redis_server: Server, client: httpx.Client, options: dict[str, Any]
) -> None:
    workers = [Worker(redis_server.url, **options) for _ in range(2)]
    PRICES[1] = 10
    with LiveServer(workers[0].app) as first, LiveServer(workers[1].app) as second:
        one, two = (client.get(f"{each.url}/prices/1") for each in (first, second))
        assert status_of(one) == {"fwd": "uri-miss", "stored": True}
        assert status_of(two)["hit"] is True
        assert one.headers["etag"] == two.headers["etag"]
        known = {"if-none-match": one.headers["etag"]}
        assert client.get(f"{second.url}/prices/1", headers=known).status_code == 304
        for price in range(11, 31):
            here, there = (first, second) if price % 2 else (second, first)
            assert client.put(f"{here.url}/prices/1", params={"price": price}).status_code == 200
            assert client.get(f"{here.url}/prices/1", headers=known).json() == price
            if not options:  # a front tier of another process follows within moments
                assert client.get(f"{there.url}/prices/1").json() == price


def test_a_stream_begins_with_its_first_chunk_and_is_not_stored(client: httpx.Client) -> None:
    worker = Worker("memory://")
    with LiveServer(worker.app) as server:
        for _ in range(2):
            worker.gate = Gate(is_async=True)
            with client.stream("GET", f"{server.url}/stream") as response:
                assert status_of(response) == {"fwd": "uri-miss", "detail": "stream"}
                chunks = response.iter_raw()
                assert next(chunks) == b"first"
                worker.gate.wait_until_entered()
                worker.gate.open()
                assert b"".join(chunks) == b"last"


def test_a_client_that_leaves_a_stream_ends_it(client: httpx.Client) -> None:
    worker = Worker("memory://")
    with LiveServer(worker.app) as server:
        with client.stream("GET", f"{server.url}/stream") as response:
            assert next(response.iter_raw()) == b"first"
            worker.gate.wait_until_entered()
        worker.gate.open()
        PRICES[1] = 10
        assert client.get(f"{server.url}/prices/1").status_code == 200


def test_a_response_on_the_wire_is_framed_as_it_should_be(client: httpx.Client) -> None:
    """Two requests on one connection: a 304 or a HEAD with a body would break the second."""
    worker = Worker("memory://")
    PRICES[1] = 10
    with LiveServer(worker.app) as server:
        tag = client.get(f"{server.url}/prices/1").headers["etag"]
        address = server.url.removeprefix("http://").split(":")
        with socket.create_connection((address[0], int(address[1])), timeout=30) as link:
            asked = f"GET /prices/1 HTTP/1.1\r\nhost: x\r\nif-none-match: {tag}\r\n"
            link.sendall(f"{asked}\r\n{asked}connection: close\r\n\r\n".encode())
            told = b"".join(iter(lambda: link.recv(65_536), b""))
    assert told.count(b"HTTP/1.1 304") == 2
    assert told.endswith(b"\r\n\r\n")


@pytest.mark.skipif(not BROWSER, reason="there is no Chromium on this machine")
def test_a_reload_of_a_browser_gets_a_304(tmp_path: Path) -> None:
    cache, app = Cache("memory://"), FastAPI()
    seen: list[int] = []

    @app.get("/")
    @cache.http(ttl=60)
    async def page() -> HTMLResponse:
        return HTMLResponse(RELOADING)

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start" and scope["path"] == "/":
                seen.append(message["status"])
            await send(message)

        await app(scope, receive, noting if scope["type"] == "http" else send)

    with LiveServer(watched) as server:
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
                   "--virtual-time-budget=5000", f"--user-data-dir={tmp_path}",
                   server.url]  # fmt: skip
        shown = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "came by reload" in shown.stdout, shown.stderr
    assert seen == [200, 304]
