"""The op by which a flow starts another one that nobody waits for."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from dualcache.core.ops import Op

if TYPE_CHECKING:
    from dualcache.core.flight import Join
    from dualcache.core.ops import Flow

__all__ = ["Spawn", "SpawnReply"]


class SpawnReply(Enum):
    STARTED = "started"
    RUNNING = "running"
    """A background flow of this key, and of each of the others, runs in this process already."""
    FULL = "full"
    """As many run as may."""


class Spawn(Op[SpawnReply]):
    """Run `flow` in the background: in a task of this loop, or in a separate thread.

    One flow of a key runs at a time in a process; if the reply is not STARTED, `flow` has not
    begun. It runs in a copy of the caller's context. A close of the cache waits for it, but not for
    long.

    `others` are more keys that the flow is for. It begins unless one runs for each of them already,
    so it may find that some of its keys are being loaded.

    `is_awaited`: the caller waits for the value that the flow loads, so others of this key may run
    beside it. With `join` the flow goes on leading the flight that this leads.
    """

    key: str
    flow: Flow[Any]
    is_awaited: bool = False
    join: Join | None = None
    others: tuple[str, ...] = ()
