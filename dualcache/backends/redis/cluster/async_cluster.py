"""The async colour on a cluster: in each event loop, connections for each node."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dualcache.backends.redis.async_per_loop import LoopConnection
from dualcache.backends.redis.cluster.topology import (
    MOST_HOPS,
    not_a_cluster,
    unreachable,
    unserved,
)
from dualcache.backends.redis.errors import classify
from dualcache.backends.redis.push.tracking import UNTRACKED, heard_part
from dualcache.backends.redis.wire import ops as wire
from dualcache.backends.redis.wire.cluster import Exchange, ReadSlots, ReadView, hops, merged
from dualcache.core.apart import Apart, At, Heard, ReadTopology
from dualcache.core.ops import Commit, CommitReply, CommitWay, DropConnections, Look
from dualcache.engine.nodes import UNKNOWN_NODE, unsettled
from dualcache.engine.split import joined, split
from dualcache.errors import BackendError, BackendRefused, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from dualcache.backends.redis.cluster.topology import Topology
    from dualcache.backends.redis.errors import OnMissingRight
    from dualcache.backends.redis.wire.cluster import View
    from dualcache.core.front_ports import PushEpoch
    from dualcache.core.ops import Op

__all__ = ["LoopCluster"]


class LoopCluster:
    """The connections of one event loop to the nodes of a cluster, which are asked all at once."""

    def __init__(
        self,
        topology: Topology,
        on_open: Callable[[], None] = lambda: None,
        on_missing_right: OnMissingRight | None = None,
    ) -> None:
        self._topology = topology
        self._nodes = topology.nodes
        self._callbacks = on_open, on_missing_right
        self._links: dict[str, LoopConnection] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self.until_loop_ends: AsyncGenerator[None] | None = None

    async def perform(self, op: Op[Any]) -> Any:
        """Perform one backend op; raise `BackendError`, which names its node."""
        kind = type(op)
        if kind is Look and not op.tags and not self._topology.has_front:  # type: ignore[attr-defined]
            # Most hits. A read may be repeated: where it is redirected, it begins anew below.
            node = self._nodes.node_of(op.key)  # type: ignore[attr-defined]
            link = self._links.get(node)
            if link is not None:
                try:
                    return await link.perform(op)
                except BackendError as error:
                    if not getattr(error, "moved_to", ""):
                        await self._failed(error, node)
                        raise
        if kind is At:
            return await self._at(op.node, op.op)  # type: ignore[attr-defined]
        if kind is Apart:
            return await self._tried(op.parts)  # type: ignore[attr-defined]
        if kind is DropConnections:
            return self.drop()
        if kind is ReadTopology:
            return await self._read_topology()
        made = split(op, self._nodes.node_of)
        if len(made.parts) == 1:
            return joined(op, made, [await self._at(made.parts[0].node, made.parts[0].op)])
        return joined(op, made, await self._tried(made.parts))

    def drop(self) -> None:
        """Close the connections; commands in flight fail."""
        for link in self._links.values():
            link.drop()

    def loop_ends(self) -> None:
        """Close the connections in the last turns of their loop."""
        for link in self._links.values():
            link.loop_ends()

    def forget(self) -> None:
        """Go without a word: the loop has ended, so nothing can be closed in it."""
        for link in self._links.values():
            link.forget()

    async def aclose(self) -> None:
        """Close the connections and wait for their end."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        links = [*self._links.values()]
        self._links.clear()
        for link in links:
            await link.aclose()

    async def _tried(self, parts: Sequence[At[Any]]) -> tuple[Any, ...]:
        """Perform parts, all at once; an error is a value among the replies."""
        # What can be sent at once needs no task of its own, which costs more than all else here.
        begun = [self._begun(part) for part in parts]
        found: list[Any] = await asyncio.gather(
            *[
                self._at(part.node, part.op) if future is None else future
                for part, future in zip(parts, begun, strict=True)
            ],
            return_exceptions=True,
        )
        for number, (part, future) in enumerate(zip(parts, begun, strict=True)):
            if future is not None:
                found[number] = await self._ended(part, found[number])
        for each in found:
            if isinstance(each, BaseException) and not isinstance(each, BackendError):
                raise each
        return tuple(found)

    def _begun(self, part: At[Any]) -> asyncio.Future[Any] | None:
        """Send the commands of a part, if nothing has to be waited for first."""
        link, op = self._links.get(part.node), part.op
        if link is None or (type(op) is Commit and op.way is CommitWay.WATCH):
            return None
        return link.begin(op, *wire.encode(op))

    async def _ended(self, part: At[Any], replies: Any) -> Any:
        """Return what the replies to a part that was begun mean, or its error."""
        if isinstance(replies, BackendError):
            replies.was_connected = isinstance(replies, BackendUnavailable)
            await self._failed(replies, part.node)
            return replies
        if isinstance(replies, BaseException):
            return replies
        try:
            return await self._at(part.node, part.op, replies)
        except BackendError as error:
            return error.with_traceback(None)

    async def _at(self, node: str, op: Op[Any], replies: Sequence[Any] | None = None) -> Any:
        """Perform an op at a node; `replies` are the node's, where it has been asked."""
        if node == UNKNOWN_NODE:
            return await self._at_unknown(op)
        try:
            return await self._follow(node, op, replies)
        except BackendError as error:
            await self._failed(error, node)
            raise

    async def _failed(self, error: BackendError, node: str) -> None:
        """Note which node an error is about, and see who has its slots by now."""
        error.node = error.node or node
        if self._topology.is_due(error):
            with suppress(BackendError):
                await self._refresh(error)

    async def _at_unknown(self, op: Op[Any]) -> Any:
        """Find out where an op belongs, and perform it there."""
        try:
            await self._refresh()
            made = split(op, self._nodes.node_of)
            if any(part.node == UNKNOWN_NODE for part in made.parts):
                raise unserved()
            return joined(op, made, await self._tried(made.parts))
        except BackendError as error:
            error.node = error.node or UNKNOWN_NODE
            raise

    async def _follow(self, node: str, op: Op[Any], came: Sequence[Any] | None = None) -> Any:
        """Perform an op, and have other nodes carry out what they are said to be asked for."""
        link = self._link(node)
        if type(op) is Commit and op.way is CommitWay.WATCH:
            return await self._watched(node, op)
        data, count = wire.encode(op)
        push_epochs: list[PushEpoch] = []
        replies: Any = came
        if came is None:
            replies = await self._exchange(node, Exchange(op, data, count), push_epochs)
        for _ in range(MOST_HOPS):
            onward = hops(data, replies, node)
            if not onward:
                break
            for hop in onward:
                self._topology.moved(hop.moved_slots, hop.node)
                sent = Exchange(op, hop.data, hop.awaits)
                found = await self._exchange(hop.node, sent, push_epochs)
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
        except Exception as error:  # noqa: BLE001  a reply of any shape ends the connection
            link.drop()
            raise classify(error) from None

    async def _exchange(self, node: str, op: Exchange, push_epochs: list[PushEpoch]) -> Any:
        """Send commands to a node, and note the stream that pushes what they read."""
        found = await self._link(node).perform(op)
        if type(found) is not Heard:
            return found
        push_epochs.append(found.push_epoch)
        return found.reply

    async def _watched(self, node: str, op: Commit) -> Any:
        """Commit by a transaction, at the node where the key is by now."""
        for _ in range(MOST_HOPS + 1):
            try:
                return await self._link(node).perform(op)
            except BackendRefused as error:
                if error.prefix == "ASK":  # a transaction cannot follow: the key is on its way
                    return CommitReply.REFUSED
                if error.prefix != "MOVED":
                    raise
                self._topology.learn(error, node)
                node = self._nodes.node_of(op.key)
        raise unsettled()

    async def _refresh(self, failed: BackendError | None = None) -> None:
        """Have the topology asked for; all callers of this loop share one attempt.

        A task of its own: a caller that is cancelled does not take it from the others.
        """
        if self._refreshing is None:
            self._refreshing = asyncio.get_running_loop().create_task(self._ask(failed))
            self._refreshing.add_done_callback(self._refreshed)
        await asyncio.shield(self._refreshing)

    def _refreshed(self, attempt: asyncio.Task[None]) -> None:
        self._refreshing = None
        if not attempt.cancelled():
            attempt.exception()  # its callers have it, if they are still there

    async def _ask(self, failed: BackendError | None) -> None:
        """Ask one node after the other for the topology; raise where none tells it."""
        failures: list[BackendError] = []
        for node in self._topology.candidates(failed):
            try:
                slots = await self._link(node).perform(ReadSlots(_host(node)))
            except BackendRefused as error:
                failures.append(not_a_cluster(error).with_traceback(None))
            except BackendError as error:
                failures.append(error.with_traceback(None))
            else:
                self._topology.adopt(slots, node, () if failed is None else (failed.node,))
                for known, link in self._links.items():
                    if known not in self._nodes.names:
                        link.drop()
                return
        raise unreachable(failures)

    async def _read_topology(self) -> bool:
        if not self._topology.is_known:
            await self._refresh()
        names = self._nodes.names
        told = await asyncio.gather(*[self._view_of(node) for node in names])
        if not any(told):
            await self._refresh()
        return self._topology.adopt_views(dict(zip(names, told, strict=True)))

    async def _view_of(self, node: str) -> View | None:
        """Ask a node how it sees the cluster; return `None` where it does not tell."""
        try:
            found: View = await self._link(node).perform(ReadView(_host(node)))
        except BackendError:  # it is down: what is there is not found anyway
            return None
        return found

    def _link(self, node: str) -> LoopConnection:
        found = self._links.get(node)
        if found is None:
            tracking = self._topology.tracking_of(node)
            made = LoopConnection(self._topology.target_of(node), tracking, *self._callbacks)
            found = self._links[node] = made
        return found


def _host(node: str) -> str:
    return node.rpartition(":")[0]
