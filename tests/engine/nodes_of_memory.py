"""A cluster whose nodes are stores in memory: flows run on it to their end, and nodes can fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.backends.memory import MemoryStore
from dualcache.core.apart import Apart, At, ReadTopology
from dualcache.core.flight import CloseFlights, EndFlight, Flight, Join, Load
from dualcache.core.ops import GiveWay, Loaded, Ping, Publish
from dualcache.core.scans import Scan
from dualcache.core.slots import SLOTS, slot_of
from dualcache.engine.acknowledged import AcknowledgedByNodes
from dualcache.engine.nodes import UNKNOWN_NODE, Nodes
from dualcache.engine.split import joined, split
from dualcache.errors import BackendError, BackendUnavailable
from tests.engine.conversation import surroundings

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.ops import Flow, Op

NAMES = ("a:1", "b:2", "c:3")


class MemoryCluster:
    """Three nodes, each with a third of the slots.

    `down` maps nodes to what is raised in their place. `before` is called with each node and op.
    """

    def __init__(self, **changes: Any) -> None:
        self.now_ms = 0
        self.stores = {name: MemoryStore(lambda: self.now_ms, 1_000) for name in NAMES}
        self.slots = tuple([NAMES[slot * len(NAMES) // SLOTS] for slot in range(SLOTS)])
        self.down: dict[str, BackendError] = {}
        self.asked: list[tuple[str, Op[Any]]] = []
        self.moving: list[bool] = []
        self.before: Callable[[str, Op[Any]], None] = lambda _node, _op: None
        self.env, self.events = surroundings(elapsed_ms=lambda: self.now_ms, **changes)
        self.nodes = self.env.nodes = Nodes(
            self.env.health, AcknowledgedByNodes(5.0, lambda: self.now_ms)
        )
        self.nodes.adopt(self.slots)

    def add(self, node: str) -> None:
        """Add a node that is empty and has no slots."""
        self.stores[node] = MemoryStore(lambda: self.now_ms, 1_000)

    def key_at(self, node: str, number: int = 0) -> str:
        """Return a key of a node, another one for each number."""
        keys = [f"key-{n}" for n in range(200)]
        return [key for key in keys if self.owner(key) == node][number]

    def owner(self, key: str | bytes) -> str:
        return self.slots[slot_of(key)]

    def move(self, key: str, node: str) -> None:
        """Move a slot with its key; the nodes know it, callers do not yet."""
        made = list(self.slots)
        held = self.stores[self.owner(key)]._cells.pop(key, None)
        if held is not None:
            self.stores[node]._cells[key] = held
        made[slot_of(key)] = node
        self.slots = tuple(made)

    def fail(self, node: str, error: BackendError | None = None) -> None:
        self.down[node] = error or BackendUnavailable("down", code="DC200")

    def run(self, flow: Flow[Any]) -> Any:
        """Run a flow to its end."""
        reply: Any = None
        while True:
            try:
                op = flow.throw(reply) if isinstance(reply, BaseException) else flow.send(reply)
            except StopIteration as end:
                return end.value
            try:
                reply = self.perform(op)
            except BackendError as error:
                reply = error

    def perform(self, op: Op[Any]) -> Any:
        match op:
            case GiveWay() | CloseFlights() | EndFlight():
                return None
            case Join():
                return Flight(op.key, op, 0, op.tags)
            case Load():
                return Loaded(op.function(*op.args), 5.0)
            case ReadTopology():
                if len(self.down) == len(self.stores):
                    raise BackendUnavailable("no node", code="DC325")
                self.nodes.adopt(self.slots)
                return self.moving.pop(0) if self.moving else False
            case Apart(parts):
                return tuple([self._tried(part) for part in parts])
            case At(node, inner):
                return self._at(node, inner)
            case _:
                made = split(op, self.nodes.node_of)
                return joined(op, made, [self._tried(part) for part in made.parts])

    def _tried(self, part: At[Any]) -> Any:
        try:
            return self._at(part.node, part.op)
        except BackendError as error:
            return error

    def _at(self, node: str, op: Op[Any]) -> Any:
        self.asked.append((node, op))
        self.before(node, op)
        if node == UNKNOWN_NODE:
            self.nodes.adopt(self.slots)
            return self.perform(op)
        if node in self.down:
            error = self.down[node]
            error.node = node
            raise error
        # A real node sends a command on to the node that has its slot by now.
        made = None if isinstance(op, Ping | Publish | Scan) else split(op, self.owner)
        if made is None or [part.node for part in made.parts] == [node]:
            return self.stores[node].perform(op)
        return joined(op, made, [self.stores[part.node].perform(part.op) for part in made.parts])
