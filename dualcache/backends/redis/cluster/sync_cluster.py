"""The sync colour on a cluster: a pool of connections for each node."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dualcache.backends.redis.cluster.topology import (
    MOST_HOPS,
    not_a_cluster,
    unreachable,
    unserved,
)
from dualcache.backends.redis.errors import classify
from dualcache.backends.redis.push.tracking import UNTRACKED, heard_part
from dualcache.backends.redis.sync_backend import SyncBackend
from dualcache.backends.redis.wire import ops as wire
from dualcache.backends.redis.wire.cluster import Exchange, ReadMoving, ReadSlots, hops, merged
from dualcache.core.apart import Apart, At, Heard, ReadTopology
from dualcache.core.interrupts import interrupt_in
from dualcache.core.ops import Commit, CommitReply, CommitWay, DropConnections, Look
from dualcache.engine.nodes import UNKNOWN_NODE, unsettled
from dualcache.engine.split import joined, split
from dualcache.errors import BackendError, BackendRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.backends.redis.cluster.topology import Topology
    from dualcache.backends.redis.errors import OnMissingRight
    from dualcache.core.front_ports import PushEpoch
    from dualcache.core.ops import Op

__all__ = ["SyncCluster"]


class SyncCluster:
    """Performs backend ops at the nodes of their keys, one node after the other."""

    def __init__(
        self,
        topology: Topology,
        on_open: Callable[[], None] = lambda: None,
        on_missing_right: OnMissingRight | None = None,
    ) -> None:
        self._topology = topology
        self._nodes = topology.nodes
        self._callbacks = on_open, on_missing_right
        self._backends: dict[str, SyncBackend] = {}

    def perform(self, op: Op[Any]) -> Any:
        """Perform one backend op; raise `BackendError`, which names its node."""
        kind = type(op)
        if kind is Look and not op.tags:  # type: ignore[attr-defined]
            node = self._nodes.node_of(op.key)  # type: ignore[attr-defined]
            if node != UNKNOWN_NODE:
                return self._at(node, op)
        if kind is At:
            return self._at(op.node, op.op)  # type: ignore[attr-defined]
        if kind is Apart:
            return tuple([self._tried(part) for part in op.parts])  # type: ignore[attr-defined]
        if kind is DropConnections:
            return self.close()
        if kind is ReadTopology:
            return self._read_topology()
        made = split(op, self._nodes.node_of)
        if len(made.parts) == 1:
            return joined(op, made, [self._at(*_pair(made.parts[0]))])
        return joined(op, made, [self._tried(part) for part in made.parts])

    def close(self) -> None:
        """Close every idle connection; those in use are closed before they are used again."""
        for backend in tuple(self._backends.values()):
            backend.close()

    def after_fork(self) -> None:
        """Begin anew in a forked child; the parent's sockets are left alone."""
        self._topology.after_fork()
        for backend in self._backends.values():
            backend.after_fork()

    def _tried(self, part: At[Any]) -> Any:
        """Perform a part; return its error as a value."""
        try:
            return self._at(part.node, part.op)
        except BackendError as error:
            return error.with_traceback(None)

    def _at(self, node: str, op: Op[Any]) -> Any:
        if node == UNKNOWN_NODE:
            return self._at_unknown(op)
        try:
            return self._perform_at(node, op)
        except BackendError as error:
            error.node = error.node or node
            if self._topology.is_due(error):
                self._refresh_after(error)
            raise

    def _at_unknown(self, op: Op[Any]) -> Any:
        """Find out where an op belongs, and perform it there."""
        try:
            self._refresh()
            made = split(op, self._nodes.node_of)
            if any(part.node == UNKNOWN_NODE for part in made.parts):
                raise unserved()
            return joined(op, made, [self._tried(part) for part in made.parts])
        except BackendError as error:
            error.node = error.node or UNKNOWN_NODE
            raise

    def _perform_at(self, node: str, op: Op[Any]) -> Any:
        """Perform an op at a node, in the way of its kind."""
        if type(op) is Look and not self._topology.has_front:
            # Most hits. A read may be repeated: where it is redirected, it begins anew below.
            try:
                return self._backend(node).perform(op)
            except BackendRefused as error:
                if not error.moved_to:
                    raise
        if type(op) is Commit and op.way is CommitWay.WATCH:
            return self._watched(node, op)
        return self._follow(node, op)

    def _follow(self, node: str, op: Op[Any]) -> Any:
        """Perform an op, and have other nodes carry out what they are said to be asked for."""
        data, count = wire.encode(op)
        push_epochs: list[PushEpoch] = []
        replies = self._exchange(node, Exchange(op, data, count), push_epochs)
        for _ in range(MOST_HOPS):
            onward = hops(data, replies, node)
            if not onward:
                break
            for hop in onward:
                self._topology.moved(hop.moved_slots, hop.node)
                sent = Exchange(op, hop.data, hop.awaits)
                found = self._exchange(hop.node, sent, push_epochs)
                if hop.is_asking and push_epochs:
                    # The slot is on its way, and may yet stay: the node that is asked in between
                    # would then push nothing of it. So nothing of it is kept.
                    push_epochs.append(UNTRACKED)
                replies = merged(replies, hop, found)
        else:
            if hops(data, replies, node):
                raise unsettled()
        try:
            return heard_part(op, wire.decode(op, replies), push_epochs)
        except BackendRefused:
            raise
        except Exception as error:  # a reply of any shape ends the connection
            if interrupt_in(error) is not None:
                raise
            self._backend(node).close()
            raise classify(error) from None

    def _exchange(self, node: str, op: Exchange, push_epochs: list[PushEpoch]) -> Any:
        """Send commands to a node, and note the stream that pushes what they read."""
        found = self._backend(node).perform(op)
        if type(found) is not Heard:
            return found
        push_epochs.append(found.push_epoch)
        return found.reply

    def _watched(self, node: str, op: Commit) -> Any:
        """Commit by a transaction, at the node where the key is by now."""
        for _ in range(MOST_HOPS + 1):
            try:
                return self._backend(node).perform(op)
            except BackendRefused as error:
                if error.prefix == "ASK":  # a transaction cannot follow: the key is on its way
                    return CommitReply.REFUSED
                if error.prefix != "MOVED":
                    raise
                self._topology.learn(error, node)
                node = self._nodes.node_of(op.key)
        raise unsettled()

    def _refresh_after(self, error: BackendError) -> None:
        """Ask the others for the topology; where nobody tells it, the error says enough."""
        with suppress(BackendError):
            self._refresh(error)

    def _refresh(self, failed: BackendError | None = None) -> None:
        """Ask one node after the other for the topology; raise where none tells it."""
        failures: list[BackendError] = []
        for node in self._topology.candidates(failed):
            try:
                slots = self._backend(node).perform(ReadSlots(_host(node)))
            except BackendRefused as error:
                failures.append(not_a_cluster(error).with_traceback(None))
            except BackendError as error:
                failures.append(error.with_traceback(None))
            else:
                self._topology.adopt(slots, node, "" if failed is None else failed.node)
                for known, backend in tuple(self._backends.items()):
                    if known not in self._nodes.names:
                        backend.close()
                return
        raise unreachable(failures)

    def _read_topology(self) -> bool:
        self._refresh()
        return any([self._is_moving(node) for node in self._nodes.names])  # noqa: C419  asks all

    def _is_moving(self, node: str) -> bool:
        """Ask a node which slots it has, and whether one of them is on its way."""
        try:
            # A slot that was moved as a whole is not on its way, and only its old node is sure to
            # know that it has lost it: the one that has told the topology may not.
            self._topology.adopt(self._backend(node).perform(ReadSlots(_host(node))), node)
            return bool(self._backend(node).perform(ReadMoving()))
        except BackendError:  # it is down, or does not tell: what is there is not found anyway
            return False

    def _backend(self, node: str) -> SyncBackend:
        found = self._backends.get(node)
        if found is None:
            tracking = self._topology.tracking_of(node)
            made = SyncBackend(self._topology.target_of(node), tracking, *self._callbacks)
            found = self._backends.setdefault(node, made)
        return found


def _host(node: str) -> str:
    return node.rpartition(":")[0]


def _pair(part: At[Any]) -> tuple[str, Op[Any]]:
    return part.node, part.op
