"""A real uvicorn in a thread, on a free port."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import uvicorn

from tests.bodies import WAIT_SECONDS

if TYPE_CHECKING:
    from typing import Self


class LiveServer(uvicorn.Server):
    """One worker. `url` is where it listens."""

    def __init__(self, app: Any) -> None:
        super().__init__(uvicorn.Config(app, log_level="critical", lifespan="on", ws="none"))
        self._listening = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(
            target=self.run, args=([self._socket],), name="uvicorn", daemon=True
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(WAIT_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self.should_exit = True
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()
