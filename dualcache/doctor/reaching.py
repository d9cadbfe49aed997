"""The way to the server: the URL, its names, the connection, TLS, and who may come in."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from redis.exceptions import InvalidResponse, RedisClusterException, RedisError
from redis.exceptions import TimeoutError as NoAnswerInTime

from dualcache import BackendDown
from dualcache.doctor.asking import Node
from dualcache.doctor.findings import fault, good, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache import Cache
    from dualcache.doctor.findings import Finding

PATIENCE_SECONDS: Final = 3.0
LOCAL: Final = ("localhost", "127.", "::1", "/")
PORTS: Final = {True: 26379, False: 6379}
"""The ports of a Sentinel, and of a server."""
REFUSED: Final = "NOPERM"
AT_THE_DOOR: Final = {
    "NOAUTH": ("the server asks for a password", "write it in the URL: redis://:password@host"),
    "WRONGPASS": (
        "the server knows no such user, or another password",
        "correct user and password in the URL; ACL LIST on the server shows its users",
    ),
}
"""Cause and mend of a refused login."""
NO_HANDSHAKE: Final = ("DC200", "DC201")
"""Codes of a server that cuts the connection or is silent, and so may not speak TLS."""
SERVER_SAYS: Final = {
    "max number of clients": "raise maxclients; CLIENT LIST shows who holds connections",
    "DB index": "choose a db that the server has: redis://host/0",
}
"""The mend of what a server may answer to a new connection."""


def examine_way(cache: Cache, backend: str, origin: str) -> Iterator[Finding]:
    """Go the way to the server step by step; the last finding may be a fault."""
    yield good("url", backend + (f" ({origin})" if origin else ""))
    parts = urlsplit(backend)
    if parts.scheme.startswith("unix"):
        is_there = Path(parts.path).exists()
        yield socket_of(parts.path) if is_there else missing_socket(parts.path)
        if not is_there:
            return
    else:
        yield from examine_addresses(addresses_of(backend))
    yield from examine_entrance(cache, backend)


def addresses_of(backend: str) -> list[tuple[str, int]]:
    """Return the hosts and ports of a URL without credentials."""
    parts = urlsplit(backend)
    default = PORTS["sentinel" in parts.scheme]
    found: list[tuple[str, int]] = []
    for place in parts.netloc.rpartition("@")[2].split(","):
        one = urlsplit(f"//{place}")
        found.append((one.hostname or "localhost", one.port or default))
    return found


def examine_addresses(addresses: list[tuple[str, int]]) -> Iterator[Finding]:
    """Look up each name and knock at each port; one that answers is enough."""
    closed: list[Finding] = []
    for host, port in addresses:
        try:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            why = f"{host}: {error.strerror or error}"
            closed.append(fault("dns", why, "check the host in the URL, and the name server"))
            continue
        try:
            with closing(socket.create_connection((host, port), PATIENCE_SECONDS)):
                pass
        except OSError as error:
            why = f"{host}:{port}: {error.strerror or 'no answer'}".lower()
            fix = "start the server there, or check port, bind address and firewall"
            closed.append(fault("tcp", why, fix))
            continue
        yield from (warning(each.check, each.cause, each.fix) for each in closed)
        yield good("dns", f"{host} has an address")
        yield good("tcp", f"{host}:{port} accepts connections")
        return
    yield from closed


def socket_of(path: str) -> Finding:
    return good("tcp", f"{path} is there")


def missing_socket(path: str) -> Finding:
    return fault("tcp", f"{path} is not there", "check the path, and unixsocket of the server")


def examine_entrance(cache: Cache, backend: str) -> Iterator[Finding]:
    """Ask as the cache does: over TLS where the URL says so, and as its user."""
    failures: list[BackendDown] = []

    def note(event: object) -> None:
        if isinstance(event, BackendDown):
            failures.append(event)

    with cache.observed(note):
        is_answering = cache.ping() or cache.ping()
    # MISCONF, a disk that is full say, is answered to PING too, and is no outage: INFO says more.
    if failures and not is_answering:
        yield refusal(cache, backend, failures[0])
        return
    is_tls = "rediss" in backend or "valkeys" in backend
    host = urlsplit(backend).netloc.rpartition("@")[2]
    is_local = host.startswith(LOCAL) or not host
    if is_tls:
        yield good("tls", "encrypted, and the certificate is accepted")
    elif is_local:
        yield good("tls", "none, on this machine")
    else:
        yield warning(
            "tls",
            "not encrypted: passwords and values can be read on the way",
            "switch TLS on, and write rediss:// in the URL",
        )
    if "***@" in backend or is_local:
        yield good("auth", "accepted" if "***@" in backend else "no password is asked for")
    else:
        yield warning(
            "auth",
            "no password: anyone who reaches the server can read and delete",
            "give the cache a separate user: docs/operating/acl.md",
        )


def refusal(cache: Cache, backend: str, failure: BackendDown) -> Finding:
    """Say why the server does not answer the cache."""
    cause = failure.cause or "no answer"
    known = AT_THE_DOOR.get(failure.reason)
    if known is not None:
        return fault("auth", f"{failure.reason}: {known[0]}", known[1])
    if failure.reason.startswith(REFUSED):
        return fault("auth", cause, "check the rights of the user: docs/operating/acl.md")
    if "rediss" in backend or "valkeys" in backend:
        if failure.reason in NO_HANDSHAKE:
            return fault(
                "tls", f"no handshake: {cause}", "is TLS on at that port? If not: redis://"
            )
        cause, _, fix = cause.partition(": ")
        return fault("tls", cause, fix or f"dualcache explain {failure.reason}")
    if "sentinel" in backend and failure.is_configuration:
        cause, _, fix = cause.rpartition(": ")
        return fault("answer", cause, fix)
    return without_answer(cause, answer_to_client(cache))


def answer_to_client(cache: Cache) -> object:
    """Return the answer to a PING of redis-py, or its error, which has the words of the server."""
    try:
        return Node(cache.client).answer("PING")
    except (RedisError, RedisClusterException) as error:  # one of a cluster connects when made
        return error


def no_cluster(error: Exception) -> Finding:
    """Say why the nodes of a cluster cannot be found."""
    words = str(error)
    if "Cluster mode is not enabled" in words:
        return fault("server", "this is no cluster", "write redis:// in the URL")
    if "not covered" in words:
        cause = "some slots have no node that serves them"
        return fault("server", cause, "redis-cli --cluster check HOST:PORT says which")
    return fault("server", f"its nodes cannot be found: {words[:80]}", "check CLUSTER SLOTS")


def without_answer(cause: str, told: object) -> Finding:
    """Say why there is no answer; `told` is the answer or the error of redis-py."""
    words = str(told)
    for part, fix in SERVER_SAYS.items():
        if part in words:
            return fault("answer", f"the server says: {words[:80]}", fix)
    if isinstance(told, InvalidResponse):
        return fault("answer", "what listens there is no Redis", "check host and port in the URL")
    if isinstance(told, NoAnswerInTime):
        fix = "a port with TLS? Then write rediss://. Else see the log of the server"
        return fault("answer", "it accepts connections and does not answer", fix)
    return fault("answer", cause, "is it a Redis, and without TLS? See its log")
