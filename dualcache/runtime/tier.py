"""The front tier of one backend, put together with its source of changes."""

from __future__ import annotations

import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod, finalize

from dualcache.front.of_nodes import FrontOfNodes
from dualcache.front.pushes import LocalWrites, NoPushes
from dualcache.front.tier import Front
from dualcache.observability.stats import FrontNodeStats, FrontStats

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from dualcache.backends.redis.sentinel.watch import MasterWatch
    from dualcache.drivers.changes import Changes
    from dualcache.front.pushes import Pushes
    from dualcache.options.front_tier import FrontTier
    from dualcache.options.target import Target
    from dualcache.typing import Clock

    class Owner(Protocol):
        """A backend, as its front tier sees it."""

        target: Target
        changes: Changes
        watch: MasterWatch | None

        def leave_server(self) -> None: ...

        def master_changed(self) -> None: ...


__all__ = ["front_stats_of", "make_front", "make_watch", "weakly"]


def make_front(
    owner: Owner,
    options: FrontTier | None,
    *,
    prefix: str,
    channel: str,
    max_staleness: float,
    clock: Clock | None,
) -> Front | None:
    """Return the front tier that a backend was asked for; its listener ends with the `owner`.

    The listener's thread keeps itself and the tier alive, so neither may know the owner.
    """
    target = owner.target
    if options is None or target.kind == "null":
        return None
    kind, listen = _listening(owner, options, prefix, max_staleness, is_publishing=bool(channel))
    front = kind(
        options,
        max_staleness=max_staleness,
        now=clock or time.monotonic,
        draw=random.random,
        changes=owner.changes,
        listen=listen,
        prefix=prefix,
        where=target.safe_url,
    )
    finalize(owner, front.pushes.stop).atexit = False
    return front


def _listening(
    owner: Owner, options: FrontTier, prefix: str, max_staleness: float, *, is_publishing: bool
) -> tuple[type[Front], Callable[[Any], Pushes]]:
    """Return the kind of front tier, and what makes its source of pushes."""
    target = owner.target
    if target.kind != "redis":
        return Front, LocalWrites
    from dualcache.backends.redis.push.transports import transports_for

    transports = transports_for(options.transport, is_publishing=is_publishing)
    common: dict[str, Any] = {"prefix": prefix, "max_staleness": max_staleness}
    if target.nodes:
        if options.transport == "ttl":
            return Front, partial(NoPushes, reason="asked for")
        from dualcache.backends.redis.push.of_nodes import NodeListeners

        return FrontOfNodes, partial(NodeListeners, transports=transports, **common)
    from dualcache.backends.redis.push.listener import Listener

    return Front, partial(
        Listener,
        target=target,
        transports=transports,
        leave_server=weakly(owner.leave_server),
        watch=owner.watch,
        **common,
    )


def front_stats_of(front: Front | None, hits: int) -> FrontStats | None:
    """Return the state of a front tier: its size, its transport and its losses."""
    if front is None:
        return None
    entries, used_bytes = front.sizes()
    return FrontStats(
        front.transport,
        front.reason,
        front.coherence.is_up,
        entries,
        used_bytes,
        hits,
        front.losses,
        _nodes_of(front),
        front.evictions,
    )


def _nodes_of(front: Front) -> tuple[FrontNodeStats, ...]:
    """Return how the primaries of a cluster are heard; none where there is one server."""
    if not isinstance(front, FrontOfNodes):
        return ()
    return tuple([FrontNodeStats(*each) for each in front.heard_nodes()])


def make_watch(owner: Owner, max_staleness: float) -> MasterWatch | None:
    """Return the watch over the master of a backend's service; it ends with the `owner`."""
    target = owner.target
    if not target.sentinels:
        return None
    from dualcache.backends.redis.sentinel.watch import MasterWatch

    watch = MasterWatch(
        target,
        max_staleness,
        on_silence=weakly(owner.leave_server),
        on_change=weakly(owner.master_changed),
    )
    finalize(owner, watch.stop).atexit = False
    return watch


def weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls a method while its object is alive, and does not keep it."""
    reference = WeakMethod(method)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    return call
