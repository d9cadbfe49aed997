"""One real WSGI server with threads, and a real client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import TYPE_CHECKING

import httpx
from werkzeug.serving import make_server

from tests.bodies import WAIT_SECONDS
from tests.integrations.flask.conftest import Shop
from tests.integrations.http.policies import parsed_status

if TYPE_CHECKING:
    from tests.servers import Server


def test_a_server_with_threads_runs_a_view_once_and_sends_304s(redis_server: Server) -> None:
    shop = Shop(redis_server.url, is_async=False)
    gate = shop.gate()

    @shop.app.get("/live/<int:number>")
    @shop.http(ttl=60)
    async def read(number: int) -> list[int]:
        await gate.passed()
        return [number, shop.count("body")]

    @shop.app.put("/live/<int:number>")
    @shop.http()
    async def write(number: int) -> list[int]:
        return [number]

    server = make_server("127.0.0.1", 0, shop.app, threaded=True)
    thread = Thread(target=server.serve_forever, name="server")
    thread.start()
    try:
        with (
            httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client,
            ThreadPoolExecutor(8) as threads,
        ):
            sent = [threads.submit(client.get, "/live/1") for _ in range(8)]
            gate.wait_until_entered()
            gate.open()
            answers = [each.result(WAIT_SECONDS) for each in sent]
            assert [each.json() for each in answers] == [[1, 1]] * 8
            known = {"If-None-Match": answers[0].headers["etag"]}
            again = client.get("/live/1", headers=known)
            assert (again.status_code, again.content) == (304, b"")
            assert parsed_status(again.headers["cache-status"])["hit"]
            head = client.head("/live/1")
            assert (head.content, head.headers["content-length"]) == (b"", "6")
            assert client.put("/live/1").json() == [1]
            assert client.get("/live/1", headers=known).json() == [1, 2]
    finally:
        server.shutdown()
        thread.join(WAIT_SECONDS)
        server.server_close()
        shop.close()
