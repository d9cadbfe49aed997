"""Tracking of data connections: which connection, which ops, and the commands that switch it on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from dualcache.backends.redis.wire.resp import pack
from dualcache.core.front_ports import UNTRACKED
from dualcache.core.ops import Batch, Look, LookAndLease

if TYPE_CHECKING:
    from dualcache.core.ops import Op
    from dualcache.front.tracking import Redirect

__all__ = ["UNTRACKED", "TrackedConnection", "is_tracked", "stamped", "tracking_commands"]

_TRACKED: Final = frozenset({Look, LookAndLease})
"""The ops whose reads are to be pushed: to keep what was read, and to wake who waits."""


def is_tracked(op: Op[Any]) -> bool:
    """Tell whether the reads of an op, or of a batch's first, are to be pushed."""
    kind = type(op)
    return kind in _TRACKED or (isinstance(op, Batch) and type(op.ops[0]) in _TRACKED)


def stamped(op: Op[Any], reply: Any, push_epoch: int) -> Any:
    """Return the reply to an op, with the stream for which the server tracks each of its reads."""
    if not isinstance(op, Batch):
        return replace(reply, push_epoch=push_epoch)
    return tuple(
        [
            replace(each, push_epoch=push_epoch) if type(part) in _TRACKED else each
            for part, each in zip(op.ops, reply, strict=True)
        ]
    )


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
