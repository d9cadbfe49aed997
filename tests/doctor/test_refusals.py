"""Servers that do not let the cache in, or only to a part: the one line that says why."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING

from dualcache import Cache
from dualcache.doctor import Level
from tests.bodies import WAIT_SECONDS
from tests.doctor.test_examine import configured, found, found_by, odd_server, user
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.servers import Server

__all__ = ["configured", "odd_server", "user"]


def test_a_password_that_is_missing(configured: Callable[..., str]) -> None:
    seen = found(configured(requirepass="right"))
    assert seen["auth"].cause == "NOAUTH: the server asks for a password"
    assert seen["auth"].fix == "write it in the URL: redis://:password@host"


def test_a_user_that_the_server_does_not_know(odd_server: Server) -> None:
    seen = found(odd_server.url.replace("//", "//nobody:guessed@"))
    assert seen["auth"].cause == "WRONGPASS: the server knows no such user, or another password"
    assert [*seen][-1] == "auth"
    assert "guessed" not in repr(seen)


def test_keys_that_a_user_may_not_touch_are_one_finding(any_own_server: Server) -> None:
    """The commands are allowed: a server refuses each because of the key."""
    with Cache(patient(any_own_server.url), namespace="shop") as cache:
        rules = [each.rule for each in cache.rights() if each.rule[0] == "+"]
    if any_own_server.version >= (7,):
        rules += ["+acl|whoami", "+acl|dryrun"]
    any_own_server.cli("ACL", "SETUSER", "app", "on", ">pw", "~other:*", *rules)
    told = found_by(Cache(patient(any_own_server.url.replace("//", "//app:pw@")), namespace="shop"))
    faults = [(one.check, one.cause, one.fix) for one in told if one.level is Level.FAULT]
    (rights,) = faults
    assert rights[1].startswith("~shop:* is missing")
    assert rights[2] == "ACL SETUSER app ~shop:*"


def test_a_database_that_the_server_does_not_have(odd_server: Server) -> None:
    seen = found(odd_server.url.rpartition("/")[0] + "/99")
    assert seen["answer"].cause == "the server says: DB index is out of range"
    assert seen["answer"].fix == "choose a db that the server has: redis://host/0"


@contextmanager
def answering(reply: bytes) -> Generator[str]:
    """Serve a program that says one thing to everybody, and hangs up."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # the doctor knocks, and is gone
                self.request.recv(1000)
                self.request.sendall(reply)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        finally:
            server.shutdown()
            thread.join(WAIT_SECONDS)


def test_a_server_that_is_full() -> None:
    with answering(b"-ERR max number of clients reached\r\n") as url:
        seen = found(url)
    assert seen["answer"].cause == "the server says: max number of clients reached"
    assert "maxclients" in seen["answer"].fix


def test_a_program_that_speaks_another_protocol() -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        seen = found(url)
    assert seen["answer"].cause == "what listens there is no Redis"


def test_a_program_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        seen = found(url, socket_timeout=0.05)
        assert seen["answer"].cause == "it accepts connections and does not answer"
        url = url.replace("redis", "rediss")
        seen = found(url, socket_timeout=0.05, socket_connect_timeout=0.05)
        assert seen["tls"].cause.startswith("no handshake: ")
        assert seen["tls"].fix == "is TLS on at that port? If not: redis://"


def test_a_cluster_url_of_a_server_that_is_none(odd_server: Server) -> None:
    seen = found(odd_server.url.replace("redis://", "redis+cluster://").rpartition("/")[0])
    assert (seen["server"].cause, seen["server"].fix) == (
        "this is no cluster",
        "write redis:// in the URL",
    )


def test_a_sentinel_url_of_a_server_that_is_none(odd_server: Server) -> None:
    address = odd_server.url.partition("//")[2].rpartition("/")[0]
    seen = found(f"redis+sentinel://{address}/mymaster")
    assert seen["answer"].cause.endswith("this is no Sentinel")
    assert seen["answer"].fix.startswith("check the port")
