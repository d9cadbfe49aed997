"""What a node tells its listener about the cluster, with each proof. No I/O, no clock.

A node goes on answering after its slots have gone elsewhere, and pushes nothing of them then. Cut
off from the others it does not even know that. So a proof counts only while the node serves, and
has the slots that it had at the proof before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.backends.redis.push.transports import Question
from dualcache.backends.redis.wire.cluster import ReadSlots, slots_in
from dualcache.core.slots import slot_of
from dualcache.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.front.pushes import HeardTier

__all__ = ["ClusterView"]

STATE: Final = ("CLUSTER", "INFO")
SLOTS: Final = ("CLUSTER", "SLOTS")
SERVES: Final = b"cluster_state:ok"
MOST_DRAWS: Final = 200_000
"""How many names are tried for a node that has a slot: twelve times as many as there are slots."""


class ClusterView:
    """The slots of a cluster, as one node sees them.

    `adopt` is given each new view, and again with each proof until it believes all of it.
    """

    def __init__(
        self, node: str, front: HeardTier, adopt: Callable[[Sequence[str | None]], bool]
    ) -> None:
        self._node = node
        self._front = front
        self._asking = ReadSlots(node.rpartition(":")[0])
        self._adopt = adopt
        self._told: Any = None
        self._is_believed = False
        self._slots: Sequence[str | None] = ()

    def questions(self) -> list[Question]:
        """Return the questions to ask before the proof counts; bad answers raise."""
        return [Question(STATE, self._told_state), Question(SLOTS, self._told_slots)]

    def has(self, name: str) -> bool:
        """Tell whether the node has the slot of a key, by its own view."""
        return self._slots[slot_of(name)] == self._node

    def own_name(self, start: str) -> str | None:
        """Return a name that begins so and belongs to the node; `None`: there is none.

        The node may have one slot of 16 384. It may have none at all, as a primary that has just
        been replaced; with a hash tag in `start` all names are in one slot.
        """
        # Two names that differ in one bit are in different slots, unless a hash tag decides.
        is_tagged = slot_of(f"{start}0") == slot_of(f"{start}1")
        draws = 1 if is_tagged else MOST_DRAWS if self._node in self._slots else 0
        names = (f"{start}{n}" for n in range(draws))
        return next((name for name in names if self.has(name)), None)

    def _told_state(self, reply: bytes) -> None:
        # A primary that is cut off from most of the others stops serving after the time-out of the
        # cluster, before one of its replicas is elected. It answers PING all the same.
        if SERVES not in reply:
            made = BackendRefused("the node does not serve: its cluster is down", code="DC203")
            made.prefix = "CLUSTERDOWN"
            raise made

    def _told_slots(self, reply: Any) -> None:
        if reply != self._told:
            slots, before = slots_in(reply, self._asking), self._slots
            self._told, self._slots = reply, slots
            if slots != before:  # else it is other replicas
                self._is_believed = False
                if before:
                    self._front.broken()
        if not self._is_believed:
            self._is_believed = self._adopt(self._slots)
