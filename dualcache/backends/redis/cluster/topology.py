"""Which node has which slot, as both colours know it, and when that has to be asked again."""

from __future__ import annotations

from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from msgspec.structs import replace

from dualcache.backends.redis.wire.cluster import place_of
from dualcache.engine.nodes import UNKNOWN_NODE
from dualcache.errors import BackendError, BackendRefused, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dualcache.backends.redis.wire.cluster import View
    from dualcache.engine.nodes import Nodes
    from dualcache.front.of_nodes import FrontOfNodes
    from dualcache.front.tracking import Tracking
    from dualcache.options.target import Target

__all__ = [
    "MOST_HOPS",
    "Topology",
    "not_a_cluster",
    "unreachable",
    "unserved",
]

MOST_HOPS: Final = 2
"""How often one command is redirected; after that its node counts as out of order."""
REFRESH_SECONDS: Final = 0.25
"""A failure asks for the topology only so long after another one has."""
_CHANGING: Final = frozenset({"CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY"})
"""Refusals of a node that may have handed its slots on."""


class Topology:
    """What the nodes of a cluster have told of their slots; kept in the engine's `Nodes`.

    `on_change` is called after each change of it, in the thread that found it out.
    """

    def __init__(self, target: Target, nodes: Nodes, front: FrontOfNodes | None = None) -> None:
        self.target = target
        self.nodes = nodes
        self.on_change: Callable[[], None] = lambda: None
        self._front = front
        self._seeds = tuple([f"{host}:{port}" for host, port in target.nodes])
        self._next_refresh = 0.0
        self.after_fork()

    def after_fork(self) -> None:
        """Begin anew in a forked child, where the thread that holds the lock may not be."""
        self._lock = Lock()

    @property
    def is_known(self) -> bool:
        return bool(self.nodes.names)

    def target_of(self, node: str) -> Target:
        """Return how a node is reached: as the URL says, at its own address."""
        host, _, port = node.rpartition(":")
        return replace(self.target, host=host, port=int(port), nodes=())

    @property
    def has_front(self) -> bool:
        """Whether replies have to tell which stream of pushes their reads are tracked for."""
        return self._front is not None

    def tracking_of(self, node: str) -> Tracking | None:
        """Return which connections to a node are tracked; `None` where there is no front tier."""
        return None if self._front is None else self._front.at(node).tracking

    def candidates(self, failed: BackendError | None = None) -> list[str]:
        """Return the nodes that may tell the topology, the likely ones first."""
        known = dict.fromkeys((*self.nodes.names, *self._seeds))
        if failed is None:
            return sorted(known, key=lambda node: not self.nodes.is_well(node))
        # A node whose connection was cut may be as well as before. So it is asked first: others are
        # not believed about its slots while it answers.
        if failed.was_connected and failed.node in known:
            return [failed.node, *[node for node in known if node != failed.node]]
        return sorted(known, key=lambda node: node == failed.node or not self.nodes.is_well(node))

    def adopt(self, slots: Sequence[str | None], teller: str, gone: Iterable[str] = ()) -> bool:
        """Take what a node has told of all slots; return whether all of it is believed.

        `gone` are nodes that have not answered.
        """
        made = cast("tuple[str, ...]", slots)
        if None in slots:
            made = tuple([UNKNOWN_NODE if node is None else node for node in slots])
        with self._lock:
            is_change = self.nodes.believe(made, teller, gone)
        if is_change:
            self.on_change()
        return self.nodes.slots == made

    def adopt_views(self, views: Mapping[str, View | None]) -> bool:
        """Take what each node has told, `None` where it has not; return whether a slot is moving.

        A slot that is handed over as a whole is never on its way, and of all nodes only the one
        that has lost it is sure to know.
        """
        gone = [node for node, view in views.items() if view is None]
        told = [(node, view) for node, view in views.items() if view is not None]
        for node, view in told:
            self.adopt(view.slots, node, gone)
        return any(view.is_moving for _, view in told)

    def moved(self, slots: Sequence[int], node: str) -> None:
        """Take what a redirection has told: these slots are at another node now."""
        with self._lock:
            made = list(self.nodes.slots)
            for slot in slots:
                made[slot] = node
            is_change = self.nodes.adopt(tuple(made), self.nodes.names)
        if is_change:
            self.on_change()

    def learn(self, error: BackendRefused, asked: str) -> None:
        """Take what the redirection of one command has told."""
        if error.prefix == "MOVED":
            slot, node = place_of(error, asked)
            self.moved((slot,), node)

    def is_due(self, error: BackendError) -> bool:
        """Tell whether a failure is a reason to ask for the topology now."""
        if isinstance(error, BackendRefused) and error.prefix not in _CHANGING:
            return False
        now = monotonic()
        if not error.is_outage or now < self._next_refresh:
            return False
        self._next_refresh = now + REFRESH_SECONDS
        return True


def unreachable(failures: Sequence[BackendError]) -> BackendError:
    """Return the error where no node has told the topology."""
    for failure in failures:
        if failure.is_configuration:  # a password, a right, a certificate: that says more
            return failure
    cause = [("cause", failure.what) for failure in failures[-1:]]
    return BackendUnavailable(
        "no node of the cluster can be reached",
        code="DC325",
        details=cause,
        help="put nodes in the URL that this program can reach, and check that they run",
    )


def not_a_cluster(error: BackendRefused) -> BackendError:
    """Return the error of a server that has no cluster mode; any other as it is."""
    if error.prefix != "ERR":
        return error
    made = BackendRefused(
        "the server is not a node of a cluster",
        code="DC326",
        help="write redis:// for one server, or set cluster-enabled yes there",
    )
    made.is_configuration = True
    return made


def unserved() -> BackendRefused:
    """Return the error of a slot that no node has."""
    made = BackendRefused(
        "no node of the cluster has the slot of this key",
        code="DC328",
        help="see CLUSTER INFO and CLUSTER NODES: a primary without a replica may be down",
    )
    made.prefix = "CLUSTERDOWN"
    return made
