"""Serving the dashboard alone, by uvicorn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import uvicorn

if TYPE_CHECKING:
    import socket

    from dualcache.dashboard import Dashboard

PATIENCE_SECONDS: Final = 5
"""How long requests that are under way may take at the end."""


class Server(uvicorn.Server):
    """A server that ends with its dashboard: open streams would hold it up."""

    def __init__(self, app: Dashboard, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_level="warning",
                ws="none",
                timeout_graceful_shutdown=PATIENCE_SECONDS,
            )
        )
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then all else."""
        self._app.close()
        await super().shutdown(sockets)


def serve(app: Dashboard, host: str, port: int) -> None:
    """Serve until Ctrl-C."""
    Server(app, host, port).run()
