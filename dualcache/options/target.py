"""From a URL and options to a `Target`: where a cache lives and how it is reached.

The URL is taken apart by hand: `urllib.parse` puts the part with the password into its errors. No
message here quotes what stands before the host, or the value of an option that is no duration.
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from dualcache.core.nearest import nearest
from dualcache.errors import UsageError
from dualcache.options.checks import revealed
from dualcache.options.patience import CALL_TIMEOUTS
from dualcache.options.place import Address, place_of, refuse, unquoted
from dualcache.options.target_options import (
    CLUSTER_SCHEMES,
    SENTINEL_SCHEMES,
    checked_option,
    options_of,
    refuse_tls_option,
)
from dualcache.options.written import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Target", "parse_url", "scheme_of", "with_provider", "with_sentinel_provider"]

_NO_LOCATION = ("memory", "null")
_SCHEMES = (
    *_NO_LOCATION,
    "redis",
    "rediss",
    "unix",
    "valkey",
    "valkeys",
    *SENTINEL_SCHEMES,
    *CLUSTER_SCHEMES,
)
_LONGEST_SCHEME = 30


class Target(Struct, frozen=True, kw_only=True):
    """Where a cache lives. Its repr shows neither user name nor password."""

    kind: str
    """`"memory"`, `"null"` or `"redis"`."""
    scheme: str
    host: str | None = None
    port: int | None = None
    path: str | None = None
    """The socket's path (`unix://`), instead of host and port."""
    sentinels: tuple[Address, ...] = ()
    """The Sentinels that know the master's address, instead of host and port."""
    service: str | None = None
    """The name of the master, as the Sentinels know it."""
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    sentinel_provider: Any = None
    """What tells user and password of the Sentinels, where they change."""
    sentinel_ssl: bool | None = None
    """Whether the Sentinels speak TLS; `None`: as the master does."""
    nodes: tuple[Address, ...] = ()
    """Nodes of a cluster, instead of host and port: the first that answers knows all others."""
    db: int = 0
    username: str | None = None
    password: str | None = None
    is_tls: bool = False
    max_connections: int = 20
    socket_timeout: float = 0.25
    socket_connect_timeout: float = 0.25
    call_timeout: float | None = None
    """`None`: `longest_call` tells."""
    health_check_interval: float = 0.0
    retry_on_timeout: bool = False
    socket_keepalive: bool = True
    protocol: int = 3
    client_name: str | None = None
    ssl_ca_certs: str | None = None
    ssl_ca_path: str | None = None
    ssl_ca_data: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_cert_reqs: str = "required"
    ssl_check_hostname: bool = True
    ssl_min_version: str | None = None
    """`"TLSv1.2"` or `"TLSv1.3"`; `None`: what Python takes."""
    max_entries: int = 100_000
    """Bound of the memory store."""
    max_bytes: int | None = None
    """Bound of the memory store in bytes; `None`: entries alone count."""
    redis_arguments: dict[str, Any] = {}
    """Further arguments for redis-py, copied from the user's own client."""
    warnings: tuple[str, ...] = ()

    @property
    def longest_call(self) -> float:
        """For how many seconds a call may wait for the server in all."""
        return self.call_timeout or CALL_TIMEOUTS * self.socket_timeout

    @property
    def safe_url(self) -> str:
        """The URL for logs: without options, with `***` for a password.

        A user name without a password is shown: so you see which text was read as the name.
        """
        if self.kind != "redis":
            return f"{self.scheme}://"
        user_info = "***@" if self.password else f"{self.username}@" if self.username else ""
        if self.path is not None:
            return f"{self.scheme}://{user_info}{self.path}?db={self.db}"
        if self.sentinels:
            hosts = ",".join(map(str, self.sentinels))
            return f"{self.scheme}://{user_info}{hosts}/{self.service}?db={self.db}"
        if self.nodes:
            return f"{self.scheme}://{user_info}{','.join(map(str, self.nodes))}"
        address = Address(self.host or "", self.port or 0)
        return f"{self.scheme}://{user_info}{address}/{self.db}"

    def __repr__(self) -> str:
        return f"Target({self.safe_url!r})"


def parse_url(url: object, **options: Any) -> Target:
    """Take `url` apart; `options` are those of its query, and win over it.

    Raises `UsageError` for whatever cannot be right, without a secret in message, args or cause.
    Nothing is resolved or connected.
    """
    scheme, rest = _split_scheme(revealed(url))
    location, _, query = rest.partition("?")
    authority, slash, path = location.partition("/")
    if "@" in path or "@" in query:
        refuse("holds an @ after the host", "percent-encode user name, password and options")
    known = options_of(scheme)
    given = _query_options(query, known, scheme)
    if "db" in given and _has_db(scheme, path):
        refuse("names the database twice, in its path and as db=", "write it once")
    refuse_tls_option(options, scheme, owner=f"{scheme}://")
    refuse_unknown(options, known, owner=f"{scheme}://")
    given.update({name: value for name, value in options.items() if value is not None})
    checked = {name: checked_option(name, value) for name, value in given.items()}
    if scheme in _NO_LOCATION:
        if location.strip("/"):
            refuse("names a place", f"write {scheme}:// alone; options follow a question mark")
        return Target(kind=scheme, scheme=scheme, **checked)
    fields = place_of(scheme, authority, f"{slash}{path}") | checked
    if scheme in CLUSTER_SCHEMES and fields.get("db"):
        refuse("names a db, and a cluster has only one", "leave the db out", code="DC327")
    return Target(kind="redis", scheme=scheme, warnings=_warnings(fields), **fields)


def _has_db(scheme: str, path: str) -> bool:
    """Whether the path of a URL says the database."""
    if scheme in SENTINEL_SCHEMES:
        return "/" in path.strip("/")
    return bool(path.strip("/")) and scheme != "unix" and scheme not in _NO_LOCATION


def _split_scheme(url: object) -> tuple[str, str]:
    if not isinstance(url, str):
        kind = type(url).__name__
        fix = _fix_of_client(type(url)) or "write redis://localhost"
        raise UsageError(f"the URL is of type {kind}, not text", code="DC160", help=fix)
    scheme, separator, rest = url.strip().partition("://")
    scheme = scheme.lower()
    if not separator or not _is_scheme(scheme):
        refuse("has no scheme", "write redis://host:6379/0, or memory://", code="DC160")
    if scheme not in _SCHEMES:
        close = nearest(scheme, _SCHEMES)
        raise UsageError(
            f"the URL has an unknown scheme {scheme}://",
            code="DC160",
            details=(("known", ", ".join(f"{name}://" for name in _SCHEMES)),),
            help=f"did you mean {close}://?" if close else "write redis://host:6379/0",
        )
    return scheme, rest


def with_provider(target: Target, provider: object) -> Target:
    """Return the target whose user and password a provider of redis-py's kind tells."""
    is_written = bool(target.username or target.password)
    _check_provider(
        "credential_provider", provider, "the URL has user or password, too" if is_written else ""
    )
    return replace(target, redis_arguments={"credential_provider": provider})


def with_sentinel_provider(target: Target, provider: object) -> Target:
    """Return the target whose Sentinels get user and password from a provider."""
    problem = "" if target.sentinels else "the URL names no Sentinels"
    if target.sentinel_username or target.sentinel_password:
        problem = "sentinel_username or sentinel_password is given, too"
    _check_provider("sentinel_credential_provider", provider, problem)
    return replace(target, sentinel_provider=provider)


def _check_provider(name: str, provider: object, problem: str) -> None:
    if not hasattr(provider, "get_credentials") and not hasattr(provider, "get_credentials_async"):
        problem = f"{type(provider).__name__} has no get_credentials()"
    if problem:
        raise UsageError(
            f"{name} of Cache() cannot be used: {problem}",
            code="DC319",
            help="give an object with get_credentials(), and a URL without user and password",
        )


def scheme_of(url: object) -> str:
    """Return the scheme of a URL that need not be one, for advice; empty where there is none."""
    text = revealed(url)
    return text.strip().partition("://")[0].lower() if isinstance(text, str) else ""


def _fix_of_client(kind: type) -> str:
    """Return the line for a client in the place of the URL; known without an import of redis-py."""
    execute = getattr(kind, "execute_command", None)
    if execute is None:
        return ""
    return f"write Cache({'async_client' if iscoroutinefunction(execute) else 'client'}=…)"


def _is_scheme(text: str) -> bool:
    plain = text.replace("+", "").replace("-", "").replace(".", "")
    return text[:1].isalpha() and plain.isalnum() and text.isascii() and len(text) < _LONGEST_SCHEME


def _query_options(query: str, known: frozenset[str], scheme: str) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        name = unquoted(name)
        if not (name.isascii() and name.replace("_", "").isalnum()):
            refuse("has an option without a valid name", "write ?name=value&name=value")
        refuse_tls_option((name,), scheme, owner=f"{scheme}://")
        refuse_unknown((name,), known, owner=f"{scheme}://")
        if name in given:
            refuse(f"gives {name} twice", "write it once")
        given[name] = unquoted(value)
    return given


def _warnings(checked: Mapping[str, Any]) -> tuple[str, ...]:
    found: list[str] = []
    if checked.get("username") and not checked.get("password"):
        found.append(
            "the URL names a user and no password; a password alone is written after a colon: "
            "redis://:password@host"
        )
    if checked.get("ssl_cert_reqs", "required") != "required":
        found.append("ssl_cert_reqs is not 'required': any server that answers is accepted")
    elif checked.get("ssl_check_hostname") is False:
        found.append("ssl_check_hostname is off: any server with a trusted certificate is accepted")
    return tuple(found)
