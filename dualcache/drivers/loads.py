"""The loads that run in this process, and the gates of front tiers that have to know of them.

A load is not served every copy (`engine.coherence`). A compiled wrapper serves hits on its own: so
while a load runs, and only then, the clock of its gate looks at the caller's context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from weakref import ref

from dualcache.core.scope import LoadScope, current_load
from dualcache.drivers.forking import renew_in_children

if TYPE_CHECKING:

    class WatchingGate(Protocol):
        def settle(self) -> None: ...


__all__ = ["RUNNING", "RunningLoad", "RunningLoads"]

ENDED: Final = -1


class RunningLoads:
    """The loads of all caches of this process: one may call functions of any other cache."""

    def __init__(self) -> None:
        self.loads: set[LoadScope] = set()
        self.gates: list[ref[WatchingGate]] = []

    def watch(self, gate: WatchingGate) -> None:
        """Settle a gate whenever the first load begins or the last one ends, while it lives."""
        self.gates.append(ref(gate, self.gates.remove))

    def settle(self) -> None:
        """Let every gate see whether a load runs."""
        for each in tuple(self.gates):
            gate = each()
            if gate is not None:
                gate.settle()

    def after_fork(self) -> None:
        """Forget the loads of the parent.

        One may go on in the child. The child's tier begins empty, so all that is kept there was
        read after that load began.
        """
        self.loads.clear()


RUNNING: Final = RunningLoads()
renew_in_children(RUNNING)


class RunningLoad(LoadScope):
    """A load that this task or thread runs; `outer` is the one that called its function."""

    __slots__ = ("outer",)

    def begin(self) -> None:
        """Enter the scope of this load. When this returns, every gate knows of it."""
        if not RUNNING.gates:  # a tier that is made later keeps only what is read later
            return
        self.outer = current_load.get()
        current_load.set(self)
        RUNNING.loads.add(self)
        RUNNING.settle()  # each time: another thread may be about to say that no load runs

    def end(self) -> None:
        """Leave the scope, if it was entered; a collector may call this in another context."""
        RUNNING.loads.discard(self)
        # A context that was copied into a task or timer may outlive the load: it is free now.
        self.began = ENDED
        if current_load.get() is self:
            current_load.set(self.outer)
        self.outer = None
        if not RUNNING.loads:
            RUNNING.settle()
