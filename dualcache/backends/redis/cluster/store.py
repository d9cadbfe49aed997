"""A cluster as the store of a cache: the connections of both colours to each of its nodes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from dualcache.backends.redis.store import RedisStore
from dualcache.front.of_nodes import FrontOfNodes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dualcache.backends.redis.errors import OnMissingRight
    from dualcache.core.ops import Op
    from dualcache.engine.nodes import Nodes
    from dualcache.front.tier import Front
    from dualcache.options.target import Target

__all__ = ["ClusterStore"]


class ClusterStore(RedisStore):
    """Performs backend ops of both colours, each part of an op at the node of its keys."""

    def __init__(
        self,
        target: Target,
        nodes: Nodes,
        front: Front | None,
        on_open: Callable[[], None],
        on_missing_right: OnMissingRight | None = None,
    ) -> None:
        super().__init__(target, None, None, on_open, on_missing_right)
        from dualcache.backends.redis.cluster.topology import Topology

        heard = front if isinstance(front, FrontOfNodes) else None
        self._topology = Topology(target, nodes, heard)
        if heard is not None:
            heard.pushes.follow(self._topology)
        self._callbacks = on_open, on_missing_right

    def sync(self) -> Callable[[Op[Any]], Any]:
        """Return the function by which the sync colour performs an op."""
        from dualcache.backends.redis.cluster.sync_cluster import SyncCluster

        self._sync = self._sync or SyncCluster(self._topology, *self._callbacks)
        return self._sync.perform

    def asynchronous(self) -> Callable[[Op[Any]], Awaitable[Any]]:
        """Return the function by which the async colour performs an op."""
        from dualcache.backends.redis.async_loops import LoopConnections
        from dualcache.backends.redis.cluster.async_cluster import LoopCluster

        make = partial(LoopCluster, self._topology, *self._callbacks)
        self._by_loop = self._by_loop or LoopConnections(make, self._on_trio)
        return self._by_loop.perform

    def after_fork(self) -> None:
        """Begin anew in a forked child; the parent's connections are left alone."""
        self._topology.after_fork()
        super().after_fork()
