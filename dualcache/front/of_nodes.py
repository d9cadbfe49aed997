"""The front tier over a cluster: one machine and one set of stores, a stream from each node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from dualcache.engine.coherence_of_nodes import NodesCoherence
from dualcache.front.pushes import Pushes
from dualcache.front.tier import Front, log_choice
from dualcache.front.tracking import Tracking

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["FrontOfNodes", "HeardNode", "NodeFront", "NodePushes"]


class HeardNode(NamedTuple):
    """How the changes on one node are heard."""

    node: str
    transport: str
    reason: str
    is_heard: bool


class NodePushes(Pushes, Protocol):
    """Hears the changes on all nodes (`backends.redis.push.of_nodes.NodeListeners`)."""

    def follow(self, topology: Any) -> None:
        """Listen to the nodes that have slots, as that changes."""


class FrontOfNodes(Front):
    """The front tier of a cache on a cluster.

    It is open while a node is heard, and keeps what was read at nodes that are. Whatever puts the
    stream of one node in doubt empties all of it: an entry need not know its nodes then.
    """

    _machine = NodesCoherence
    coherence: NodesCoherence
    pushes: NodePushes

    def __init__(self, *args: Any, **options: Any) -> None:
        self._nodes: dict[str, NodeFront] = {}
        self._names: tuple[str, ...] = ()
        super().__init__(*args, **options)
        self._hears_fills = False

    def at(self, node: str) -> NodeFront:
        """Return the tier as the listener of a node, and the connections to it, know it."""
        found = self._nodes.get(node)
        if found is None:
            found = self._nodes.setdefault(node, NodeFront(self, node))
        return found

    def topology_changed(self, names: Sequence[str]) -> None:
        """Forget everything: these are the nodes that have slots now."""
        # A slot that went to another node is pushed there from now on. What was kept of it is of
        # the old one, and so may be what is still on its way.
        with self.lock:
            self._names = tuple(names)
            self.coherence.feed_all()
            self._empty()
            self.settle()
        self._changes.notify_all()

    def settle(self) -> None:
        """Take over what has changed in the state of one node. The caller holds the lock."""
        nodes = [self.at(name) for name in self._names]
        self.is_bounded = any(node.is_bounded for node in self._nodes.values())
        # A key that is waited for may be on any node.
        self._hears_fills = bool(nodes) and all(node.hears_fills for node in nodes)
        self._set_gate()
        if nodes:
            worst = min(nodes, key=NodeFront.rank)
            self.transport = worst.transport
            self.reason = f"{worst.node}: {worst.reason}" if worst.reason else ""

    def emptied_by_loss(self, push_epoch: int) -> None:
        """Close the stream of a node, and empty the tier."""
        with self.lock:
            was_up = self.coherence.node_lost(push_epoch)
            self.losses += was_up
            if was_up:
                self._empty()
            self.settle()
        self._changes.notify_all()

    def connected_to_node(self, node: NodeFront, asked_at: float) -> None:
        """Open the tier for what is read at a node; the rest of it stays as it is."""
        with self.lock:
            node.push_epoch = self.coherence.node_connected(asked_at)
            self.settle()
        self._changes.notify_all()

    def chose_for_node(self, node: NodeFront, *, is_fixable: bool) -> None:
        """Log how a node is heard."""
        where = f"{self._where}, node {node.node}"
        log_choice(where, node.transport, node.reason, is_fixable=is_fixable)

    def heard_nodes(self) -> tuple[HeardNode, ...]:
        """Return how each node with slots is heard."""
        with self.lock:
            return tuple([self.at(name).told() for name in self._names])

    def after_fork(self) -> None:
        """Begin anew, empty, in a forked child."""
        for node in self._nodes.values():
            node.after_fork()
        self._hears_fills = self.is_bounded = False
        super().after_fork()


class NodeFront:
    """The front tier, as the listener of one node tells it and the connections to the node ask it.

    `push_epoch` is the number of the node's stream, the last one where it is lost.
    """

    def __init__(self, front: FrontOfNodes, node: str) -> None:
        self._front = front
        self.node = node
        self.now = front.now
        self.tracking = Tracking(front.broken)
        self.push_epoch = 0
        self.transport, self.reason = "none", ""
        self.hears_fills = self.is_bounded = False

    def connected(
        self, asked_at: float, *, is_tracked: bool = False, hears_fills: bool = True
    ) -> int:
        """Open the stream of this node, which is complete since `asked_at`. Return its number."""
        self._front.emptied_by_loss(self.push_epoch)  # copies that lived by time alone
        self.hears_fills, self.is_bounded = hears_fills, False
        self._front.connected_to_node(self, asked_at)
        if not is_tracked:
            # Every connection is heard. Its reads carry the number of the stream all the same: it
            # tells at which node they were read.
            self.tracking.open(self.push_epoch, 0)
        return self.push_epoch

    def lost(self) -> None:
        """Empty the tier: the stream of this node may be incomplete."""
        self.hears_fills = False
        self._front.emptied_by_loss(self.push_epoch)

    def broken(self) -> None:
        """Empty the tier: changes may have been missed, though the stream goes on."""
        self._front.broken()

    def open_bounded(self, transport: str, reason: str, *, is_fixable: bool = False) -> None:
        """Open the tier for this node without pushes: no copy lives longer than it may be stale."""
        if not self.is_bounded:
            self.is_bounded = True
            self._front.connected_to_node(self, float("inf"))
            self.tracking.open(self.push_epoch, 0)
        self.chose(transport, reason, is_fixable=is_fixable)

    def chose(self, transport: str, reason: str, *, is_fixable: bool = False) -> None:
        """Note by which transport changes on this node are heard; log it when it changes."""
        is_change = transport != self.transport or not self.reason
        with self._front.lock:
            self.transport, self.reason = transport, reason
            self._front.settle()
        if is_change:
            self._front.chose_for_node(self, is_fixable=is_fixable)

    def proved(self, asked_at: float) -> None:
        """Note a proof that the stream of this node is complete up to `asked_at`."""
        with self._front.lock:
            self._front.coherence.node_proved(self.push_epoch, asked_at)

    def feed(self, names: Iterable[str] | None) -> None:
        """Take a push: these names have changed; `None`: any of this node may have."""
        self._front.feed(names)

    def feed_matching(self, patterns: Iterable[str]) -> None:
        """Delete the entries that match another process's patterns."""
        self._front.feed_matching(patterns)

    def closed(self) -> None:
        """Note that nobody listens to this node any more."""
        self.tracking.close()
        self.hears_fills = self.is_bounded = False
        self.transport, self.reason = "none", "closed"
        self._front.emptied_by_loss(self.push_epoch)

    def rank(self) -> tuple[bool, bool]:
        """Return how well this node is heard, to be compared."""
        return self._front.coherence.is_node_up(self.push_epoch), not self.is_bounded

    def told(self) -> HeardNode:
        """Return how this node is heard."""
        is_heard = self._front.coherence.is_node_up(self.push_epoch)
        return HeardNode(self.node, self.transport, self.reason, is_heard)

    def after_fork(self) -> None:
        """Begin anew in a forked child."""
        self.tracking.after_fork()
        self.push_epoch = 0
        self.hears_fills = self.is_bounded = False
        self.transport, self.reason = "none", ""
