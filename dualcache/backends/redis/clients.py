"""The raw redis-py clients that a cache hands out: made on first use, or the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from dualcache.errors import MissingClientError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    import redis
    import redis.asyncio as redis_asyncio

    from dualcache.options.target import Target


__all__ = ["Clients"]


class Clients:
    """One sync client, and one async client for each event loop."""

    def __init__(self, target: Target, own: Any = None, own_async: Any = None) -> None:
        self._target = target
        self._own = own
        self._own_async = own_async
        self._made: redis.Redis | None = None
        self._by_loop: WeakKeyDictionary[AbstractEventLoop, redis_asyncio.Redis] = (
            WeakKeyDictionary()
        )
        self._of_parents: list[object] = []

    def sync(self) -> redis.Redis:
        """Return the sync client; `MissingClientError` where there is no server."""
        if self._own is not None:
            return self._own  # type: ignore[no-any-return]
        self._require_server()
        if self._made is None:
            self._made = _made(self._target)
        return self._made

    def asynchronous(self) -> redis_asyncio.Redis:
        """Return the async client of the running loop, or the user's own."""
        if self._own_async is not None:
            return self._own_async  # type: ignore[no-any-return]
        self._require_server()
        from dualcache.drivers.async_loop import asyncio_loop

        # A pool of redis-py's belongs to the loop that opened its connections: shared by several it
        # raises, or waits for ever on a lock of the other loop.
        loop = asyncio_loop()
        if loop is None:
            raise MissingClientError(
                "redis-py's async client needs asyncio, and no loop of asyncio runs here",
                code="DC481",
                help="under trio call cache.client in a thread: trio.to_thread.run_sync()",
            )
        client = self._by_loop.get(loop)
        if client is None:
            client = self._by_loop[loop] = _async_made(self._target)
        return client

    def after_fork(self) -> None:
        """Begin anew in a forked child; the parent's clients are kept aside."""
        # The sync pool compares the pid by itself. An async one does not: it would write into the
        # parent's sockets, and collecting it would close them.
        self._of_parents.append(dict(self._by_loop))
        self._by_loop = WeakKeyDictionary()

    def close(self) -> None:
        """Close the sync client that was made here; the user's own stays open."""
        made, self._made = self._made, None
        if made is not None:
            made.close()

    async def aclose(self) -> None:
        """Close the running loop's client, and the sync one."""
        from dualcache.drivers.async_loop import asyncio_loop

        loop = asyncio_loop()
        client = None if loop is None else self._by_loop.pop(loop, None)
        if client is not None:
            await client.aclose()
        self.close()

    def _require_server(self) -> None:
        if self._target.kind != "redis":
            raise MissingClientError(
                f"a cache on {self._target.scheme}:// has no Redis client",
                code="DC209",
                help="give the Cache a redis:// URL, or set DUALCACHE_URL",
            )


def _made(target: Target) -> redis.Redis:
    if target.sentinels:
        from dualcache.backends.redis.sentinel.clients import make_master_client as make
    elif target.nodes:
        from dualcache.backends.redis.cluster.clients import make_cluster_client as make
    else:
        from dualcache.backends.redis.connections import make_client as make
    return make(target)


def _async_made(target: Target) -> redis_asyncio.Redis:
    if target.sentinels:
        from dualcache.backends.redis.sentinel.clients import make_async_master_client as make
    elif target.nodes:
        from dualcache.backends.redis.cluster.clients import make_async_cluster_client as make
    else:
        from dualcache.backends.redis.connections import make_async_client as make
    return make(target)
