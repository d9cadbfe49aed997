"""Ops of a cluster: what is done at one node, and at several at once."""

from __future__ import annotations

from typing import Any, TypeVar

from dualcache.core.ops import Op

__all__ = ["Apart", "At", "ReadTopology"]

T = TypeVar("T")


class At(Op[T]):
    """Perform an op at this node, whatever its keys."""

    node: str
    op: Op[T]


class Apart(Op["tuple[Any, ...]"]):
    """Perform ops at their nodes, all at once; replies for each its reply or a `BackendError`."""

    parts: tuple[At[Any], ...]


class ReadTopology(Op[bool]):
    """Ask the cluster anew which node has which slot; tell whether slots are on their way."""
