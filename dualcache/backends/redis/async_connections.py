"""redis-py's asyncio connections, opened within a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from redis.asyncio import connection as theirs

from dualcache.backends.redis.daemon import in_daemon
from dualcache.backends.redis.dialing import dial

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    # redis-py types these in part only, and mixes methods that cannot be told apart.
    Plain: TypeAlias = Any
    Tls: TypeAlias = Any
else:
    Plain, Tls = theirs.Connection, theirs.SSLConnection

__all__ = ["DialledPlain", "DialledTls"]


class _Dialling(Plain):  # type: ignore[misc]
    """Opens the socket by `dial`, whose budget the resolver and all addresses share."""

    _dialled: socket.socket | None = None
    is_dialled = False
    """Whether the server has accepted the connection; its handshake may still fail."""

    async def _connect(self) -> None:
        seconds = self.socket_connect_timeout
        self._dialled = made = await in_daemon(
            lambda: dial(self.host, self.port, self.socket_type, seconds),
            discard=lambda unused: unused.close(),
        )
        try:
            await super()._connect()
            self.is_dialled = True
        except BaseException:
            made.close()
            raise
        finally:
            self._dialled = None

    def _connection_arguments(self) -> Mapping[str, Any]:
        # What redis-py gives to `asyncio.open_connection`, which takes a connected socket as well.
        return {"sock": self._dialled}


class DialledPlain(_Dialling):
    """A connection by TCP."""


class DialledTls(Tls, _Dialling):  # type: ignore[misc]
    """A connection by TLS."""

    def _connection_arguments(self) -> Mapping[str, Any]:
        # asyncio takes the name from `host`, which it is not given together with a socket.
        return {**super()._connection_arguments(), "server_hostname": self.host}
