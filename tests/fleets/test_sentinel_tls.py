"""Sentinels and a master that speak TLS: each hop is encrypted, and trusts what the URL says."""

from __future__ import annotations

import socketserver
import threading
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import BackendDown
from tests.behaviour.seen import Seen
from tests.colours import PATIENT
from tests.servers import HOST
from tests.tls import AUTHORITY, TlsLink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.colours import Colour
    from tests.servers import Server


class Answers(socketserver.StreamRequestHandler):
    """Answers as a Sentinel does, whose master is the port of the server; `AUTH` is for `spw`."""

    def handle(self) -> None:
        is_known = False
        while line := self.rfile.readline():
            parts = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                parts.append(self.rfile.read(size + 2)[:-2].decode())
            if parts[0].upper() == "AUTH":
                is_known = parts[-1] == "spw"
                reply = "+OK\r\n" if is_known else "-WRONGPASS no\r\n"
            elif not is_known:
                reply = "-NOAUTH Authentication required.\r\n"
            else:
                port = self.server.master_port  # type: ignore[attr-defined]
                told = {"name": "mymaster", "ip": HOST, "port": port, "flags": "master"}
                told |= {"num-other-sentinels": 0, "quorum": 1}
                flat = [str(word) for pair in told.items() for word in pair]
                words = "".join(f"${len(word)}\r\n{word}\r\n" for word in flat)
                reply = f"*1\r\n*{len(flat)}\r\n{words}"
            self.wfile.write(reply.encode())


class FakeSentinel(socketserver.ThreadingTCPServer):
    """A Sentinel that tells an address of our choice: a real one tells that of a plain port."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, master_port: int) -> None:
        super().__init__((HOST, 0), Answers)
        self.master_port = master_port
        self.port = self.server_address[1]


@pytest.fixture
def encrypted(redis_server: Server) -> Iterator[tuple[TlsLink, FakeSentinel]]:
    """Return the way to a Sentinel by TLS, and the Sentinel, which tells of a master by TLS."""
    with TlsLink(redis_server.port) as master, FakeSentinel(master.port) as sentinel:
        thread = threading.Thread(
            target=sentinel.serve_forever, args=[0.02], name="proxy", daemon=True
        )
        thread.start()
        with TlsLink(sentinel.port) as link:
            yield link, sentinel
        sentinel.shutdown()
        thread.join()


def options(**more: Any) -> dict[str, Any]:
    return {"ssl_ca_certs": str(AUTHORITY), "sentinel_password": "spw", **PATIENT, **more}


@pytest.mark.parametrize("scheme", ["rediss+sentinel", "valkeys+sentinel"])
def test_master_and_sentinels_speak_tls(
    colour: Colour, encrypted: tuple[TlsLink, FakeSentinel], scheme: str, redis_server: Server
) -> None:
    link, _ = encrypted
    url = f"{scheme}://{HOST}:{link.port}/mymaster"
    cache = colour.cache(url, front=10, **options())
    assert colour.call(cache, "set", "k", 1)
    assert redis_server.cli("EXISTS", "k")
    assert colour.call(cache, "get", "k") == 1
    assert link.accepted


def test_the_client_speaks_tls_too(
    colour: Colour, encrypted: tuple[TlsLink, FakeSentinel], redis_server: Server
) -> None:
    link, _ = encrypted
    cache = colour.cache(f"rediss+sentinel://{HOST}:{link.port}/mymaster", **options())
    assert colour.run(lambda: colour.face(cache).client.set("k", 1))
    assert redis_server.cli("EXISTS", "k")


def test_sentinels_may_speak_none(
    colour: Colour, encrypted: tuple[TlsLink, FakeSentinel], redis_server: Server
) -> None:
    _, sentinel = encrypted
    url = f"rediss+sentinel://{HOST}:{sentinel.port}/mymaster?sentinel_ssl=no"
    assert colour.call(colour.cache(url, **options()), "set", "k", 1)
    assert redis_server.cli("EXISTS", "k")


def test_a_sentinel_that_is_not_trusted_is_told_once(
    colour: Colour, encrypted: tuple[TlsLink, FakeSentinel]
) -> None:
    link, _ = encrypted
    url = f"rediss+sentinel://{HOST}:{link.port}/mymaster"
    cache = colour.cache(url, **options(ssl_ca_certs=None))
    seen = Seen(cache)
    assert colour.call(cache, "get", "k") is None
    (told,) = seen.of(BackendDown)
    assert (told.reason, told.is_configuration) == ("DC322", True)
