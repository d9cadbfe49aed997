"""redis-py's own clients of a master that Sentinels name, as `cache.client` hands them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.backends.redis.connections import pool_arguments
from dualcache.backends.redis.redis_py import import_redis
from dualcache.backends.redis.sentinel.asking import sentinel_target

if TYPE_CHECKING:
    import redis
    import redis.asyncio as redis_asyncio

    from dualcache.options.target import Target

__all__ = ["make_async_master_client", "make_master_client"]

NOT_OF_A_SENTINEL = ("connection_class", "host", "port", "max_connections", "timeout")
"""Arguments of our own pool that a redis-py client of one Sentinel does not take, or has apart."""


def make_master_client(target: Target) -> redis.Redis:
    """Make a client whose connections ask the Sentinels; closing it closes all of them."""
    import_redis()
    from redis import connection, retry, sentinel

    class Pool(sentinel.SentinelConnectionPool):
        def close(self) -> None:
            super().close()
            for each in self.sentinel_manager.sentinels:
                each.close()

    manager = _manager(target, sentinel.Sentinel, connection, retry.Retry)
    made: redis.Redis = manager.master_for(
        target.service,
        connection_pool_class=Pool,
        ssl=target.is_tls,
        **_arguments(target, connection, retry.Retry),
    )
    return made


def make_async_master_client(target: Target) -> redis_asyncio.Redis:
    """Make the asyncio twin, which belongs to one event loop."""
    import_redis()
    from redis.asyncio import connection, retry, sentinel

    class Pool(sentinel.SentinelConnectionPool):
        async def aclose(self) -> None:
            await super().aclose()
            for each in self.sentinel_manager.sentinels:
                await each.aclose()

    manager = _manager(target, sentinel.Sentinel, connection, retry.Retry)
    made: redis_asyncio.Redis = manager.master_for(
        target.service,
        connection_pool_class=Pool,
        ssl=target.is_tls,
        **_arguments(target, connection, retry.Retry),
    )
    return made


def _manager(target: Target, kind: Any, connection: Any, retry: Any) -> Any:
    """Return redis-py's `Sentinel`; `connection` and `retry` are its modules of the same colour."""
    one = sentinel_target(target, target.sentinels[0], target.socket_connect_timeout)
    arguments = _arguments(one, connection, retry) | {"ssl": one.is_tls, "max_connections": 1}
    return kind(list(target.sentinels), sentinel_kwargs=arguments)


def _arguments(target: Target, connection: Any, retry: Any) -> dict[str, Any]:
    made = pool_arguments(target, connection, retry)
    return {name: value for name, value in made.items() if name not in NOT_OF_A_SENTINEL}
