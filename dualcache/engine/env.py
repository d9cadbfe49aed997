"""The surroundings of a flow: clocks and randomness come in here, events go out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from dualcache.core.front_ports import NO_TIER

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.events import Event, Tier
    from dualcache.core.front_ports import TierPort
    from dualcache.core.ops import Flow
    from dualcache.engine.acknowledged import Acknowledged
    from dualcache.engine.health import Health
    from dualcache.engine.nodes import Nodes

__all__ = ["Env"]


class Env(Struct):
    """One cache's surroundings, shared by all its flows.

    `now_ms` is the wall clock that entries are stamped with, `elapsed_ms` one that never goes back;
    `draw_token` gives 8 random bytes, `draw` a float in [0, 1), `sequence` a number larger than any
    before. `prefix` is the namespace and its `:`, or nothing; `channel` that on which revoked names
    are published, or nothing where that is off.
    """

    now_ms: Callable[[], int]
    elapsed_ms: Callable[[], int]
    draw_token: Callable[[], bytes]
    draw: Callable[[], float]
    sequence: Callable[[], int]
    emit: Callable[[Event], None]
    health: Health
    front: TierPort = NO_TIER
    prefix: str = ""
    channel: str = ""
    tier: Tier = "redis"
    timeout_ms: int = 0
    """How long a call waits for the backend, for messages; 0 where nothing is waited for."""
    is_strict: bool = False
    hits_are_heard: bool = False
    misses_are_heard: bool = True
    """Whether a miss and its load are events: where nobody listens they are not made."""
    keys_are_told: bool = False
    """Whether events carry the keys that they are about: somebody asked for them."""
    traced: Callable[[str, Flow[Any]], Flow[Any]] | None = None
    """Puts a span around the flow of an invalidation, by its label; `None`: nobody traces."""
    acknowledged: Acknowledged | None = None
    """The deletions that a failover may lose; `None`: there is no other server."""
    leave_server: Callable[[], None] = lambda: None
    """Drops all connections: those that are made next may lead to another server."""
    nodes: Nodes | None = None
    """The nodes of a cluster; `None`: there is one server."""
    node: str = ""
    """The node whose `health` this is; nothing: it is that of the whole backend."""
