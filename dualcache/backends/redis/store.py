"""A server as the store of a cache: the connections of both colours, made on first use."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dualcache.backends.redis.async_loops import LoopConnections
    from dualcache.backends.redis.cluster.sync_cluster import SyncCluster
    from dualcache.backends.redis.errors import OnMissingRight
    from dualcache.backends.redis.sentinel.watch import MasterWatch
    from dualcache.backends.redis.sync_backend import SyncBackend
    from dualcache.core.ops import Op
    from dualcache.front.tracking import Tracking
    from dualcache.options.target import Target

__all__ = ["RedisStore"]

R = TypeVar("R")


class RedisStore:
    """Performs backend ops of both colours; each imports its part of redis-py when it begins.

    `on_open` is called after each connection that was opened, `on_missing_right` for each
    reply that says that a right is missing, where no event of the flow tells it. With a `watch`,
    the server is the master that it knows.
    """

    def __init__(
        self,
        target: Target,
        tracking: Tracking | None,
        watch: MasterWatch | None,
        on_open: Callable[[], None],
        on_missing_right: OnMissingRight | None = None,
    ) -> None:
        self._arguments = target, tracking, on_open, on_missing_right, watch
        self._watch = watch
        self._sync: SyncBackend | SyncCluster | None = None
        self._by_loop: LoopConnections | None = None

    def sync(self) -> Callable[[Op[Any]], Any]:
        """Return the function by which the sync colour performs an op."""
        from dualcache.backends.redis.sync_backend import SyncBackend

        self._sync = self._sync or SyncBackend(*self._arguments)
        return _watched(self._sync.perform, self._watch)

    def asynchronous(self) -> Callable[[Op[Any]], Awaitable[Any]]:
        """Return the function by which the async colour performs an op."""
        from dualcache.backends.redis.async_loops import LoopConnections
        from dualcache.backends.redis.async_per_loop import LoopConnection

        make = partial(LoopConnection, *self._arguments)
        self._by_loop = self._by_loop or LoopConnections(make, self._on_trio)
        return _watched(self._by_loop.perform, self._watch)

    def _on_trio(self) -> Callable[[Op[Any]], Awaitable[Any]]:
        """Return the function by which the async colour performs an op under trio."""
        from dualcache.backends.redis.trio_threads import TrioThreads

        target = self._arguments[0]
        return TrioThreads(self.sync(), target.max_connections, target.socket_timeout).perform

    def leave(self) -> None:
        """Drop all connections: the server behind the address may be another."""
        if self._sync is not None:
            self._sync.close()
        if self._by_loop is not None:
            self._by_loop.drop()

    def after_fork(self) -> None:
        """Begin anew in a forked child; the parent's connections are left alone."""
        for part in (self._watch, self._sync, self._by_loop):
            if part is not None:
                part.after_fork()

    def close(self) -> None:
        """Close the connections of the sync colour; forget those of loops that have ended."""
        if self._by_loop is not None:
            self._by_loop.forget_ended()
        for part in (self._sync, self._watch):
            if part is not None:
                part.close()

    async def aclose(self) -> None:
        """Close the running loop's connections."""
        if self._by_loop is not None:
            await self._by_loop.aclose()


def _watched(perform: Callable[[Op[Any]], R], watch: MasterWatch | None) -> Callable[[Op[Any]], R]:
    """Return a function that leaves a server before an op, if no Sentinel confirms it any more."""
    # The watch's thread leaves it by itself. This is for a process that was stopped meanwhile, and
    # for a thread that does not get its turn: nothing is read from a server out of the bound.
    if watch is None:
        return perform
    master = watch.master

    def watched_perform(op: Op[Any]) -> R:
        if monotonic() >= master.trusted_until:
            watch.leave_if_overdue()
        return perform(op)

    return watched_perform
