"""The world of the simulation: processes that run the real flows over one server.

What may happen in it is in `steps.py`, what may go wrong in `troubles.py`, what must hold in
`rules.py`. Nothing here decides what is served or stored: that is the engine's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.core.entry import Tag
from dualcache.core.envelope import seal
from dualcache.core.flight import JoinReply
from dualcache.core.ops import Claim, TryLease
from dualcache.core.policy import Call
from dualcache.engine import read
from tests.simulation import rules
from tests.simulation.actor import Actor
from tests.simulation.commands import FOR_AGES_MS, commands_of, reply_of
from tests.simulation.process import Process
from tests.simulation.server import Server
from tests.simulation.telling import told
from tests.simulation.values import Value, pack

if TYPE_CHECKING:
    from dualcache.core.flight import Flight
    from dualcache.core.ops import Flow, Op
    from tests.simulation.connections import Connection
    from tests.simulation.listening import Listening
    from tests.simulation.scenario import Scenario

LONG_AGO_MS = 10_000


class World:
    """All that there is; it is made anew for each schedule.

    `now` is the steady clock in seconds, `wall_ms` what the wall clock is ahead of it. `acked` are
    the writes that were acknowledged, `versions` the version of the source that each made.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.now = 0.0
        self.wall_ms = 1_000
        self.jumps_left = scenario.jumps
        self.faults_left = scenario.faults
        self.server = Server(
            scenario.names, lambda: self.now * 1000, is_sharded=scenario.is_sharded
        )
        if scenario.homes:
            self.server.homes, self.server.nodes = dict(scenario.homes), scenario.nodes()
        self.server.is_gossiping = scenario.is_gossiping
        self.footprint = self.server.footprint
        self.version = 0
        self.acked: frozenset[str] = frozenset()
        self.acked_at: dict[str, float] = {}
        self.versions: dict[str, int] = {}
        self.overlaps: set[tuple[str, str]] = set()
        self.leaders: dict[Flight, str] = {}
        self.dead_ids: set[bytes] = set()
        self.is_settled = False
        self.log: list[str] | None = None
        self.has_sets = any(role.is_set for role in scenario.roles)
        self.can_fail = bool(scenario.troubles & {"raised", "cancel", "renewal"})
        self.processes: dict[str, Process] = {}
        self.actors: dict[str, Actor] = {}
        for role in scenario.roles:
            if role.process not in self.processes:
                self.processes[role.process] = Process(self, role.process, scenario)
            process = self.processes[role.process]
            self.actors[role.name] = Actor(role, process, len(self.actors), scenario.ttl_ms)
        self.current: Actor = next(iter(self.actors.values()))
        self._prepare()

    def _prepare(self) -> None:
        scenario = self.scenario
        self.current = Actor(scenario.roles[0], self.processes[scenario.roles[0].process], 50)
        if scenario.is_stored:
            tags = tuple(Tag(name, self.current.draw()) for name in scenario.tags)
            for tag in tags:
                self.server.perform(TryLease(tag.name, tag.id, FOR_AGES_MS))
            version = self.current.draw()
            blob = seal(
                scenario.key,
                pack(Value(0)),
                version=version,
                created_ms=self.wall_ms - scenario.is_stale * LONG_AGO_MS,
                fresh_ms=1 if scenario.is_stale else None,
                load_ms=0,
                tags=tags,
            )
            self.server.perform(Claim(scenario.key, blob, scenario.ttl_ms))
        for process in self.processes.values():
            for listening in process.listenings.values():
                listening.open_at_once()
            if scenario.is_kept:
                reader = Actor(scenario.roles[0], process, 51, scenario.ttl_ms)
                call = Call(scenario.key, reader.policy(), scenario.tags)
                process.run(read.get(call, process.env))

    def listening(self, name: str) -> Listening:
        """Return a listener by its name: that of its process, and of its node in a cluster."""
        return self.processes[name[0]].listenings[name]

    def add_beside(self, parent: Actor, flow: Flow[Any]) -> Actor:
        """Add a caller that runs a flow in the background."""
        name = f"{parent.role.name}+"
        while name in self.actors:
            name += "+"
        role = parent.role._replace(name=name, is_beside=True)
        actor = Actor(role, parent.process, len(self.actors), self.scenario.ttl_ms)
        actor.state, actor.flow = "started", flow
        self.actors[name] = actor
        return actor

    def do_at_once(self, op: Op[Any], connection: Connection) -> Any:
        """Carry out an op with nobody else about."""
        is_sharded = self.scenario.is_sharded
        commands = commands_of(op, is_sharded=is_sharded)
        replies = [self.server.perform(command, connection) for command in commands]
        return reply_of(op, replies, is_sharded=is_sharded)

    def front_hit(self, process: Process, value: Value, ends_ms: float | None) -> None:
        self.current.was_kept = True
        self.say_of(self.current, "is served from the front:", value)
        rules.check_hit(self, process, value, ends_ms)

    # Telling what happened

    def newest(self, writers: frozenset[str]) -> Any:
        """Tell acknowledged writes apart as far as it matters: without sets, the newest counts."""
        if self.has_sets:
            return writers
        return max((self.versions[name] for name in writers), default=0)

    def label(self, flight: Flight | JoinReply) -> str:
        if isinstance(flight, JoinReply):
            return flight.value
        return f"flight of {self.leaders[flight]}"

    def say(self, text: str, *values: Any) -> None:
        if self.log is not None:
            self.log.append(" ".join((text, " -> ".join(map(told, values)))).rstrip())

    def say_of(self, actor: Actor, text: str, *values: Any) -> None:
        if self.log is not None:
            self.say(f"{actor.role.name:<11} {text}", *values)

    def abandon(self) -> None:
        """End what still runs; nothing of this world is looked at any more."""
        self.log = None
        for actor in self.actors.values():
            while actor.flow is not None:
                try:
                    actor.flow.close()
                except RuntimeError:  # it cleans up, and asks for something once more
                    continue
                actor.flow = None
