"""Where a backend keeps its values: in this process, or on a server or the nodes of a cluster."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from dualcache.backends.memory import MemoryStore
from dualcache.backends.null import NullStore
from dualcache.backends.redis.cluster.store import ClusterStore
from dualcache.backends.redis.credentials import on_renewal
from dualcache.backends.redis.store import RedisStore
from dualcache.core.ops import CommitWay
from dualcache.engine.commit_ways import try_all_again_soon
from dualcache.engine.missing_rights import note_missing_right

if TYPE_CHECKING:
    from dualcache.backends.redis.sentinel.watch import MasterWatch
    from dualcache.engine.env import Env
    from dualcache.front.tier import Front
    from dualcache.options.target import Target

__all__ = ["local_store", "server_store"]

_MEMORY_WAYS: Final = (CommitWay.IFEQ,)


def server_store(
    target: Target, env: Env, front: Front | None, watch: MasterWatch | None
) -> RedisStore:
    """Return the connections to a server, or to the nodes of a cluster; none is open."""
    tracking = None if front is None else front.tracking
    callbacks = [partial(each, env) for each in (try_all_again_soon, note_missing_right)]
    on_renewal(target, env.leave_server)
    if env.nodes is not None:
        return ClusterStore(target, env.nodes, front, *callbacks)
    return RedisStore(target, tracking, watch, *callbacks)


def local_store(target: Target, env: Env) -> MemoryStore | NullStore:
    """Return the store of a backend in this process."""
    if target.kind == "null":
        env.health.ways = ()
        return NullStore()
    env.health.ways = _MEMORY_WAYS
    return MemoryStore(env.elapsed_ms, target.max_entries, target.max_bytes)
