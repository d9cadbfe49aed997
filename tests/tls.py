"""A TLS link to a server that speaks none: it ends TLS and passes the bytes on."""

from __future__ import annotations

import asyncio
import ssl
import threading
from asyncio import FIRST_COMPLETED
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tests.bodies import WAIT_SECONDS
from tests.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

CERTIFICATES: Final = Path(__file__).parent / "certificates"
AUTHORITY: Final = CERTIFICATES / "authority.pem"
"""Signed the certificate of the link, which is good for 127.0.0.1 and for no other name."""
CHUNK_BYTES: Final = 65536


class TlsLink:
    """Listens on `port` with TLS and passes on to `target_port`; use as a context manager.

    It shows one of the certificates, and `asks_client` for one that the authority has signed.
    """

    def __init__(
        self, target_port: int, *, certificate: str = "server", asks_client: bool = False
    ) -> None:
        self.port = 0
        self.accepted = 0
        self._target_port = target_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
        if asks_client:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(AUTHORITY)
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
        self._loop.set_exception_handler(lambda *_: None)  # what fails is what is tested
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        # asyncio never closes the socket of an accepted connection whose task has not begun when
        # the server is closed or the task is cancelled: let each of them begin.
        self._loop.remove_reader(self._server.sockets[0].fileno())
        await asyncio.sleep(0)
        self._server.close()
        while serving := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.sleep(0)
            for each in serving:
                each.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        tls = _ServerSide(self._context, client, answers)
        try:
            if not await tls.shakes_hands():
                return
            self.accepted += 1
            server, asks = await asyncio.open_connection(HOST, self._target_port)
            try:
                passing = [tls.pass_requests(asks), tls.pass_replies(server)]
                await asyncio.wait(map(asyncio.ensure_future, passing), return_when=FIRST_COMPLETED)
            finally:
                asks.transport.abort()
        finally:
            answers.transport.abort()


class _ServerSide:
    """The server's side of TLS on a stream; asyncio's own ends without telling what it refused."""

    def __init__(
        self, context: ssl.SSLContext, client: asyncio.StreamReader, answers: asyncio.StreamWriter
    ) -> None:
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_side=True)
        self._client, self._answers = client, answers

    async def shakes_hands(self) -> bool:
        """Do the handshake; tell whether it went well. The client hears why it did not."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._send()
                if not await self._receive():
                    return False
            except ssl.SSLError:
                await self._send()
                return False
            else:
                await self._send()
                return True

    async def pass_requests(self, asks: asyncio.StreamWriter) -> None:
        """Pass on what the client sends, until it ends."""
        with suppress(OSError):
            while True:
                with suppress(ssl.SSLWantReadError):
                    while data := self._tls.read(CHUNK_BYTES):
                        asks.write(data)
                await asks.drain()
                if not await self._receive():
                    return

    async def pass_replies(self, server: asyncio.StreamReader) -> None:
        """Pass on what the server sends, until it ends."""
        with suppress(OSError):
            while data := await server.read(CHUNK_BYTES):
                self._tls.write(data)
                await self._send()

    async def _receive(self) -> bool:
        data = await self._client.read(CHUNK_BYTES)
        self._came.write(data)
        return bool(data)

    async def _send(self) -> None:
        with suppress(OSError):
            self._answers.write(self._goes.read())
            await self._answers.drain()
