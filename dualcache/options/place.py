"""Where a URL leads: its user, its hosts and what stands in its path.

No message quotes what stands before the host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.errors import UsageError
from dualcache.options.checks import to_int
from dualcache.options.target_options import (
    CLUSTER_SCHEMES,
    OWNER,
    SENTINEL_SCHEMES,
    TLS_SCHEMES,
    checked_text,
)

if TYPE_CHECKING:
    from typing import Never

__all__ = ["Address", "place_of", "refuse", "split_addresses", "unquoted"]

_DEFAULT_PORT = 6379


class Address(NamedTuple):
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def place_of(scheme: str, authority: str, path: str) -> dict[str, Any]:
    """Return the fields of a `Target` that authority and path of a URL say."""
    user_info, _, hosts = authority.rpartition("@")
    username, _, password = user_info.partition(":")
    fields: dict[str, Any] = {
        "username": unquoted(username) or None,
        "password": unquoted(password) or None,
        "is_tls": scheme in TLS_SCHEMES,
    }
    if scheme == "unix":
        if hosts or path.strip("/") == "":
            refuse("names no socket", "write unix:///path/to/socket, with three slashes")
        return fields | {"path": unquoted(path)}
    if scheme in SENTINEL_SCHEMES:
        return fields | _sentinel_place(hosts, path, example=f"{scheme}://h1:26379,h2:26379")
    if scheme in CLUSTER_SCHEMES:
        nodes = split_addresses(hosts, default_port=None, example=f"{scheme}://h1:7000,h2:7001")
        return fields | _db_of(path.strip("/")) | {"nodes": nodes}
    host, port = _split_address(hosts, default_port=_DEFAULT_PORT)
    return fields | _db_of(path.strip("/")) | {"host": host, "port": port}


def split_addresses(hosts: str, *, default_port: int | None, example: str) -> tuple[Address, ...]:
    """Split hosts between commas; each needs a port where there is no default."""
    written = [each for each in hosts.split(",") if each.strip()]
    if not written:
        refuse("names no host", f"write {example}")
    found = [_split_address(each.strip(), default_port=default_port) for each in written]
    return tuple(dict.fromkeys(found))


def _sentinel_place(hosts: str, path: str, *, example: str) -> dict[str, Any]:
    service, _, db = path.strip("/").partition("/")
    if not service:
        refuse("names no service of the Sentinels", f"write it as the path: {example}/mymaster")
    sentinels = split_addresses(hosts, default_port=None, example=f"{example}/mymaster")
    return {"sentinels": sentinels, "service": unquoted(service)} | _db_of(db)


def _db_of(text: str) -> dict[str, int]:
    return {"db": to_int(text, "db", owner=OWNER)} if text else {}


def _split_address(address: str, *, default_port: int | None) -> Address:
    if address.startswith("["):
        host, bracket, tail = address[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            refuse("has a broken IPv6 address", "write it as [::1]:6379")
        port = tail[1:]
    else:
        host, _, port = address.partition(":")
        if ":" in port:
            refuse("has an IPv6 address without brackets", "write it as [::1]:6379")
    host = unquoted(host) or "localhost"
    if not host.isprintable() or " " in host:
        refuse("has a host that is not a name", "write a host name or an address")
    if port:
        return Address(host, to_int(port, "port", owner=OWNER, minimum=1, maximum=65_535))
    if default_port is None:
        refuse("has a host without a port", "write the port of each host: h1:26379,h2:26379")
    return Address(host, default_port)


def unquoted(text: str) -> str:
    """Return a part of the URL without its percent signs; refuse text that is no UTF-8."""
    if "%" in text:
        from urllib.parse import unquote

        text = unquote(text)
    return checked_text(text)


def refuse(problem: str, fix: str, *, code: str = "DC161") -> Never:
    """Raise the `UsageError` of a URL that cannot be right."""
    raise UsageError(f"{OWNER} {problem}", code=code, help=fix)
