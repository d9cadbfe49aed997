"""The real front tier, watched: what it decides is noted for the rules, never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.core.entry import MISSING
from dualcache.core.scope import next_moment
from dualcache.engine.coherence_of_nodes import NodesCoherence
from dualcache.front.of_function import FunctionFront
from dualcache.front.of_nodes import FrontOfNodes
from dualcache.front.tier import Front
from dualcache.options.front_tier import FrontTier
from tests.fronts import ByHand
from tests.simulation.rules import check_hit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualcache.core.front_ports import Read
    from dualcache.core.policy import Call
    from dualcache.drivers.changes import Changes
    from tests.simulation.process import Process

OPTIONS = FrontTier(max_entries=10, max_age=None)


class BySimulation(ByHand):
    """Asks the listener of the simulation for proofs."""

    def ask_proof(self, wake: Callable[[], None]) -> bool:
        assert isinstance(self._front, Watched)
        (listening,) = self._front.process.listenings.values()  # of several nodes, each proves
        return listening.ask_proof(wake)


class Watched(Front):
    """The front tier of one process of the simulation."""

    def __init__(self, process: Process, changes: Changes, max_staleness: float) -> None:
        world = process.world
        super().__init__(
            OPTIONS,
            max_staleness=max_staleness,
            now=lambda: world.now,
            draw=lambda: 0.0,
            changes=changes,
            listen=BySimulation,
        )
        self.process = process

    def ask_proof(self, wake: Callable[[], None]) -> bool:
        moment, proofs = next_moment(), self.process.proofs

        def proved() -> None:
            proofs.remove(moment)
            wake()

        proofs.append(moment)
        is_asked = super().ask_proof(proved)
        if not is_asked:
            proofs.remove(moment)
        return is_asked

    def mark(self, name: str) -> int | None:
        found = super().mark(name)
        self.process.world.current.mark_seen = (name, found)
        return found

    def kept(self, key: str) -> Any:
        """Return the entry of a key, if it is alive."""
        entry = self.shared.find(key)
        return entry if entry is not None and entry.is_alive else None

    def state(self, names: Iterable[str]) -> Any:
        machine = self.coherence
        entries = ((name, self.kept(name)) for name in names)
        return (
            machine.is_up,
            machine.push_epoch,
            machine.open_until,
            tuple(machine._open_until.items()) if isinstance(machine, NodesCoherence) else None,
            tuple((name, e.value, e.ends_at, e.fresh_until) for name, e in entries if e),
        )


class WatchedFront(Watched, Front):
    """The same over one server."""


class WatchedFrontOfNodes(Watched, FrontOfNodes):
    """The same over the nodes of a cluster."""


class WatchedFunction(FunctionFront):
    """One function's part: each hit is held against the rules, each ticket is remembered."""

    def __init__(self, process: Process) -> None:
        super().__init__(process.front)
        self.process = process
        self.ends_ms: float | None = None

    def find(self, call: Call) -> Any:
        self._check_wrapper(call.key)
        value = super().find(call)
        if value is not MISSING:
            self.process.world.front_hit(self.process, value, self.ends_ms)
        return value

    def _check_wrapper(self, key: str) -> None:
        """See that what a compiled wrapper would serve by itself may be served as well."""
        front, world = self.process.front, self.process.world
        entry = front.kept(key)
        if entry is not None and entry.fresh_until > front.gate.clock.cell_contents():
            check_hit(world, self.process, entry.value, self.ends_ms)

    def begin_read(self, names: Iterable[str]) -> Any:
        begun = super().begin_read(names)
        self.process.world.current.tickets.append(begun)
        return begun

    def install(self, call: Call, value: Any, read: Read) -> None:
        front = self.process.front
        before = front.kept(call.key)
        super().install(call, value, read)
        if front.kept(call.key) is not before:
            version = bytes(read.stored.version)
            self.ends_ms = self.process.world.server.ends_ms.get(version)
