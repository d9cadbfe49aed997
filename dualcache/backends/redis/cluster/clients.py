"""redis-py's clients of a cluster, as users get them: they find the nodes by themselves."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

from dualcache.backends.redis.connections import tls_arguments
from dualcache.backends.redis.redis_py import import_redis

if TYPE_CHECKING:
    from dualcache.options.target import Target

__all__ = ["make_async_cluster_client", "make_cluster_client"]


def make_cluster_client(target: Target) -> Any:
    """Make the client that users get as `cache.client`; it asks the cluster for its nodes."""
    import_redis()
    from redis.cluster import ClusterNode, RedisCluster

    nodes = [ClusterNode(host, port) for host, port in target.nodes]
    return RedisCluster(startup_nodes=nodes, **_arguments(target, RedisCluster))


def make_async_cluster_client(target: Target) -> Any:
    """Make the client that users get as `cache.aio.client`; it belongs to one event loop."""
    import_redis()
    from redis.asyncio.cluster import ClusterNode, RedisCluster

    arguments = _arguments(target, RedisCluster)
    nodes = [ClusterNode(host, port, **_of_node(arguments)) for host, port in target.nodes]
    return RedisCluster(startup_nodes=nodes, **arguments)


def _arguments(target: Target, kind: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "username": target.username,
        "password": target.password,
        "socket_timeout": target.socket_timeout,
        "socket_connect_timeout": target.socket_connect_timeout,
        "socket_keepalive": target.socket_keepalive,
        "health_check_interval": target.health_check_interval,
        "max_connections": target.max_connections,
        "protocol": target.protocol,
        "client_name": target.client_name,
    }
    if target.is_tls:
        arguments |= {"ssl": True} | tls_arguments(target)
    arguments |= target.redis_arguments
    parameters = signature(kind.__init__).parameters.values()
    takes_all = any(each.kind is Parameter.VAR_KEYWORD for each in parameters)
    known = {each.name for each in parameters}
    return {
        name: value
        for name, value in arguments.items()
        if value is not None and (takes_all or name in known)
    }


def _of_node(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of one node's connections: redis-py gives those of the client anew."""
    return {name: value for name, value in arguments.items() if name == "max_connections"}
