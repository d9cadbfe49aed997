"""redis-py's asyncio connections: opened within a budget, and telling when bytes came."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

from redis.asyncio import connection as theirs

from dualcache.backends.redis.daemon import in_daemon
from dualcache.backends.redis.dialing import dial

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    # redis-py types these in part only, and mixes methods that cannot be told apart.
    Mixin: TypeAlias = Any
    Plain: TypeAlias = Any
    Tls: TypeAlias = Any
    Unix: TypeAlias = Any
else:
    Mixin, Plain, Tls = object, theirs.Connection, theirs.SSLConnection
    Unix = theirs.UnixDomainSocketConnection

__all__ = ["Heard", "HeardPlain", "HeardTls", "HeardUnix"]


class Heard(asyncio.Protocol):
    """Stands before the protocol of a stream, and notes when bytes came and how many."""

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.at = 0.0
        self.bytes = 0
        self._receive = inner.data_received
        self._time = loop.time
        for name in ("eof_received", "connection_lost", "pause_writing", "resume_writing"):
            setattr(self, name, getattr(inner, name))

    def data_received(self, data: bytes) -> None:
        self.at = self._time()
        self.bytes += len(data)
        self._receive(data)


class _Hearing(Mixin):  # type: ignore[misc]
    """What the connections share: who waits for a reply can see whether anything comes."""

    heard: Heard
    transport: asyncio.WriteTransport

    async def _connect(self) -> None:
        await super()._connect()
        writer = self._writer
        assert writer is not None, "it is connected"
        self.transport = writer.transport
        self.heard = Heard(self.transport.get_protocol(), asyncio.get_running_loop())
        self.transport.set_protocol(self.heard)


class _Dialling(Plain):  # type: ignore[misc]
    """Opens the socket by `dial`, whose budget the resolver and all addresses share."""

    _dialled: socket.socket | None = None

    async def _connect(self) -> None:
        seconds = self.socket_connect_timeout
        self._dialled = made = await in_daemon(
            lambda: dial(self.host, self.port, self.socket_type, seconds),
            discard=lambda unused: unused.close(),
        )
        try:
            await super()._connect()
        except BaseException:
            made.close()
            raise
        finally:
            self._dialled = None

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {"sock": self._dialled}


class HeardPlain(_Hearing, _Dialling):
    """A connection by TCP."""


class HeardTls(_Hearing, Tls, _Dialling):  # type: ignore[misc]
    """A connection by TLS."""

    def _connection_arguments(self) -> Mapping[str, Any]:
        # asyncio takes the name from `host`, which it is not given together with a socket.
        return {**super()._connection_arguments(), "server_hostname": self.host}


class HeardUnix(_Hearing, Unix):  # type: ignore[misc]
    """A connection by a Unix socket."""
