"""The nodes of a cluster, as flows see them: which has a slot, how each is, what each is owed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from dualcache.core.slots import SLOTS, slot_of
from dualcache.engine.acknowledged import AcknowledgedByNodes
from dualcache.engine.handovers import Handovers
from dualcache.engine.health import Health, PendingDeletion
from dualcache.errors import BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["UNKNOWN_NODE", "Nodes", "unsettled"]

E = TypeVar("E", bound=Struct)
"""An `Env`: that one knows these nodes."""
UNKNOWN_NODE: Final = "?"
"""The node of every slot before the topology is known, and of a slot that no node has."""


class Nodes:
    """Maps slots to nodes, and keeps a `Health` for each node.

    Threads may share one: `slots` is replaced as a whole, so a flow that finds it unchanged after
    it has looked at a node's health has looked at the right node.
    """

    def __init__(
        self,
        whole: Health,
        acknowledged: AcknowledgedByNodes | None = None,
        handovers: Handovers | None = None,
    ) -> None:
        self._whole = whole
        self.acknowledged = acknowledged or AcknowledgedByNodes(0.0, int)
        self.handovers = handovers or Handovers(0.0, int)
        self._envs: dict[str, Any] = {}
        self._healths: dict[str, Health] = {}
        self.slots: Sequence[str] = (UNKNOWN_NODE,) * SLOTS
        self.names: tuple[str, ...] = ()
        """The nodes that have slots, or are said to have."""
        self._has_guests = False

    def node_of(self, key: str | bytes) -> str:
        """Return the node of a key."""
        return self.slots[slot_of(key)]

    def is_well(self, node: str) -> bool:
        """Tell whether a node may be asked, as far as is known."""
        health = self._healths.get(node)
        return health is None or health.breaker.is_closed

    def env_at(self, node: str, env: E) -> E:
        """Return the surroundings of what is asked of one node: its health is that of the node."""
        found: E | None = self._envs.get(node)
        if found is None:
            found = self._envs[node] = replace(env, health=self._health_of(node), node=node)
        return found

    def parts_of(self, deletion: PendingDeletion) -> dict[str, PendingDeletion]:
        """Return the part of a deletion that concerns each node."""
        return _parts_of(deletion, self.slots, self.names)

    def keep(self, deletion: PendingDeletion) -> int:
        """Keep a deletion for the nodes that it concerns; return how many were dropped by that."""
        while True:
            slots = self.slots
            dropped = 0
            for node, part in _parts_of(deletion, slots, self.names).items():
                dropped += self._health_of(node).keep(part)
            if self.slots is slots:
                return dropped

    def forget_overflow(self) -> None:
        """Note that all keys are gone, and with them whatever was to be deleted."""
        for health in self._whole.nodes:
            health.has_overflowed = False
            health.settle()

    def believe(self, told: Sequence[str], teller: str, gone: Iterable[str] = ()) -> bool:
        """Take what a node has told of all slots, as far as it may be believed; see `Handovers`.

        `gone` are nodes that have not answered. Returns whether this changes what is known.
        """
        if told == self.slots and not (self._has_guests or self.handovers.is_waiting):
            return False  # nearly always: it is asked for more often than it changes
        sure = frozenset((UNKNOWN_NODE, *gone))
        return self.adopt(self.handovers.believed(self.slots, told, teller, sure), told)

    def adopt(self, slots: Sequence[str], told: Sequence[str] = ()) -> bool:
        """Take a topology, one caller at a time; return whether it differs from the known one.

        Pending deletions follow their keys. Patterns go to every node: nobody knows where the keys
        are by now that they were to find. So they go to those, too, that have a slot as somebody
        has `told`.
        """
        owners = {*slots, *told}
        self._has_guests = len(owners) > len({*slots})
        names = tuple(sorted(owners - {UNKNOWN_NODE}))
        if slots == self.slots and names == self.names:
            return False
        repeated = self.acknowledged.moved(self.slots, slots, UNKNOWN_NODE)
        kept = self._kept()
        # Kept for the new node, then the slots, and only then not for the old node any more: a flow
        # that looks between two of these steps finds the deletion wherever it looks.
        self._hand_on(kept, slots, names)
        for node, deletion in repeated.items():
            self._health_of(node).keep(deletion)
        if repeated:
            # Kept first, then counted, then the slots: a flow that begins with the new number finds
            # them pending, and one that began with the old number does not trust what it reads.
            self._whole.masters += 1
        has_overflowed = any(health.has_overflowed for health in self._whole.nodes)
        self.slots, self.names = slots, names
        for node in [node for node in self._healths if node not in owners]:
            del self._healths[node]
            self._envs.pop(node, None)
        for node, number, _ in kept:
            if node in self._healths:
                self._healths[node].pending.pop(number, None)
        for node in names:
            # What was dropped may concern keys of any node by now.
            self._health_of(node).has_overflowed |= has_overflowed
        self._whole.nodes = tuple(self._healths.values())
        for health in self._whole.nodes:
            health.settle()
        self._whole.settle()
        return True

    def _kept(self) -> list[tuple[str, int, PendingDeletion]]:
        """Return the pending deletions of all nodes, each with its number."""
        return [
            (node, number, deletion)
            for node, health in tuple(self._healths.items())
            for number, deletion in tuple(health.pending.items())
        ]

    def _hand_on(
        self,
        kept: Sequence[tuple[str, int, PendingDeletion]],
        slots: Sequence[str],
        names: tuple[str, ...],
    ) -> None:
        """Keep deletions for the nodes that they concern under other slots, each once."""
        # A pattern is kept for every node: each of those would hand it on to every other, and with
        # each change of the topology there would be so many times more of it.
        parts = [
            part for _, _, deletion in kept for part in _parts_of(deletion, slots, names).items()
        ]
        for node, part in dict.fromkeys(parts):
            self._health_of(node).keep(part)

    def _health_of(self, node: str) -> Health:
        found = self._healths.get(node)
        if found is None:
            found = self._healths.setdefault(node, Health(self._whole))
            self._whole.nodes = tuple(self._healths.values())
        return found


def unsettled() -> BackendUnavailable:
    """Return the error of a slot whose node is not known while it moves."""
    made = BackendUnavailable(
        "the nodes of the cluster do not agree which of them has a slot",
        code="DC329",
        help="see CLUSTER NODES on each of them: a failover or a resharding may be under way",
    )
    made.is_outage = False
    return made


def _parts_of(
    deletion: PendingDeletion, slots: Sequence[str], names: Sequence[str]
) -> dict[str, PendingDeletion]:
    """Split a deletion by node: keys by their slot, what has to be searched for at every node."""
    keys: dict[str, list[str]] = {}
    for key in deletion.keys:
        keys.setdefault(slots[slot_of(key)], []).append(key)
    is_searched = deletion.patterns or deletion.functions
    nodes = dict.fromkeys((*(names or (UNKNOWN_NODE,)), *keys) if is_searched else keys)
    held = frozenset(deletion.held)
    return {
        node: deletion._replace(
            keys=tuple(keys.get(node, ())),
            held=tuple([key for key in keys.get(node, ()) if key in held]),
        )
        for node in nodes
    }
