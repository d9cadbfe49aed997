"""From a redis-py client of the user's to the `Target` of our own connections.

Our connections go where that client's go, in the same way, or the client is refused: each argument
that it was made with is followed, is known not to matter, or ends in a `UsageError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, cast

from dualcache.errors import UsageError
from dualcache.options.target import Target
from dualcache.options.target_options import checked_option, options_of
from dualcache.options.written import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis
    from redis._parsers import Encoder

__all__ = ["Colour", "check_client", "target_of_client", "target_of_clients"]

Colour: TypeAlias = Literal["sync", "async"]

A_URL: Final = "give a URL instead: Cache('redis://host:6379/0')"
TAKEN: Final = ("db", "username", "password", "client_name", "protocol", "socket_keepalive")
"""Fields of a `Target`, taken from the client where its owner wrote them."""
TIMES: Final = ("socket_timeout", "socket_connect_timeout")
"""Taken where they are not redis-py's default: 5 s is longer than a caller of a cache waits."""
VERBATIM: Final = frozenset(
    (
        *("credential_provider", "encoding", "encoding_errors"),
        *("socket_keepalive_options", "socket_type"),
        *("ssl_keyfile", "ssl_certfile", "ssl_password", "ssl_cert_reqs", "ssl_check_hostname"),
        *("ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_min_version", "ssl_ciphers"),
        *("ssl_include_verify_flags", "ssl_exclude_verify_flags"),
    )
)
"""Passed on to redis-py as they are: both colours spell them alike."""
IMMATERIAL: Final = frozenset(
    (
        *("host", "port", "path", "decode_responses"),  # looked at elsewhere
        *("retry", "retry_on_error", "retry_on_timeout", "health_check_interval"),
        *("socket_read_size", "parser_class", "command_packer", "legacy_responses"),
        *("driver_info", "lib_name", "lib_version", "event_dispatcher", "himport_registry"),
        *("maint_notifications_config", "maint_notifications_pool_handler"),
        *("orig_host_address", "orig_socket_timeout", "orig_socket_connect_timeout"),
        *("cache", "cache_config"),
    )
)
"""Arguments that change neither the server of a connection nor its user."""
OF_THE_PLACE: Final = ("db", "username", "password")


class _ClientKind(NamedTuple):
    """The colour of a client, and the connection classes that ours can replace."""

    colour: Colour
    plain: Any
    tls: Any
    unix: Any
    pool: Any


def target_of_clients(client: Any, async_client: Any, options: Mapping[str, Any]) -> Target:
    """Return where the user's clients are connected; at least one of them is given."""
    targets: list[Target] = []
    given: tuple[tuple[Any, Colour], ...] = ((client, "sync"), (async_client, "async"))
    for each, colour in given:
        if each is not None:
            check_client(each, colour)
            targets.append(target_of_client(each, options))
    if len({_place(target) for target in targets}) > 1:
        raise UsageError(
            "client and async_client of Cache() lead to different places",
            code="DC188",
            details=tuple(("leads to", target.safe_url) for target in targets),
            help="make both with the same server, db and user, or give a URL, which serves both",
        )
    return targets[0]


def check_client(client: object, colour: Colour) -> None:
    """Refuse a user's own client that would decode replies, or is of the other colour."""
    wanted = "redis.Redis" if colour == "sync" else "redis.asyncio.Redis"
    kind = _kind_of(client)
    if kind is None:
        raise UsageError(
            f"the client is of type {type(client).__name__}, not {wanted}",
            code="DC176",
            help=_mend_of_other(client, wanted),
        )
    if kind.colour != colour:
        raise UsageError(
            f"the client is {kind.colour}, where a client for {colour} calls is needed",
            code="DC176",
            help=f"give a {wanted}, or a URL, which serves both",
        )
    encoder: Encoder = cast("redis.Redis", client).get_encoder()
    if encoder.decode_responses:
        raise UsageError(
            "the client decodes its replies, so stored bytes would be lost",
            code="DC177",
            help="make it without decode_responses=True, or give a URL",
        )


def target_of_client(client: Any, options: Mapping[str, Any]) -> Target:
    """Return where a user's own client is connected, and how our connections get there."""
    kind = _kind_of(client)
    assert kind is not None, "check_client() has refused it"
    pool = client.connection_pool
    made = pool.connection_class
    _check_pool(pool, kind)
    given: dict[str, Any] = {k: v for k, v in pool.connection_kwargs.items() if v is not None}
    for name in given.keys() - VERBATIM - IMMATERIAL - {*TAKEN, *TIMES}:
        if given[name]:
            raise _refusal(f"is made with {name}", f"make it without, or {A_URL}")
    scheme = "unix" if made is kind.unix else "rediss" if made is kind.tls else "redis"
    fields = _checked(given, kind) | _options(options, scheme)
    place: dict[str, Any] = (
        {"path": given.get("path", "")}
        if scheme == "unix"
        else {"host": given.get("host", "localhost"), "port": int(given.get("port", 6379))}
    )
    verbatim = {name: value for name, value in given.items() if name in VERBATIM}
    return Target(
        kind="redis",
        scheme=scheme,
        is_tls=scheme == "rediss",
        redis_arguments=verbatim,
        **{**place, **fields},
    )


def _kind_of(client: object) -> _ClientKind | None:
    """Return the kind of a client; `None` for one that holds no pool."""
    from redis import ConnectionPool, Redis, connection
    from redis.client import Pipeline

    if isinstance(client, Redis):
        if isinstance(client, Pipeline):
            return None
        classes = connection.Connection, connection.SSLConnection
        return _ClientKind("sync", *classes, connection.UnixDomainSocketConnection, ConnectionPool)
    from redis import asyncio
    from redis.asyncio import client as async_client
    from redis.asyncio import connection as async_connection

    if not isinstance(client, asyncio.Redis) or isinstance(client, async_client.Pipeline):
        return None
    async_classes = async_connection.Connection, async_connection.SSLConnection
    unix = async_connection.UnixDomainSocketConnection
    return _ClientKind("async", *async_classes, unix, async_connection.ConnectionPool)


def _mend_of_other(client: object, wanted: str) -> str:
    if "Cluster" in type(client).__name__:
        return f"Redis Cluster is not available in this version: give a {wanted} of one server"
    if "Pipeline" in type(client).__name__:
        return "give the client that the pipeline was made from"
    return f"give a {wanted}, or a URL"


def _check_pool(pool: Any, kind: _ClientKind) -> None:
    """Refuse a pool that connects in a way that ours cannot follow."""
    made = pool.connection_class
    if "Sentinel" in type(pool).__name__ or "Sentinel" in made.__name__:
        raise _refusal(
            "asks Sentinel for its server",
            "give a URL instead: Cache('redis+sentinel://host:26379/mymaster')",
        )
    if made not in {kind.plain, kind.tls, kind.unix}:
        is_fake = made.__module__.partition(".")[0] == "fakeredis"
        raise _refusal(
            f"connects by a class of its own, {made.__module__}.{made.__name__}",
            "it reaches no server: use Cache('memory://') in tests" if is_fake else A_URL,
        )
    for method in ("make_connection", "get_connection"):
        if getattr(type(pool), method).__module__ != kind.pool.__module__:
            raise _refusal(f"has a pool of its own, {type(pool).__name__}", A_URL)
    if pool.connection_kwargs.get("redis_connect_func") is not None:
        raise _refusal(
            "has a redis_connect_func, which only its own connections would run",
            f"make it without: name, db, user and protocol can be given plainly; or {A_URL}",
        )


def _checked(given: Mapping[str, Any], kind: _ClientKind) -> dict[str, Any]:
    """Return the arguments that are fields of a `Target`, checked as options of a URL."""
    # redis-py writes its defaults among the client's arguments: they cannot be told from a time-out
    # that the user wrote, but by their value.
    default = kind.plain()  # connects to nothing
    found: dict[str, Any] = {}
    for name in (*TAKEN, *TIMES):
        value = given.get(name)
        is_default = name in TIMES and value == getattr(default, name)
        if value is not None and value != "" and not is_default:
            found[name] = checked_option(name, value)
    return found


def _options(options: Mapping[str, Any], scheme: str) -> dict[str, Any]:
    """Return the options beside a client, checked; those that would lead elsewhere are refused."""
    for name in OF_THE_PLACE:
        if name in options:
            raise UsageError(
                f"{name} of Cache() and a client contradict each other",
                code="DC188",
                help=f"make the client with {name}, or {A_URL}",
            )
    refuse_unknown(options, options_of(scheme), owner="a client's Cache()")
    return {k: checked_option(k, value) for k, value in options.items() if value is not None}


def _place(target: Target) -> tuple[Any, ...]:
    return (target.host, target.port, target.path, target.db, target.is_tls, target.username)


def _refusal(what: str, mend: str) -> UsageError:
    return UsageError(f"the client {what}: it cannot be followed", code="DC187", help=mend)
