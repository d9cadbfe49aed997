"""The proxy does to bytes what it says."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.proxy import BLACK_HOLE, Faults, flipped

if TYPE_CHECKING:
    from tests.proxy import Proxy
    from tests.servers import Server

PING = b"PING\r\n"
PONG = b"+PONG\r\n"


def dialled(proxy: Proxy) -> socket.socket:
    client = socket.create_connection((proxy.host, proxy.port), 5)
    proxy.link_of(client)
    return client


def asked(client: socket.socket, request: bytes = PING) -> bytes:
    client.sendall(request)
    return client.recv(100)


def test_bytes_pass_both_ways(proxy: Proxy) -> None:
    with dialled(proxy) as client:
        assert asked(client) == PONG


def test_what_a_black_hole_held_arrives_after_healing(proxy: Proxy, redis_server: Server) -> None:
    with dialled(proxy) as client:
        proxy.black_hole()
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            asked(client, b"SET k v\r\n")
        assert redis_server.cli("GET", "k") is None
        proxy.heal()
        client.settimeout(5)
        assert client.recv(100) == b"+OK\r\n"


def test_a_connection_can_be_held_alone(proxy: Proxy) -> None:
    with dialled(proxy) as held, dialled(proxy) as free:
        proxy.link_of(held).fault(replies=BLACK_HOLE)
        held.settimeout(0.05)
        with pytest.raises(TimeoutError):
            asked(held)
        assert asked(free) == PONG


def test_a_reply_is_cut_after_so_many_bytes_with_a_reset(proxy: Proxy) -> None:
    with dialled(proxy) as client:
        proxy.fault(replies=Faults(cut_after=3))
        assert asked(client) == PONG[:3]
        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_a_reset_cuts_at_once_and_new_connections_work(proxy: Proxy) -> None:
    with dialled(proxy) as client:
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(100)
    with dialled(proxy) as client:
        assert asked(client) == PONG
    assert proxy.accepted == 2


def test_refused_connections_are_accepted_again_on_the_same_port(proxy: Proxy) -> None:
    with dialled(proxy) as client:
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            dialled(proxy)
        assert asked(client) == PONG
    proxy.heal()
    with dialled(proxy) as client:
        assert asked(client) == PONG


def test_garbled_replies_keep_their_frame(proxy: Proxy) -> None:
    proxy.fault(replies=Faults(garble=flipped))
    with dialled(proxy) as client:
        assert asked(client) == b"+" + bytes(byte ^ 1 for byte in b"PONG") + b"\r\n"


def test_replies_come_byte_by_byte(proxy: Proxy) -> None:
    proxy.fault(replies=Faults(chunk_bytes=1))
    with dialled(proxy) as client:
        client.sendall(PING)
        assert b"".join(client.recv(1) for _ in PONG) == PONG


def test_latency_delays_each_piece(proxy: Proxy) -> None:
    proxy.fault(replies=Faults(latency=0.05))
    with dialled(proxy) as client:
        began = time.monotonic()
        assert asked(client) == PONG
        assert time.monotonic() - began >= 0.05


def test_the_end_of_either_side_reaches_the_other(proxy: Proxy, redis_server: Server) -> None:
    with dialled(proxy) as client:
        assert asked(client) == PONG
        redis_server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert client.recv(100) == b""
