"""What one call on a sync connection makes of the bytes that a server sends."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import BackendUnavailable
from dualcache.backends.redis import sync_connections
from dualcache.backends.redis.connections import make_connection
from dualcache.backends.redis.errors import classify
from dualcache.backends.redis.sync_connections import READ_BYTES
from dualcache.errors import BackendRefused
from dualcache.options.target import parse_url
from tests.patience import patient
from tests.servers import Server  # noqa: TC001  a fixture's type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache.backends.redis.connections import Connection

ASKED = b"*1\r\n$4\r\nPING\r\n"


class Line:
    """A connection that is made, and the server's end of it."""

    def __init__(self) -> None:
        ours, self.server = socket.socketpair()
        made: Any = make_connection(parse_url("redis://127.0.0.1:1?protocol=2"))
        made._connect = lambda: sync_connections.BoundedSocket(ours, made.budget)
        made.on_connect = lambda: made._parser.on_connect(made)  # no handshake
        made.begin()
        made.connect()
        self.connection: Connection = made

    def says(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.server.sendall(piece)

    def ask(self, count: int) -> list[Any]:
        return self.connection.ask(ASKED, count)


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.connection.disconnect()
    made.server.close()


def test_replies_come_in_order_and_an_error_is_a_value(line: Line) -> None:
    line.says(b"$1\r\nv\r\n:3\r\n$-1\r\n-WRONGTYPE no\r\n")
    *found, error = line.ask(4)
    assert found == [b"v", 3, None]
    assert isinstance(error, BackendRefused)
    assert error.prefix == "WRONGTYPE"


def test_a_reply_may_come_in_pieces_and_may_be_large(line: Line) -> None:
    value = b"x" * (READ_BYTES + 100)
    line.says(b"$%d\r\n" % len(value), value, b"\r\n")
    assert line.ask(1) == [value]


def test_what_is_pushed_is_no_reply(line: Line) -> None:
    line.says(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n", b"$1\r\nv\r\n")
    assert line.ask(1) == [b"v"]


def test_a_connection_that_the_server_closed_is_told_from_a_slow_one(line: Line) -> None:
    line.server.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionError) as raised:
        line.ask(1)
    assert isinstance(classify(raised.value), BackendUnavailable)


def test_what_is_no_resp_makes_no_sense(line: Line) -> None:
    line.says(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(ValueError, match="Protocol error") as raised:
        line.ask(1)
    assert classify(raised.value).code == "DC204"


def test_without_hiredis_redis_py_reads(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_connections, "make_hiredis_reader", lambda _: None)
    connection = make_connection(parse_url(patient(redis_server.url)))
    connection.begin()
    assert connection.ask(ASKED + b"*1\r\n$3\r\nFOO\r\n", 2)[0] == b"PONG"
    connection.disconnect()
