"""The sync colour on a cluster: a pool of connections for each node."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

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
from dualcache.backends.redis.wire.cluster import Exchange, ReadSlots, ReadView, hops, merged
from dualcache.core.apart import Apart, At, Heard, ReadTopology
from dualcache.core.interrupts import interrupt_in
from dualcache.core.ops import Commit, CommitReply, CommitWay, DropConnections, Look
from dualcache.engine.nodes import UNKNOWN_NODE, unsettled
from dualcache.engine.split import joined, split
from dualcache.errors import BackendError, BackendRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.backends.redis.cluster.topology import Topology
    from dualcache.backends.redis.errors import OnMissingRight
    from dualcache.backends.redis.wire.cluster import View
    from dualcache.core.front_ports import PushEpoch
    from dualcache.core.ops import Op

__all__ = ["SyncCluster"]

MOST_AT_ONCE: Final = 16
"""To so many nodes an op is sent before it reads: each takes three frames of the stack."""


class SyncCluster:
    """Performs backend ops at the nodes of their keys: sends to all of them before it reads."""

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
            return self._tried(op.parts)  # type: ignore[attr-defined]
        if kind is DropConnections:
            return self.close()
        if kind is ReadTopology:
            return self._read_topology()
        made = split(op, self._nodes.node_of)
        if len(made.parts) == 1:
            return joined(op, made, [self._at(made.parts[0].node, made.parts[0].op)])
        return joined(op, made, self._tried(made.parts))

    def close(self) -> None:
        """Close every idle connection; those in use are closed before they are used again."""
        for backend in tuple(self._backends.values()):
            backend.close()

    def after_fork(self) -> None:
        """Begin anew in a forked child; the parent's sockets are left alone."""
        self._topology.after_fork()
        for backend in self._backends.values():
            backend.after_fork()

    def _tried(self, parts: Sequence[At[Any]]) -> tuple[Any, ...]:
        """Perform parts, all at once where that needs no wait; an error is a value in its place."""
        sent = [_exchange_of(part) for part in parts]
        came: list[Any] = [None] * len(parts)
        for start in range(0, len(parts), MOST_AT_ONCE):
            end = min(start + MOST_AT_ONCE, len(parts))
            self._exchange_all(parts, sent, came, start, end)
        return tuple([self._ended(*each) for each in zip(parts, sent, came, strict=True)])

    def _exchange_all(
        self,
        parts: Sequence[At[Any]],
        sent: Sequence[Exchange | None],
        came: list[Any],
        at: int,
        end: int,
    ) -> None:
        """Send parts to their nodes and then read; `came` gets the replies or the error of each."""
        # Each node's call encloses those of the nodes after it, so each connection is given back by
        # a `finally` of its own. A loop over them would lose the rest to an interrupt.
        if at == end:
            return
        exchange = sent[at]
        if exchange is None:
            self._exchange_all(parts, sent, came, at + 1, end)
            return
        came[at] = self._backend(parts[at].node).exchange(
            exchange, lambda: self._exchange_all(parts, sent, came, at + 1, end)
        )

    def _ended(self, part: At[Any], sent: Exchange | None, came: Any) -> Any:
        """Return what the replies to a part mean, or its error; perform it if it was not sent."""
        try:
            if came is None or sent is None:
                return self._at(part.node, part.op)
            if not isinstance(came, BackendError):
                return self._at(part.node, part.op, sent, came)
        except BackendError as error:
            return error.with_traceback(None)
        self._failed(came, part.node)
        return came

    def _at(self, node: str, op: Op[Any], sent: Exchange | None = None, came: Any = None) -> Any:
        """Perform an op at a node; `came` is what the node replied to `sent`, if it was asked."""
        if node == UNKNOWN_NODE:
            return self._at_unknown(op)
        try:
            if sent is not None:
                return self._follow(node, sent, came)
            return self._perform_at(node, op)
        except BackendError as error:
            self._failed(error, node)
            raise

    def _failed(self, error: BackendError, node: str) -> None:
        """Note which node an error is about, and see who has its slots by now."""
        error.node = error.node or node
        if self._topology.is_due(error):
            with suppress(BackendError):
                self._refresh(error)

    def _at_unknown(self, op: Op[Any]) -> Any:
        """Find out where an op belongs, and perform it there."""
        try:
            self._refresh()
            made = split(op, self._nodes.node_of)
            if any(part.node == UNKNOWN_NODE for part in made.parts):
                raise unserved()
            return joined(op, made, self._tried(made.parts))
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
        sent = Exchange(op, *wire.encode(op))
        return self._follow(node, sent, self._backend(node).perform(sent))

    def _follow(self, node: str, sent: Exchange, came: Any) -> Any:
        """Have other nodes carry out what they are said to be asked for; return the op's reply."""
        op, data = sent.op, sent.data
        push_epochs: list[PushEpoch] = []
        replies = _heard(came, push_epochs)
        for _ in range(MOST_HOPS):
            onward = hops(data, replies, node)
            if not onward:
                break
            for hop in onward:
                self._topology.moved(hop.moved_slots, hop.node)
                onto = self._backend(hop.node)
                found = _heard(onto.perform(Exchange(op, hop.data, hop.awaits)), push_epochs)
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
                self._topology.adopt(slots, node, () if failed is None else (failed.node,))
                for known, backend in tuple(self._backends.items()):
                    if known not in self._nodes.names:
                        backend.close()
                return
        raise unreachable(failures)

    def _read_topology(self) -> bool:
        if not self._topology.is_known:
            self._refresh()
        views = {node: self._view_of(node) for node in self._nodes.names}
        if not any(views.values()):
            self._refresh()
        return self._topology.adopt_views(views)

    def _view_of(self, node: str) -> View | None:
        """Ask a node how it sees the cluster; return `None` where it does not tell."""
        try:
            found: View = self._backend(node).perform(ReadView(_host(node)))
        except BackendError:  # it is down: what is there is not found anyway
            return None
        return found

    def _backend(self, node: str) -> SyncBackend:
        found = self._backends.get(node)
        if found is None:
            tracking = self._topology.tracking_of(node)
            made = SyncBackend(self._topology.target_of(node), tracking, *self._callbacks)
            found = self._backends.setdefault(node, made)
        return found


def _host(node: str) -> str:
    return node.rpartition(":")[0]


def _exchange_of(part: At[Any]) -> Exchange | None:
    """Return the commands of a part; `None` where its node is not known, or asked in two trips."""
    op = part.op
    if part.node == UNKNOWN_NODE or (type(op) is Commit and op.way is CommitWay.WATCH):
        return None
    return Exchange(op, *wire.encode(op))


def _heard(came: Any, push_epochs: list[PushEpoch]) -> Any:
    """Return the replies of a node, and note the stream that pushes what they read."""
    if type(came) is not Heard:
        return came
    push_epochs.append(came.push_epoch)
    return came.reply
