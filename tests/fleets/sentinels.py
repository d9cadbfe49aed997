"""A master, two replicas and three Sentinels that watch them, to be failed over and killed.

The Sentinels are told of each other and of the replicas in their files: to find each other by the
master's hello channel takes them two seconds and more.
"""

from __future__ import annotations

import functools
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.fleets.waiting import until
from tests.ports import HOST, free_port
from tests.servers import Server

if TYPE_CHECKING:
    from tests.servers import Binary

SERVICE: Final = "mymaster"
QUORUM: Final = 2
DOWN_AFTER_MS: Final = 1_500
"""Sentinels ping once a second, or more often for less: then a busy machine looks like a death."""
FAILOVER_TIMEOUT_MS: Final = 3_000
REPLICATION: Final = ("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0")


class Watched(NamedTuple):
    """What a Sentinel is told about the service it watches."""

    master_port: int
    replica_ports: tuple[int, ...]
    sentinel_ids: dict[int, str]
    """By port, those of all Sentinels."""
    password: str | None
    """The one of master and replicas."""


class Sentinel(Server):
    """One running Sentinel; it keeps what it learns in its file, over a restart too."""

    def __init__(
        self, binary: Binary, watched: Watched, *, port: int, password: str | None = None
    ) -> None:
        self._watched = watched
        super().__init__(binary, port=port, password=password)

    def master_port(self, service: str = SERVICE) -> int | None:
        """Return the port of the master as this Sentinel tells it; `None`: not known here."""
        told = self.cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
        return int(told[1]) if told else None

    def state(self) -> dict[str, str]:
        """Return what it tells about the master."""
        return _texts(self.cli("SENTINEL", "MASTER", SERVICE))

    def replicas(self) -> list[dict[str, str]]:
        """Return what it tells about each replica."""
        return [_texts(told) for told in self.cli("SENTINEL", "REPLICAS", SERVICE)]

    def _command(self) -> list[str]:
        file = Path(self.folder, "sentinel.conf")
        if not file.exists():
            file.write_text("\n".join(self._lines()) + "\n", "utf-8")
        return [str(self._binary.path), str(file), "--sentinel"]

    def _lines(self) -> list[str]:
        master_port, replica_ports, ids, password = self._watched
        lines = [f"port {self.port}", f"bind {HOST}", f"dir {self.folder}"]
        lines += [f"requirepass {self.password}"] if self.password else []
        lines += [f"sentinel sentinel-pass {self.password}"] if self.password else []
        lines += [
            f"sentinel myid {ids[self.port]}",
            f"sentinel monitor {SERVICE} {HOST} {master_port} {QUORUM}",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} {FAILOVER_TIMEOUT_MS}",
            f"sentinel parallel-syncs {SERVICE} 2",
        ]
        lines += [f"sentinel auth-pass {SERVICE} {password}"] if password else []
        lines += [f"sentinel known-replica {SERVICE} {HOST} {port}" for port in replica_ports]
        lines += [
            f"sentinel known-sentinel {SERVICE} {HOST} {port} {own_id}"
            for port, own_id in ids.items()
            if port != self.port
        ]
        return lines


class Sentinels:
    """The fleet; use as a context manager, or call `stop()`."""

    def __init__(
        self,
        binary: Binary,
        *,
        replicas: int = 2,
        password: str | None = None,
        sentinel_password: str | None = None,
    ) -> None:
        self.nodes: list[Server] = []
        """Master and replicas, whoever is which at the moment."""
        self.sentinels: list[Sentinel] = []
        self.password = password
        self.sentinel_password = sentinel_password
        try:
            self._start(binary, replicas)
        except BaseException:
            self.stop()
            raise

    def _start(self, binary: Binary, replicas: int) -> None:
        first = Server(binary, *REPLICATION, password=self.password)
        self.nodes.append(first)
        for _ in range(replicas):
            node = Server(binary, *REPLICATION, password=self.password)
            node.cli("REPLICAOF", HOST, first.port)
            self.nodes.append(node)
        ids = {free_port(): secrets.token_hex(20) for _ in range(3)}
        ports = tuple(node.port for node in self.nodes[1:])
        watched = Watched(first.port, ports, ids, self.password)
        for port in ids:
            made = Sentinel(binary, watched, port=port, password=self.sentinel_password)
            self.sentinels.append(made)
        self.wait_until_ready()

    def __enter__(self) -> Sentinels:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, scheme: str = "redis+sentinel", *, db: int = 0) -> str:
        """Return the URL of the service, with the password of the master if there is one."""
        user_info = f":{self.password}@" if self.password else ""
        hosts = ",".join(f"{HOST}:{each.port}" for each in self.sentinels)
        return f"{scheme}://{user_info}{hosts}/{SERVICE}?db={db}"

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The addresses of the Sentinels, as redis-py takes them."""
        return [(HOST, each.port) for each in self.sentinels]

    def master_address(self) -> tuple[str, int]:
        """Return where the Sentinels that run say the master is; they have to agree."""
        return HOST, until(self._agreed_port, "the Sentinels agree on a master")

    @property
    def master(self) -> Server:
        """The node that the Sentinels name."""
        return self._node_at(self.master_address()[1])

    @property
    def replicas(self) -> list[Server]:
        """The other nodes that run."""
        master = self.master
        return [node for node in self.nodes if node is not master and node.is_running]

    def failover(self) -> Server:
        """Let the Sentinels promote a replica of a living master; return the old master.

        The old one goes on as a writable master for some seconds, until it is told otherwise.
        """
        old = self.master
        until(functools.partial(self._begin_failover, old), "a Sentinel begins a failover")
        self.wait_until_left(old)
        return old

    def kill_master(self) -> Server:
        """Kill -9 the master, and return it; the Sentinels notice seconds later by themselves.

        `wait_until_left` waits for that, `replace` does not.
        """
        old = self.master
        old.kill()
        return old

    def replace(self, dead: Server) -> Server:
        """Let the Sentinels promote a replica of a dead master at once; return the new master."""
        until(functools.partial(self._begin_failover, dead), "a Sentinel begins a failover")
        return self.wait_until_left(dead)

    def pause(self, node: Server) -> None:
        """SIGSTOP a node or a Sentinel: it accepts connections, and answers nothing."""
        node.pause()

    def resume(self, node: Server) -> None:
        node.resume()

    def wait_until_left(self, old: Server) -> Server:
        """Wait until another master answers, and all Sentinels that run name it; return it."""

        def found() -> Server | None:
            port = self._agreed_port()
            if port is None or port == old.port:
                return None
            new = self._node_at(port)
            return new if new.cli("ROLE")[0] == b"master" else None

        return until(found, f"another master than {old!r}")

    def wait_until_settled(self) -> None:
        """Wait until no Sentinel leads a failover any more.

        One that does, and whose new master dies, names the dead one for long after its return.
        """
        until(self._is_settled, "Sentinels that lead no failover")

    def wait_until_ready(self) -> None:
        """Wait until a failover could begin: replicas are linked, and the Sentinels know them."""
        until(self._is_ready, "replicas that follow, and Sentinels that know them")

    def heal(self) -> None:
        """Start what was killed, let all follow the master, and empty it."""
        self.rejoin()
        self.wait_until_ready()
        until(self._flushed, "a master that takes writes")

    def rejoin(self) -> None:
        """Start what was killed, and let all follow the master, whoever that is by then."""
        for node in (*self.sentinels, *self.nodes):
            if not node.is_running:
                node.start()
        until(lambda: self._is_linked(is_repairing=True), "replicas that follow the master")

    def stop(self) -> None:
        for node in (*self.sentinels, *self.nodes):
            node.stop()
        self.sentinels.clear()
        self.nodes.clear()

    def _flushed(self) -> bool:
        self.master.flush()
        return True

    def _agreed_port(self) -> int | None:
        running = [each for each in self.sentinels if each.is_running]
        told = {each.master_port() for each in running if not self._is_stuck(each)}
        return told.pop() if len(told) == 1 else None

    def _is_settled(self) -> bool:
        flags = [each.state()["flags"] for each in self.sentinels if each.is_running]
        return not any("failover_in_progress" in each for each in flags)

    def _is_stuck(self, sentinel: Sentinel) -> bool:
        """Decide whether it waits for the return of a master that it has promoted itself.

        It led the failover to a master that died before all replicas followed. It goes on naming
        that one until it is back, whatever the other Sentinels do meanwhile.
        """
        port = sentinel.master_port()
        is_dead = not any(node.port == port and node.is_running for node in self.nodes)
        return is_dead and "failover_in_progress" in sentinel.state()["flags"]

    def _node_at(self, port: int) -> Server:
        return next(node for node in self.nodes if node.port == port)

    def _begin_failover(self, old: Server) -> bool:
        """Ask for a failover until one begins: Sentinels refuse while they know no good replica."""
        asked = next(each for each in self.sentinels if each.is_running)
        if asked.master_port() != old.port:
            return True
        return asked.cli("SENTINEL", "FAILOVER", SERVICE) in (True, b"OK")

    def _is_ready(self) -> bool:
        master = self.master
        running = [each for each in self.sentinels if each.is_running]
        return self._is_linked() and all(self._knows_all(each, master) for each in running)

    def _is_linked(self, *, is_repairing: bool = False) -> bool:
        """Decide whether all follow the master; `is_repairing`: let those do so that do not."""
        master = self.master
        links = {node: node.cli("INFO", "replication") for node in self.replicas}
        for node, link in links.items():
            if is_repairing and link.get("master_port") != master.port:
                _demote(node, master)
        return all(
            link.get("master_port") == master.port and link["master_link_status"] == "up"
            for link in links.values()
        )

    def _knows_all(self, sentinel: Sentinel, master: Server) -> bool:
        state = sentinel.state()
        others = sum(each.is_running for each in self.sentinels) - 1
        return (
            state["flags"] == "master"
            and int(state["port"]) == master.port
            and int(state["num-other-sentinels"]) >= others
            and int(state["num-slaves"]) >= len(self.replicas)
            and all(_is_fit(replica) for replica in sentinel.replicas())
        )


def _demote(node: Server, master: Server) -> None:
    """Let a node follow, in the way of Sentinels: its clients are cut off in the same moment."""
    with node.client().pipeline(transaction=True) as trip:
        trip.execute_command("REPLICAOF", HOST, master.port)
        trip.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        trip.execute()


def _is_fit(replica: dict[str, str]) -> bool:
    """Decide whether a Sentinel has heard from a replica of late, so that it may be chosen."""
    heard_ms = int(replica.get("info-refresh", 0))
    return replica["flags"] == "slave" and 0 < heard_ms < 60_000


def _texts(told: Any) -> dict[str, str]:
    """Return a map of the server's as text, in the form of either protocol."""
    pairs = told.items() if isinstance(told, dict) else zip(told[::2], told[1::2], strict=True)
    return {_text(name): _text(value) for name, value in pairs}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
