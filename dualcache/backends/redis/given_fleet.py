"""From a user's own client of a Cluster, or of a service of Sentinels, to a `Target`."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any, Final

from dualcache.backends.redis.given_arguments import VERBATIM, followed, refusal
from dualcache.options.place import Address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualcache.backends.redis.given_arguments import Colour
    from dualcache.options.target import Target

__all__ = ["asks_sentinels", "cluster_colour", "target_of_cluster", "target_of_service"]

OF_A_CLUSTER: Final = frozenset(
    (
        *("ssl", "connection_class", "max_connections", "response_callbacks"),
        *("redis_connect_func", "oss_cluster_maint_notifications_handler"),
    )
)
"""What redis-py has among the arguments of a cluster's connections besides those of a server's."""
SENTINELS_URL: Final = "give a URL instead: Cache('redis+sentinel://host:26379/mymaster')"
CLUSTER_URL: Final = "give a URL instead: Cache('redis+cluster://host:7000')"


def cluster_colour(client: object) -> Colour | None:
    """Return the colour of a client of a cluster; `None` for any other object."""
    from redis import asyncio
    from redis.cluster import ClusterPipeline, RedisCluster

    if isinstance(client, RedisCluster):
        return None if isinstance(client, ClusterPipeline) else "sync"
    return "async" if isinstance(client, asyncio.RedisCluster) else None


def target_of_cluster(client: Any, options: Mapping[str, Any]) -> Target:
    """Return the nodes that a client of a cluster knows, and how our connections get there."""
    given: dict[str, Any] = client.get_connection_kwargs()
    plain, tls, pool = _classes_of_cluster(client)
    made = given.get("connection_class", plain)
    if made not in {plain, tls}:
        raise refusal(f"connects by a custom class, {made.__name__}", CLUSTER_URL)
    manager = client.nodes_manager
    if getattr(manager, "connection_pool_class", pool) is not pool:
        raise refusal("has custom pools", CLUSTER_URL)
    if manager.address_remap is not None:
        raise refusal(
            "changes the addresses of nodes by address_remap",
            "let the nodes announce the addresses that clients can reach",
        )
    connect = given.get("redis_connect_func")
    is_own = connect is None or getattr(connect, "__self__", None) is client
    if not is_own or getattr(client, "user_on_connect_func", None) is not None:
        raise refusal(
            "has a redis_connect_func, which only its own connections would run",
            f"make it without that (name, user and protocol are options), or {CLUSTER_URL}",
        )
    is_tls = made is tls or bool(given.get("ssl"))
    place = {
        "scheme": "rediss+cluster" if is_tls else "redis+cluster",
        "is_tls": is_tls,
        "nodes": tuple(
            [Address(str(node.host), int(node.port)) for node in manager.startup_nodes.values()]
        ),
    }
    return followed(given, options, place, plain(), OF_A_CLUSTER)


def _classes_of_cluster(client: object) -> tuple[Any, Any, Any]:
    """Return the connection classes that ours can replace, and the pool of redis-py's."""
    if cluster_colour(client) == "sync":
        from redis import connection

        return connection.Connection, connection.SSLConnection, connection.ConnectionPool
    from redis.asyncio import connection as async_connection

    return async_connection.Connection, async_connection.SSLConnection, None


def asks_sentinels(pool: Any) -> bool:
    """Tell whether a pool is redis-py's own for the servers of a service."""
    from redis import sentinel
    from redis.asyncio import sentinel as async_sentinel

    for module in (sentinel, async_sentinel):
        kinds = module.SentinelManagedConnection, module.SentinelManagedSSLConnection
        if isinstance(pool, module.SentinelConnectionPool):
            return pool.connection_class in kinds
    return False


def target_of_service(pool: Any, options: Mapping[str, Any], default: Any) -> Target:
    """Return the Sentinels that a client's pool asks, and how our connections get to the master."""
    manager = pool.sentinel_manager
    if not pool.is_master:
        raise refusal("reads from replicas", "give the client that Sentinel.master_for() returns")
    for name in ("min_other_sentinels", "_force_master_ip"):
        if getattr(manager, name, None):
            option = name.lstrip("_")
            raise refusal(f"asks Sentinels with {option}", f"leave it out, or {SENTINELS_URL}")
    pools = [each.connection_pool for each in manager.sentinels]
    is_tls = "SSL" in pool.connection_class.__name__
    is_sentinel_tls = "SSL" in pools[0].connection_class.__name__
    asked: dict[str, Any] = pools[0].connection_kwargs
    given = dict(pool.connection_kwargs)
    if is_sentinel_tls:
        _adopt_tls(given, asked, is_tls=is_tls)
    place = {
        "scheme": "rediss+sentinel" if is_tls else "redis+sentinel",
        "is_tls": is_tls,
        "sentinels": tuple([_address_of(each.connection_kwargs) for each in pools]),
        "service": pool.service_name,
        "sentinel_username": asked.get("username") or None,
        "sentinel_password": asked.get("password") or None,
        "sentinel_provider": asked.get("credential_provider"),
        "sentinel_ssl": is_sentinel_tls,
    }
    return followed(given, options, place, default, ("connection_pool",))


def _address_of(arguments: Mapping[str, Any]) -> Address:
    return Address(str(arguments["host"]), int(arguments["port"]))


def _adopt_tls(given: dict[str, Any], asked: Mapping[str, Any], *, is_tls: bool) -> None:
    """Take over the certificates of the Sentinels; refuse others than the master's."""
    from redis.connection import SSLConnection

    defaults = signature(SSLConnection).parameters
    for name in VERBATIM & defaults.keys():
        if not name.startswith("ssl_"):
            continue
        of_master, of_sentinels = (
            defaults[name].default if each.get(name) is None else each[name]
            for each in (given, asked)
        )
        if is_tls and of_master != of_sentinels:
            raise refusal(
                f"has another {name} for its Sentinels than for the master",
                "use one for both: give it to Sentinel() and in sentinel_kwargs",
            )
        given[name] = of_sentinels
