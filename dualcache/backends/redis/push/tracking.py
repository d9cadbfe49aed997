"""Tracking of data connections: which connection, which ops, and the commands that switch it on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.backends.redis.wire.resp import pack
from dualcache.core.front_ports import UNTRACKED
from dualcache.core.ops import Look, LookAndLease

if TYPE_CHECKING:
    from dualcache.front.tracking import Redirect

__all__ = ["TRACKED", "UNTRACKED", "TrackedConnection", "tracking_commands"]

TRACKED: Final = frozenset({Look, LookAndLease})
"""The ops whose reads are to be pushed: to keep what was read, and to wake who waits."""


class TrackedConnection:
    """A place in the pool: a connection, and the state of its tracking.

    `is_busy` from before the first byte is sent until all replies are read: one that comes back
    busy was interrupted, and its connection is not used again. `life` is that of the pool when it
    connected: a failure ends it for all, so that none of its connections is used again.
    """

    __slots__ = ("client_id", "connection", "is_busy", "life", "push_epoch")

    def __init__(self, connection: Any = None) -> None:
        self.connection = connection
        self.client_id = 0
        self.push_epoch = UNTRACKED
        self.is_busy = False
        self.life = 0


def tracking_commands(redirect: Redirect) -> bytes:
    """Write the commands that switch tracking on; the first of two replies is the client id."""
    on = ("CLIENT", "TRACKING", "ON", "REDIRECT", redirect.client_id)
    return pack(("CLIENT", "ID")) + pack(on)
