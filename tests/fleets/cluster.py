"""Three primaries with a replica each, as one Redis Cluster, to be resharded, killed and promoted.

Every node finds in its file who else there is and who owns which slots: meeting by gossip takes
seconds, and the test would begin with a cluster that is still finding itself.
"""

from __future__ import annotations

import itertools
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import redis
from redis.crc import key_slot

from tests.fleets.waiting import until
from tests.ports import HOST, free_port, release
from tests.servers import Server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.servers import Binary

SLOTS: Final = 16_384
NODE_TIMEOUT_MS: Final = 1_000
FAILOVER_SECONDS: Final = 6.0
"""After five a replica gives up: a node that stood still did not vote in time."""
BUS: Final = 10_000
"""What a node adds to its port for the links between nodes."""


class Known(NamedTuple):
    """A node as `CLUSTER NODES` tells of it."""

    id: str
    port: int
    flags: frozenset[str]
    primary_id: str | None
    slots: frozenset[int]

    @property
    def is_primary(self) -> bool:
        return "master" in self.flags

    @property
    def is_well(self) -> bool:
        return not self.flags & {"fail", "fail?", "handshake", "noaddr"}


class ClusterNode(Server):
    """One running node; `lines` are what it finds in its file at the first start."""

    def __init__(
        self, binary: Binary, *options: str, port: int, password: str | None, lines: Iterable[str]
    ) -> None:
        self._lines = tuple(lines)
        super().__init__(binary, *options, port=port, password=password)

    def id(self) -> str:
        told: bytes = self.cli("CLUSTER", "MYID")
        return told.decode()

    def known(self) -> list[Known]:
        """Return all nodes that this one knows, itself too."""
        told = self.cli("CLUSTER", "NODES")
        text = told.decode() if isinstance(told, bytes) else told
        return [_known(line) for line in text.splitlines()]

    def state(self) -> str:
        """Return `ok` or `fail`, as this node sees the cluster."""
        told = self.cli("CLUSTER", "INFO")
        text = told.decode() if isinstance(told, bytes) else told
        pairs = dict(line.split(":", 1) for line in text.splitlines())
        return str(pairs["cluster_state"])

    def _command(self) -> list[str]:
        file = Path(self.folder, "nodes.conf")
        if self._lines and not file.exists():
            file.write_text("\n".join(self._lines) + "\n", "utf-8")
        return [*super()._command(), "--cluster-enabled", "yes"]

    def stop(self) -> None:
        super().stop()
        release(self.port + BUS)


class Cluster:
    """The fleet; use as a context manager, or call `stop()`."""

    def __init__(
        self,
        binary: Binary,
        *,
        primaries: int = 3,
        replicas: int = 1,
        password: str | None = None,
        needs_all_slots: bool = True,
    ) -> None:
        self.nodes: list[ClusterNode] = []
        """All nodes, whether they run or not; the first `primaries` began as primaries."""
        self.password = password
        self._binary = binary
        self._needs_all_slots = needs_all_slots
        covered = "yes" if needs_all_slots else "no"
        self._options = (
            *("--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
            *("--cluster-require-full-coverage", covered),
            *("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"),
        )
        try:
            self._start(primaries, replicas)
        except BaseException:
            self.stop()
            raise

    def _start(self, primaries: int, replicas: int) -> None:
        planned = _plan(primaries, replicas)
        for own in planned:
            lines = [_line(each, is_own=each is own) for each in planned]
            lines.append(f"vars currentEpoch {primaries} lastVoteEpoch 0")
            self.nodes.append(self._made(own.port, lines))
        self.wait_until_ready()

    def _made(self, port: int, lines: Iterable[str] = ()) -> ClusterNode:
        return ClusterNode(
            self._binary, *self._options, port=port, password=self.password, lines=lines
        )

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, scheme: str = "redis+cluster") -> str:
        """Return the URL that names the first three nodes, with the password if there is one."""
        user_info = f":{self.password}@" if self.password else ""
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes[:3])
        return f"{scheme}://{user_info}{hosts}"

    @property
    def running(self) -> list[ClusterNode]:
        return [node for node in self.nodes if node.is_running]

    @property
    def primaries(self) -> list[ClusterNode]:
        """The primaries that run and own slots, as the nodes see it."""
        return [self._node_at(known.port) for known in self._view() if known.slots]

    def replicas_of(self, primary: ClusterNode) -> list[ClusterNode]:
        own_id = primary.id()
        followers = [known.port for known in self._view() if known.primary_id == own_id]
        return [self._node_at(port) for port in followers]

    def are_all_followed(self) -> bool:
        return all(self.replicas_of(primary) for primary in self.primaries)

    def owner_of(self, slot: int) -> ClusterNode:
        """Return the primary that owns a slot, as the nodes see it."""
        return next(self._node_at(known.port) for known in self._view() if slot in known.slots)

    def node_of(self, key: str) -> ClusterNode:
        """Return the primary that owns a key."""
        return self.owner_of(slot_of(key))

    def flush(self) -> None:
        for node in self.primaries:
            node.flush()

    def kill(self, node: ClusterNode) -> None:
        """Kill -9 it; `node.start()` brings it back, empty, with what it knew of the cluster."""
        node.kill()

    def pause(self, node: ClusterNode) -> None:
        """SIGSTOP: it accepts connections, and answers nothing."""
        node.pause()

    def resume(self, node: ClusterNode) -> None:
        node.resume()

    def promote(
        self, replica: ClusterNode, how: Literal["", "FORCE", "TAKEOVER"] = ""
    ) -> ClusterNode:
        """Let a replica take over from its primary, and wait until all nodes that run know it."""
        ask_at = 0.0

        def is_promoted() -> bool:
            nonlocal ask_at
            if self._is_promoted(replica):
                return True
            if time.monotonic() >= ask_at:
                replica.cli("CLUSTER", "FAILOVER", *how.split())
                ask_at = time.monotonic() + FAILOVER_SECONDS
            return False

        until(is_promoted, f"all nodes see {replica!r} as a primary")
        return replica

    def wait_until_promoted(self, replica: ClusterNode) -> None:
        """Wait until all nodes that run see it as a primary with slots."""
        until(lambda: self._is_promoted(replica), f"all nodes see {replica!r} as a primary")

    def _is_promoted(self, replica: ClusterNode) -> bool:
        return all(
            any(known.port == replica.port and known.slots for known in node.known())
            for node in self.running
        )

    def begin_move(self, slot: int, target: ClusterNode) -> SlotMove:
        """Begin to move a slot: from here on its owner answers ASK for keys that it lacks."""
        move = SlotMove(self, slot, self.owner_of(slot), target)
        target.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", move.source.id())
        move.source.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id())
        return move

    def move_slot(self, slot: int, target: ClusterNode) -> None:
        """Move a slot and its keys in one go: afterwards its old owner answers MOVED."""
        move = self.begin_move(slot, target)
        move.move_keys()
        move.end()

    def moved_at_once(self, slot: int, target: ClusterNode) -> bool:
        """Move a slot atomically, by the server itself; False where it does not know how to."""
        source = self.owner_of(slot)
        try:
            source.cli("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target.id())
        except redis.ResponseError:
            try:
                target.cli("CLUSTER", "MIGRATION", "IMPORT", slot, slot)
            except redis.ResponseError:
                return False
        until(lambda: self._sees_owner(slot, target), f"all nodes see the new owner of slot {slot}")
        return True

    def _sees_owner(self, slot: int, owner: ClusterNode) -> bool:
        return all(
            any(known.port == owner.port and slot in known.slots for known in node.known())
            for node in self.running
        )

    def add_node(self) -> ClusterNode:
        """Add a primary without slots, and wait until all nodes know it."""
        node = self._made(free_port(beside=BUS))
        self.nodes.append(node)
        first = self.nodes[0]
        node.cli("CLUSTER", "MEET", HOST, first.port)
        self.wait_until_ready()
        return node

    def wait_until_ready(self) -> None:
        """Wait until all nodes that run know each other, are well, and see all slots served."""
        until(self._is_ready, "a cluster whose nodes see each other and all slots")

    def need_all_slots(self, *, is_needed: bool = True) -> None:
        """Let nodes refuse all keys while a slot is not served, or only those of that slot."""
        for node in self.running:
            covered = "yes" if is_needed else "no"
            node.cli("CONFIG", "SET", "cluster-require-full-coverage", covered)

    def heal(self) -> None:
        """Start what was killed, wait until all slots are served, and empty it."""
        for node in self.nodes:
            if not node.is_running:
                node.start()
        self.need_all_slots(is_needed=self._needs_all_slots)
        self.wait_until_ready()
        self.flush()

    def stop(self) -> None:
        while self.nodes:
            self.nodes.pop().stop()

    def _is_ready(self) -> bool:
        running = self.running
        ports = {node.port for node in running}
        for node in running:
            well = {known.port for known in node.known() if known.is_well}
            if node.state() != "ok" or not ports <= well:
                return False
        return all(self._is_linked(known) for known in self._view() if known.primary_id)

    def _is_linked(self, replica: Known) -> bool:
        told = self._node_at(replica.port).cli("INFO", "replication")
        return bool(told["role"] == "slave" and told["master_link_status"] == "up")

    def _view(self) -> list[Known]:
        """Return the nodes that run, as one that is well connected sees them."""
        ports = {node.port for node in self.running}
        return [known for known in self.running[0].known() if known.port in ports]

    def _node_at(self, port: int) -> ClusterNode:
        return next(node for node in self.nodes if node.port == port)


class SlotMove(NamedTuple):
    """A slot on its way; a test may stand between its steps."""

    cluster: Cluster
    slot: int
    source: ClusterNode
    target: ClusterNode

    def move_keys(self, most: int = 10_000) -> int:
        """Move up to `most` keys of the slot, and return how many."""
        keys = self.source.cli("CLUSTER", "GETKEYSINSLOT", self.slot, most)
        if keys:
            password = self.cluster.password
            auth = ("AUTH", password) if password else ()
            place = (HOST, self.target.port, "", 0, 5_000)
            self.source.cli("MIGRATE", *place, *auth, "KEYS", *keys)
        return len(keys)

    def end(self) -> None:
        """Give the slot to its new owner; the others are told, so that all agree."""
        target_id = self.target.id()
        primaries = self.cluster.primaries
        for node in (self.target, self.source, *primaries):
            node.cli("CLUSTER", "SETSLOT", self.slot, "NODE", target_id)


def slot_of(key: str) -> int:
    slot: int = key_slot(key.encode())
    return slot


class _Planned(NamedTuple):
    id: str
    port: int
    primary_id: str | None
    epoch: int
    slots: str


def _plan(primaries: int, replicas: int) -> list[_Planned]:
    bounds = [SLOTS * n // primaries for n in range(primaries + 1)]
    planned = [
        _Planned(secrets.token_hex(20), free_port(beside=BUS), None, n + 1, f"{first}-{end - 1}")
        for n, (first, end) in enumerate(itertools.pairwise(bounds))
    ]
    followers = [
        _Planned(secrets.token_hex(20), free_port(beside=BUS), primary.id, primary.epoch, "")
        for _ in range(replicas)
        for primary in planned
    ]
    return planned + followers


def _line(node: _Planned, *, is_own: bool) -> str:
    flags = "slave" if node.primary_id else "master"
    flags = f"myself,{flags}" if is_own else flags
    address = f"{HOST}:{node.port}@{node.port + BUS}"
    primary = node.primary_id or "-"
    return f"{node.id} {address} {flags} {primary} 0 0 {node.epoch} connected {node.slots}".strip()


def _known(line: str) -> Known:
    own_id, address, flags, primary_id, _, _, _, _, *slots = line.split()
    port = int(address.partition("@")[0].partition(",")[0].rpartition(":")[2] or 0)
    owned: set[int] = set()
    for each in slots:
        if not each.startswith("["):  # that is a slot on its way
            first, _, last = each.partition("-")
            owned.update(range(int(first), int(last or first) + 1))
    primary = None if primary_id == "-" else primary_id
    return Known(own_id, port, frozenset(flags.split(",")), primary, frozenset(owned))
