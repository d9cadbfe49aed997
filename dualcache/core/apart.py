"""Ops of a cluster: what is done at one node, and at several at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from dualcache.core.ops import Op

if TYPE_CHECKING:
    from dualcache.core.front_ports import PushEpoch

__all__ = ["Apart", "At", "Heard", "ReadTopology"]

T = TypeVar("T")


class At(Op[T]):
    """Perform an op at this node, whatever its keys."""

    node: str
    op: Op[T]


class Apart(Op["tuple[Any, ...]"]):
    """Perform ops at their nodes, all at once; replies for each its reply or a `BackendError`."""

    parts: tuple[At[Any], ...]


class Heard(NamedTuple):
    """The reply to a part that reads, and the streams that push the changes of what was read.

    A read of one key has them in its own reply instead.
    """

    reply: Any
    push_epoch: PushEpoch


class ReadTopology(Op[bool]):
    """Ask the cluster anew which node has which slot; tell whether slots are on their way."""
