"""What processes that listen cost a server: connections, pushes, processor time, memory.

Each transport has its own processes and keys on one server, and they take turns. Pushes are counted
by what the server sends beyond what it sends without listeners; its processor time is its own
account, which other programs on the machine change little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks import tracking_table
from benchmarks.listening import (
    FIRST,
    KEYS,
    PATIENT,
    TRANSPORTS,
    Listeners,
    push_bytes,
    totals,
    user_of,
)
from benchmarks.results import Row
from dualcache import Cache
from tests.fleets.cluster import Cluster
from tests.servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.bench import Bench
    from benchmarks.listening import Heard

AT_ONCE: Final = 20
CHANGE, FILL = "an invalidation", "a fill"
BATCH: Final = f"an invalidation, {AT_ONCE} in one call"
OF_CLUSTERS: Final[tuple[Heard, ...]] = ("tracking", "broadcast")


def run(bench: Bench) -> list[Row]:
    server = bench.closing.enter_context(Server(bench.binary, "--maxclients", "4000"))
    groups = [Group(bench, transport, [server], server.url) for transport in TRANSPORTS]
    rounds = bench.some(1, 5)
    found = alone(groups, rounds)
    for processes in bench.some((1, 2), (1, 4, 16, 64)):
        found += [group.grown(processes) for group in groups]
        found += with_listeners(groups, processes, rounds)
    return [*found, *over_primaries(bench), *tracking_table.rows(bench)]


def over_primaries(bench: Bench) -> list[Row]:
    """Let the same number of processes listen to clusters of 1 to 3 primaries."""
    processes, rounds = bench.some((1, 1), (4, 5))
    groups: dict[Group, int] = {}
    for number in bench.some((2,), (1, 2, 3)):
        cluster = bench.closing.enter_context(Cluster(bench.binary, primaries=number, replicas=0))
        for transport in OF_CLUSTERS:
            groups[Group(bench, transport, cluster.nodes, cluster.url())] = number
    alone(list(groups), rounds)
    found = []
    for group, number in groups.items():
        connections = group.grown(processes).value / processes
        case = "connections of a process, over primaries"
        found.append(Row(case, group.transport, "connections", (connections,), x=number))
    for (case, group), laps in in_turns(list(groups), rounds).items():
        if case == CHANGE:
            pushes = tuple([group.pushes(case, lap) / processes for lap in laps])
            name = "pushes for an invalidation to a process, over primaries"
            found.append(Row(name, group.transport, "pushes", pushes, x=groups[group]))
    return found


class Spent(NamedTuple):
    """What each of some changes was to the servers, and to all listening processes together."""

    output_bytes: float
    server_us: float
    listeners_us: float


Laps = dict[tuple[str, "Group"], list[Spent]]


def in_turns(groups: Sequence[Group], rounds: int) -> Laps:
    """Measure invalidations and fills of all groups, A B C, C B A, …"""
    laps: Laps = {(case, group): [] for case in (CHANGE, BATCH, FILL) for group in groups}
    order = list(groups)
    for _ in range(rounds):
        for group in order:
            laps[CHANGE, group].append(group.invalidate(1))
            laps[BATCH, group].append(group.invalidate(AT_ONCE))
            laps[FILL, group].append(group.fill())
        order.reverse()
    return laps


def alone(groups: Sequence[Group], rounds: int) -> list[Row]:
    """Measure while no process listens."""
    found = []
    for (case, group), laps in in_turns(groups, rounds).items():
        group.without[case] = min(lap.output_bytes for lap in laps)
        cost = tuple([lap.server_us for lap in laps])
        name = f"server, processor time of {case} that nobody hears"
        found.append(Row(name, group.transport, "µs", cost))
    return found


def with_listeners(groups: Sequence[Group], processes: int, rounds: int) -> list[Row]:
    found: list[Row] = []
    for (case, group), laps in in_turns(groups, rounds).items():
        cases = {f"server, processor time of {case}": ("µs", [lap.server_us for lap in laps])}
        if case != BATCH:  # the names of a batch share a push
            cases[f"pushes for {case}"] = "pushes", [group.pushes(case, lap) for lap in laps]
        if case == CHANGE and group.hears_all:
            cost = [lap.listeners_us / processes for lap in laps]
            cases["process, processor time of a push"] = "µs", cost
        found += [
            Row(f"{name}, over processes", group.transport, unit, tuple(values), x=processes)
            for name, (unit, values) in cases.items()
        ]
    return found


class Group:
    """The processes of one transport, and a cache that changes their keys."""

    def __init__(self, bench: Bench, transport: Heard, servers: Sequence[Server], url: str) -> None:
        self.transport: Heard = transport
        self.hears_all = transport != "tracking"
        self.without: dict[str, float] = {}
        """The bytes that servers send for a change that nobody hears."""
        self._servers = servers
        self._listeners = Listeners(url, transport)
        bench.on_close(self._listeners.stop)
        publish = transport == "pubsub"
        self._writer = Cache(url, namespace=transport, publish=publish, **PATIENT)
        bench.on_close(self._writer.close)
        self._user = user_of(self._writer)
        self._fills = iter(range(FIRST + KEYS, 10 * FIRST))
        changes = bench.some(20, 200)
        self._changed = range(FIRST, FIRST + KEYS, KEYS // changes)
        for number in range(FIRST, FIRST + KEYS):
            self._user(number)
        self._connections = 0

    def grown(self, processes: int) -> Row:
        """Let so many processes listen; return how many connections they have."""
        before = totals(self._servers).connections
        self._listeners.grow(processes)
        self._connections += totals(self._servers).connections - before
        case = "connections, over processes"
        return Row(case, self.transport, "connections", (self._connections,), x=processes)

    def invalidate(self, at_once: int) -> Spent:
        """Invalidate keys that are spread evenly over the shares of the processes."""
        self._refill()
        keys = [f"user:{number}" for number in self._changed]
        calls = [keys[at : at + at_once] for at in range(0, len(keys), at_once)]
        return self._spent(lambda call: self._writer.invalidate(*call), calls, len(keys))

    def fill(self) -> Spent:
        """Load keys that no other process holds."""
        numbers = [next(self._fills) for _ in self._changed]
        return self._spent(self._user, numbers, len(numbers))

    def pushes(self, case: str, spent: Spent) -> float:
        """Return how many pushes a change was, counted by their bytes; hundredths are noise."""
        sent = spent.output_bytes - self.without[case]
        return max(0.0, round(sent / push_bytes(self.transport, FIRST), 2))

    def _refill(self) -> None:
        """Store again what was invalidated, and let the processes hold it again."""
        for number in self._changed:
            self._user(number)
        self._listeners.ask("read")

    def _spent(self, change: Callable[[Any], object], calls: Sequence[Any], changes: int) -> Spent:
        heard_before = sum(self._listeners.ask("time"))
        before = totals(self._servers)
        for call in calls:
            change(call)
        after = totals(self._servers)
        heard = sum(self._listeners.ask("fence")) - heard_before
        return Spent(
            (after.output_bytes - before.output_bytes) / changes,
            (after.cpu_seconds - before.cpu_seconds) * 1e6 / changes,
            heard * 1e6 / changes,
        )
