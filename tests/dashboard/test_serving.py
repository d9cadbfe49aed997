"""The server of `dualcache dashboard`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import httpx

from dualcache.cli.serving import Server
from dualcache.dashboard import Dashboard
from tests.bodies import WAIT_SECONDS
from tests.ports import free_port

if TYPE_CHECKING:
    import socket

    from dualcache import Cache


class Listening(Server):
    """One that says when it listens."""

    def __init__(self, app: Dashboard, port: int) -> None:
        super().__init__(app, "127.0.0.1", port)
        self.listens = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


def test_an_open_page_does_not_hold_up_the_end(shop: Cache) -> None:
    server = Listening(Dashboard(shop, every=0.05, stream_seconds=3600), free_port())
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert server.listens.wait(WAIT_SECONDS)
    url = f"http://127.0.0.1:{server.config.port}/api/stream"
    with httpx.stream("GET", url, timeout=WAIT_SECONDS) as answer:
        chunks = answer.iter_text()
        assert next(chunks).startswith("retry")
        server.should_exit = True
        assert all(chunks)  # the stream ends
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()
