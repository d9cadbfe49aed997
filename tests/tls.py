"""A TLS link to a server that speaks none: it ends TLS and passes the bytes on."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tests.bodies import WAIT_SECONDS
from tests.servers import HOST

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

CERTIFICATES: Final = Path(__file__).parent / "certificates"
AUTHORITY: Final = CERTIFICATES / "authority.pem"
"""Signed the certificate of the link, which is good for 127.0.0.1 and for no other name."""
CHUNK_BYTES: Final = 65536


class TlsLink:
    """Listens on `port` with TLS and passes on to `target_port`; use as a context manager."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.accepted = 0
        self._target_port = target_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(CERTIFICATES / "server.pem")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()

    def url(self, scheme: str = "rediss", host: str = HOST, **options: object) -> str:
        """Return the URL of the link; by default it trusts the authority of the tests."""
        options = {"ssl_ca_certs": AUTHORITY, **options}
        written = "&".join(f"{name}={value}" for name, value in options.items() if value)
        return f"{scheme}://{host}:{self.port}/0?{written}"

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_SECONDS)

    async def _open(self) -> None:
        self._loop.set_exception_handler(lambda *_: None)  # handshakes that fail are what is tested
        self._server = await asyncio.start_server(self._serve, HOST, 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for each in serving:
            each.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        self.accepted += 1
        server, asks = await asyncio.open_connection(HOST, self._target_port)
        try:
            passing = [passed_on(client, asks), passed_on(server, answers)]
            await asyncio.wait(map(asyncio.ensure_future, passing), return_when="FIRST_COMPLETED")
        finally:
            for each in (asks, answers):
                each.transport.abort()


async def passed_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass bytes on until one side ends."""
    with suppress(OSError):
        while data := await source.read(CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
