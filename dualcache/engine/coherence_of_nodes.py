"""The machine of `coherence.py` for the nodes of a cluster: a stream of pushes from each.

A key's changes are pushed by the node that has its slot, and by no other. So an entry depends on
the streams of all nodes at which it was read: that of its key, and those of its tags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.engine.coherence import CLOSED, Coherence

if TYPE_CHECKING:
    from dualcache.core.front_ports import PushEpoch

__all__ = ["NodesCoherence"]


class NodesCoherence(Coherence):
    """The state of the streams of several nodes.

    Each has a separate number, which the reads at its node carry; no number comes twice. A loss of
    one stream is a loss of all that is kept: `epoch` rises, and the caller empties the tier. So
    whatever is kept was read at nodes whose streams are up, and `open_until` is the earliest end of
    these, whichever of them an entry depends on.
    """

    __slots__ = ("_open_until",)

    def __init__(self, max_staleness: float) -> None:
        super().__init__(max_staleness)
        self._open_until: dict[int, float] = {}

    def node_connected(self, asked_at: float) -> int:
        """Open the stream of a node, complete since `asked_at`; return its number."""
        # No new epoch: what was read at this node before has another number, or none, and what was
        # read elsewhere does not depend on it.
        self.push_epoch += 1
        self._open_until[self.push_epoch] = asked_at + self.max_staleness
        self._settle()
        return self.push_epoch

    def node_lost(self, push_epoch: int) -> bool:
        """Close the stream of a node: all that is kept must go. Return whether it was up."""
        if self._open_until.pop(push_epoch, None) is None:
            return False
        self.epoch += 1
        self._settle()
        return True

    def is_node_up(self, push_epoch: int) -> bool:
        """Tell whether the stream of this number is up."""
        return push_epoch in self._open_until

    def node_proved(self, push_epoch: int, asked_at: float) -> None:
        """Note that a node's pushes of writes acknowledged before `asked_at` have been fed."""
        open_until = self._open_until.get(push_epoch)
        if open_until is not None:
            self._open_until[push_epoch] = max(open_until, asked_at + self.max_staleness)
            self._settle()

    def lost(self) -> None:
        """Close the streams of all nodes."""
        self._open_until.clear()
        super().lost()

    def _settle(self) -> None:
        self.is_up = bool(self._open_until)
        self.open_until = min(self._open_until.values(), default=CLOSED)

    def _is_heard(self, push_epoch: PushEpoch) -> bool:
        # Of a read that tells no stream nobody knows at which node it was.
        if isinstance(push_epoch, tuple):
            return all(each in self._open_until for each in push_epoch)
        return push_epoch in self._open_until
