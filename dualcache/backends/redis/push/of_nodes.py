"""The listeners of a cluster: one for each primary; they come and go with the topology."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING

from dualcache.backends.redis.push.cluster_view import ClusterView
from dualcache.backends.redis.push.listener import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dualcache.backends.redis.cluster.topology import Topology
    from dualcache.backends.redis.push.transports import Transport
    from dualcache.front.of_nodes import FrontOfNodes

__all__ = ["NodeListeners"]


class NodeListeners:
    """Hears the changes on all primaries of a cluster (front.pushes.Pushes).

    Each primary pushes only the changes of its slots, to a separate connection.
    """

    def __init__(
        self,
        front: FrontOfNodes,
        *,
        prefix: str,
        transports: Sequence[type[Transport]],
        max_staleness: float,
    ) -> None:
        self._front = front
        self._prefix = prefix
        self._transports = transports
        self._max_staleness = max_staleness
        self._topology: Topology | None = None
        self._listeners: dict[str, Listener] = {}
        self._is_started = False
        self._lock = RLock()  # the collector may call `stop` in a thread that has it

    def follow(self, topology: Topology) -> None:
        """Listen to the primaries that this topology names, as it changes."""
        self._topology = topology
        topology.on_change = self.topology_changed

    def topology_changed(self) -> None:
        """Empty the tier, and listen to the primaries of now."""
        with self._lock:
            names = () if self._topology is None else self._topology.nodes.names
            self._front.topology_changed(names)
            if self._is_started:
                self._listen(names)

    def start(self) -> None:
        """Begin to hear; a primary that becomes known later is heard from then on."""
        if self._is_started:
            return
        with self._lock:
            self._is_started = True
            if self._topology is not None:
                self._listen(self._topology.nodes.names)

    def ask_proof(self, wake: Callable[[], None]) -> bool:
        """Have `wake` called when all pushes of by now are fed. False: nothing is heard.

        Of a node that is not heard nothing is kept, so there is nothing to prove of it.
        """
        listeners = tuple(self._listeners.values())
        unproved = _Unproved([*listeners, self], wake)
        is_asked = False
        for each in listeners:
            if each.ask_proof(partial(unproved.proved, each)):
                is_asked = True
            else:
                unproved.proved(each)
        if is_asked:
            unproved.proved(self)
        return is_asked

    def reconnect(self) -> None:
        """Empty the tier, and hear changes over other connections."""
        self._front.broken()
        for each in tuple(self._listeners.values()):
            each.reconnect()

    def stop(self) -> None:
        """Let the threads end by themselves."""
        with self._lock:
            self._is_started = False
            for each in self._listeners.values():
                each.stop()

    def close(self) -> None:
        """End the threads, and empty the tier. The next `start` begins again."""
        self.stop()
        for each in tuple(self._listeners.values()):
            each.close()
        self._front.closed()

    def after_fork(self) -> None:
        """Begin anew in a forked child; the parent's threads and sockets are left alone."""
        self._lock = RLock()
        self._is_started = False
        for each in self._listeners.values():
            each.after_fork()

    def _listen(self, names: Sequence[str]) -> None:
        """Listen to these nodes, and to no other. The caller holds the lock."""
        for name in [*self._listeners]:
            if name not in names:
                self._listeners[name].stop()
                # A tier that is open there without pushes has no link whose end would close it.
                self._front.at(name).closed()
        for name in names:
            # One that comes back is the same listener: its new thread waits for the end of the old.
            if name not in self._listeners:
                self._listeners[name] = self._made(name)
            self._listeners[name].start()

    def _made(self, name: str) -> Listener:
        topology = self._topology
        assert topology is not None
        part = self._front.at(name)
        return Listener(
            part,
            topology.target_of(name),
            prefix=self._prefix,
            transports=self._transports,
            max_staleness=self._max_staleness,
            make_view=partial(ClusterView, name, part, partial(topology.adopt, teller=name)),
        )


class _Unproved:
    """Who has still to prove its stream before `wake` is called, once, in whatever thread.

    A listener may tell twice: one that could not ask is woken again at the end of its link.
    """

    def __init__(self, parts: Iterable[object], wake: Callable[[], None]) -> None:
        self._parts = dict.fromkeys(map(id, parts))
        self._wakes = [wake]

    def proved(self, part: object) -> None:
        self._parts.pop(id(part), None)
        if not self._parts:
            with suppress(IndexError):  # two threads may have been the last
                self._wakes.pop()()
