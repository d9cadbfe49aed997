"""Tracking of data connections: which connection, which ops, and the commands that switch it on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from dualcache.backends.redis.wire.cluster import Exchange
from dualcache.backends.redis.wire.resp import pack
from dualcache.core.apart import Heard
from dualcache.core.front_ports import UNTRACKED, heard_together
from dualcache.core.ops import Batch, Look, LookAndLease, MakeTag, ReadTags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.front_ports import PushEpoch
    from dualcache.core.ops import Op
    from dualcache.front.tracking import Redirect

__all__ = [
    "UNTRACKED",
    "TrackedConnection",
    "heard_part",
    "is_tracked",
    "stamped",
    "tracking_commands",
    "unheard",
]

_TRACKED: Final = frozenset({Look, LookAndLease})
"""The ops whose reads are to be pushed: to keep what was read, and to wake who waits."""
_TRACKED_PARTS: Final = _TRACKED | {MakeTag, ReadTags}
"""The same for the part of a read at one node, which may be that of its tags alone."""


def is_tracked(op: Op[Any]) -> bool:
    """Tell whether the reads of an op, or of a batch's first, are to be pushed."""
    kind = type(op)
    if kind is Exchange:
        part = op.op  # type: ignore[attr-defined]
        atoms = part.ops if isinstance(part, Batch) else (part,)
        return any(type(atom) in _TRACKED_PARTS for atom in atoms)
    return kind in _TRACKED or (isinstance(op, Batch) and type(op.ops[0]) in _TRACKED)


def stamped(op: Op[Any], reply: Any, push_epoch: int) -> Any:
    """Return the reply to an op, with the stream for which the server tracks each of its reads."""
    if type(op) is Exchange:
        return Heard(reply, push_epoch)
    if not isinstance(op, Batch):
        return replace(reply, push_epoch=push_epoch)
    return tuple(
        [
            replace(each, push_epoch=push_epoch) if type(part) in _TRACKED else each
            for part, each in zip(op.ops, reply, strict=True)
        ]
    )


def unheard(op: Op[Any], reply: Any) -> Any:
    """Return the reply to an op that was asked while no stream was up."""
    return Heard(reply, UNTRACKED) if type(op) is Exchange else reply


def heard_part(op: Op[Any], reply: Any, push_epochs: Sequence[PushEpoch]) -> Any:
    """Return the reply to a part, with the streams of the nodes that carried it out."""
    if not push_epochs:  # there is no front tier
        return reply
    push_epoch = heard_together(push_epochs)
    if type(op) in _TRACKED:
        return replace(reply, push_epoch=push_epoch)
    return Heard(reply, push_epoch)


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
