"""From a redis-py client of the user's to the `Target` of our own connections.

Our connections go where that client's go, in the same way, or the client is refused: each argument
that it was made with is followed, is known not to matter, or ends in a `UsageError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.backends.redis.given_arguments import A_URL, followed, refusal
from dualcache.backends.redis.given_fleet import (
    asks_sentinels,
    cluster_colour,
    target_of_cluster,
    target_of_service,
)
from dualcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualcache.backends.redis.given_arguments import Colour
    from dualcache.options.target import Target

__all__ = ["check_client", "target_of_client", "target_of_clients"]


class _ClientKind(NamedTuple):
    """The colour of a client of one server, and the connection classes that ours can replace."""

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
    if not _is_same_place(targets[0], targets[-1]):
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
    found = _colour_of(client)
    if found is None:
        raise UsageError(
            f"the client is of type {type(client).__name__}, not {wanted}",
            code="DC176",
            help=_fix_of_other(client, wanted),
        )
    if found != colour:
        raise UsageError(
            f"the client is {found}, where a client for {colour} calls is needed",
            code="DC176",
            help=f"give a {wanted}, or a URL, which serves both",
        )
    made: Any = client
    if made.get_encoder().decode_responses:
        raise UsageError(
            "the client decodes its replies, so stored bytes would be lost",
            code="DC177",
            help="make it without decode_responses=True, or give a URL",
        )


def target_of_client(client: Any, options: Mapping[str, Any]) -> Target:
    """Return where a user's own client is connected, and how our connections get there."""
    kind = _kind_of(client)
    if kind is None:
        return target_of_cluster(client, options)
    pool = client.connection_pool
    _check_pool(pool, kind)
    given: dict[str, Any] = {k: v for k, v in pool.connection_kwargs.items() if v is not None}
    default = kind.plain()  # connects to nothing
    if asks_sentinels(pool):
        return target_of_service(pool, options, default)
    made = pool.connection_class
    scheme = "unix" if made is kind.unix else "rediss" if made is kind.tls else "redis"
    place: dict[str, Any] = (
        {"path": given.get("path", "")}
        if scheme == "unix"
        else {"host": given.get("host", "localhost"), "port": int(given.get("port", 6379))}
    )
    place |= {"scheme": scheme, "is_tls": scheme == "rediss"}
    return followed(given, options, place, default)


def _colour_of(client: object) -> Colour | None:
    """Return the colour of a client; `None` for what is none, or holds no connections."""
    kind = _kind_of(client)
    return cluster_colour(client) if kind is None else kind.colour


def _kind_of(client: object) -> _ClientKind | None:
    """Return the kind of a client of one server; `None` for one that holds no pool."""
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


def _fix_of_other(client: object, wanted: str) -> str:
    if "Pipeline" in type(client).__name__:
        return "give the client that the pipeline was made from"
    return f"give a {wanted}, or a URL"


def _check_pool(pool: Any, kind: _ClientKind) -> None:
    """Refuse a pool that connects in a way that ours cannot follow."""
    made = pool.connection_class
    if made not in {kind.plain, kind.tls, kind.unix} and not asks_sentinels(pool):
        is_fake = made.__module__.partition(".")[0] == "fakeredis"
        raise refusal(
            f"connects by a custom class, {made.__module__}.{made.__name__}",
            "it reaches no server: use Cache('memory://') in tests" if is_fake else A_URL,
        )
    for method in ("make_connection", "get_connection"):
        module = getattr(type(pool), method).__module__
        if module != kind.pool.__module__ and not asks_sentinels(pool):
            raise refusal(f"has a custom pool, {type(pool).__name__}", A_URL)
    if pool.connection_kwargs.get("redis_connect_func") is not None:
        raise refusal(
            "has a redis_connect_func, which only its own connections would run",
            f"make it without that (name, db, user and protocol are options), or {A_URL}",
        )


def _is_same_place(one: Target, other: Target) -> bool:
    """Decide whether two clients are connected to the same server, service or cluster."""

    def place(target: Target) -> tuple[Any, ...]:
        server = (target.host, target.port, target.path, target.service)
        return (*server, target.db, target.is_tls, target.username)

    def meet(addresses: Any, others: Any) -> bool:
        # A client that has connected knows nodes that another was not told of.
        return addresses == others or not {*addresses}.isdisjoint(others)

    is_same_fleet = meet(one.nodes, other.nodes) and meet(one.sentinels, other.sentinels)
    return is_same_fleet and place(one) == place(other)
