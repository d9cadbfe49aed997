"""The world of the simulation: processes that run the real flows, and everything that may happen.

A state offers choices; a schedule is the list of those taken. Nothing here decides what is served
or stored: that is the engine's. What must hold in every state is checked as it happens.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.codecs.envelope import open_envelope, seal, seal_filling
from dualcache.core.entry import MISSING, Kind, Packed, Recipe
from dualcache.core.flight import Flight, Outcome
from dualcache.core.ops import (
    AwaitChange,
    AwaitFlight,
    Claim,
    CloseFlights,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    Join,
    JoinReply,
    Land,
    Load,
    Loaded,
    Op,
    Raised,
    TryLease,
    Unlink,
)
from dualcache.core.policy import Call, Policy, Usage
from dualcache.drivers.flights import FlightTable
from dualcache.engine import read
from dualcache.engine.env import Env
from dualcache.engine.flights import may_follow
from dualcache.engine.recovery import Health
from dualcache.errors import BackendTimeout, BackendUnavailable
from tests.simulation.server import Server, Trip, fingerprint
from tests.simulation.telling import told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualcache.core.ops import Flow

Choice = tuple[str, str]
PAUSE_MS: Final = 100_000


STEPS: Final = {"asked": "serve", "answered": "deliver", "loading": "loaded"}
COMES_WHEN: Final = {
    "asked": ("lost request", "cut", "timeout", "cancel"),
    "answered": ("lost reply", "timeout", "cancel"),
    "loading": ("raised", "cancel"),
    "following": ("bound", "cancel"),
    "waiting": ("bound", "cancel"),
}
TROUBLES: Final = frozenset(
    {
        "lost request",
        "lost reply",
        "cut",
        "timeout",
        "cancel",
        "raised",
        "evict",
        "pause over",
        "age",
        "bound",
    }
)
"""What a schedule may hold only so often."""


class Violation(AssertionError):
    """A rule that must hold does not."""


class Cancelled(BaseException):
    """What is raised in a flow whose caller was cancelled."""


class LoadError(Exception):
    """What a failing load raises."""


class Value(NamedTuple):
    """What is cached: a version of the source, and which write put it there, if one did."""

    version: int
    writer: str = ""


def pack(_: str, value: Value) -> Packed:
    return Packed(1, 0, f"{value.version} {value.writer}".encode())


def unpack(_: str, stored: Any) -> Value:
    version, _, writer = bytes(stored.payload).decode().partition(" ")
    return Value(int(version), writer)


RECIPE: Final = Recipe(pack, unpack)


class Role(NamedTuple):
    """What one caller does: which flow it runs, in which process.

    A writer raises the version of the source before its flow begins.
    """

    name: str
    process: str
    flow: Callable[[World, Actor], Flow[Any]]
    is_writer: bool = False
    is_set: bool = False


class Scenario(NamedTuple):
    """Who acts, and which troubles may come.

    `faults` bounds how many troubles one schedule has, of the kinds in `troubles`.
    """

    roles: tuple[Role, ...]
    names: tuple[str, ...]
    troubles: frozenset[str] = frozenset()
    faults: int = 0
    is_sharded: bool = False
    prelude: Callable[[World], None] | None = None
    key: str = "k"


class Process:
    """One process: its flights, its health, its clocks."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.flights = FlightTable(may_follow)
        self.acked: frozenset[str] = frozenset()
        self.clock_ms = 0
        self.ticks: list[str] = []
        ticks = count()

        def tick() -> int:
            self.ticks.append(world.current.role.name)
            return next(ticks)

        self.env = Env(
            now_ms=lambda: world.wall_ms,
            elapsed_ms=lambda: self.clock_ms,
            draw_token=lambda: world.current.draw(),  # noqa: PLW0108  whoever is current then
            draw=lambda: 0.0,
            tick=tick,
            emit=lambda _: None,
            health=Health(),
            seal=seal,
            seal_filling=seal_filling,
            open_envelope=open_envelope,
            ways=(CommitWay.IFEQ,),
        )

    def state(self) -> tuple[Any, ...]:
        health = self.env.health
        breaker = health.breaker
        return (
            tuple(sorted(self.world.label(each) for each in self.flights._flights.values())),
            self.world._newest(self.acked),
            self.clock_ms,
            tuple(health.owed.values()),
            health.is_clear,
            breaker.is_closed,
            breaker.failures,
            breaker._pause_ms,
            breaker._retry_at_ms,
        )


class Actor:
    """One caller and the flow it runs."""

    def __init__(self, role: Role, process: Process, number: int) -> None:
        self.role = role
        self.process = process
        self.state = "new"
        self.flow: Flow[Any] | None = None
        self.op: Any = None
        self.trip: Trip | None = None
        self.seen: bytes | None = None
        self.value: Value | None = None
        self.history = 0
        self.is_revoked = False
        self.required: frozenset[str] = frozenset()
        self.usage = Usage()
        self.mark = bytes((65 + number,))
        self._draws = count(1)

    def draw(self) -> bytes:
        """Draw a token that nobody ever draws again."""
        return self.mark + next(self._draws).to_bytes(7)

    def policy(self, **options: Any) -> Policy:
        options.setdefault("ttl_ms", 60_000)
        return Policy("k", RECIPE, usage=self.usage, **options)


class World:
    """The whole: apply a choice, and see which choices there are next."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.wall_ms = 1_000
        self.server = Server(scenario.names, is_sharded=scenario.is_sharded)
        self.version = 0
        self.faults_left = scenario.faults
        self.orphans: list[Trip] = []
        self.acked: frozenset[str] = frozenset()
        self.versions: dict[str, int] = {}
        self.overlaps: set[tuple[str, str]] = set()
        self.leaders: dict[Flight, str] = {}
        self.dead_ids: set[bytes] = set()
        self.log: list[str] | None = None
        self.processes: dict[str, Process] = {}
        self.actors: dict[str, Actor] = {}
        for role in scenario.roles:
            if role.process not in self.processes:
                self.processes[role.process] = Process(self, role.process)
            process = self.processes[role.process]
            self.actors[role.name] = Actor(role, process, len(self.actors))
        self.readers = {
            name: sum(role.process == name and not role.is_writer for role in scenario.roles)
            for name in self.processes
        }
        self.has_sets = any(role.is_set for role in scenario.roles)
        self.can_fail = bool(scenario.troubles & {"raised", "cancel"})
        self.current: Actor = next(iter(self.actors.values()))
        if scenario.prelude is not None:
            scenario.prelude(self)

    # What may happen next

    def choices(self) -> list[Choice]:
        found = list(self._steps())
        found += [("late", str(at)) for at in range(len(self.orphans))]
        if not found:
            # Nobody else can do anything: a wait is over. Before that, it is a trouble.
            found += [("bound", a.role.name) for a in self.actors.values() if a.state == "waiting"]
        elif self.faults_left:
            found += self._troubles()
        return found

    def _steps(self) -> Iterator[Choice]:
        begun = set()
        for name, actor in self.actors.items():
            state = actor.state
            if state == "new":
                # Callers that are alike begin in one order only.
                twin = (actor.role.flow, actor.role.process)
                if twin not in begun:
                    begun.add(twin)
                    yield ("start", name)
            elif state in STEPS:
                yield (STEPS[state], name)
            elif self._may_wake(actor):
                yield ("wake", name)

    def _may_wake(self, actor: Actor) -> bool:
        if actor.state == "following":
            return actor.op.flight.landing is not None
        return actor.state == "waiting" and self.server.content(actor.op.key) != actor.seen

    def _troubles(self) -> Iterator[Choice]:
        kinds = self.scenario.troubles
        for name, actor in self.actors.items():
            for kind in COMES_WHEN.get(actor.state, ()):
                is_too_late = kind == "lost request" and not (
                    actor.trip is not None and actor.trip.is_untouched
                )
                if kind in kinds and not is_too_late:
                    yield (kind, name)
        if "evict" in kinds:
            yield from (("evict", key) for key in sorted(self.server.store._cells))
        if "pause over" in kinds:
            for process in self.processes.values():
                if not process.env.health.breaker.is_closed:
                    yield ("pause over", process.name)
        if "age" in kinds:
            yield ("age", "")

    # What happens

    def apply(self, choice: Choice) -> None:
        kind, name = choice
        if kind in TROUBLES and self.faults_left:
            self.faults_left -= 1
        if kind == "late":
            self._serve_late(int(name))
        elif kind == "evict":
            self._note_death(name)
            self.server.perform(Delete((name,)))
            self._say(f"server      loses {name}")
        elif kind == "pause over":
            self.processes[name].clock_ms += PAUSE_MS
            self._say(f"{name}           time passes")
        elif kind == "age":
            self.wall_ms += 61_000
            self._say("clock       entries become stale")
        else:
            self.current = self.actors[name]
            getattr(self, "_" + kind.replace(" ", "_"))(self.current)

    def _start(self, actor: Actor) -> None:
        role = actor.role
        self._say_of(actor, "begins")
        if role.is_writer:
            self.version += 1
            self.versions[role.name] = self.version
            for other in self.actors.values():
                if other.role.is_writer and self.has_sets and other.state not in {"new", "done"}:
                    self.overlaps |= {(role.name, other.role.name), (other.role.name, role.name)}
        actor.required = self.acked | actor.process.acked
        actor.flow = role.flow(self, actor)
        self._advance(actor, None)

    def _serve(self, actor: Actor) -> None:
        trip = actor.trip
        assert trip is not None
        self._serve_trip(trip, actor)
        if not trip.commands:
            actor.state = "answered"
            if self._is_alone(actor):
                self._deliver(actor)

    def _is_alone(self, actor: Actor) -> bool:
        """Tell whether it is enough to look at the earliest moment at which a reply arrives.

        So where no trouble can come and nobody of the process may follow a flight: a later load
        would have a newer version, and a later acknowledgement would promise less.
        """
        readers = self.readers[actor.process.name]
        return not self.faults_left and readers <= 1

    def _serve_late(self, at: int) -> None:
        trip = self.orphans[at]
        self._serve_trip(trip, None)
        if not trip.commands:
            del self.orphans[at]

    def _serve_trip(self, trip: Trip, actor: Actor | None) -> None:
        command = trip.commands.popleft()
        self._watch(command)
        reply = self.server.perform(command)
        if type(command) is Commit and reply is CommitReply.STORED:
            self._watch_stored(command)
        trip.replies.append(reply)
        late = "late: " if actor is None else ""
        self._say(f"server      {late}", command, reply)

    def _deliver(self, actor: Actor) -> None:
        trip = actor.trip
        assert trip is not None
        actor.trip = None
        reply = self.server.reply(trip)
        actor.history = hash((actor.history, fingerprint(reply)))
        self._say_of(actor, "gets", reply)
        self._advance(actor, reply)

    def _loaded(self, actor: Actor) -> None:
        self._say_of(actor, "has loaded", actor.value)
        self._advance(actor, Loaded(actor.value, 0.0))

    def _wake(self, actor: Actor) -> None:
        if actor.state == "waiting":
            actor.history = hash((actor.history, "woken"))
            self._say_of(actor, "looks again")
            self._advance(actor, None)
            return
        landing = actor.op.flight.landing
        outcome = landing.outcome
        known = None if outcome is None else (outcome.value, outcome.error is None)
        actor.history = hash((actor.history, "landed", known))
        self._say_of(actor, "sees the flight land:", landing)
        self._advance(actor, landing)

    # Troubles

    def _raised(self, actor: Actor) -> None:
        actor.history = hash((actor.history, "raised"))
        self._say_of(actor, "has a load that fails")
        self._advance(actor, Raised(LoadError(), 0.0))

    def _bound(self, actor: Actor) -> None:
        actor.process.clock_ms += round(actor.op.wait_ms) + 1
        actor.history = hash((actor.history, "bound"))
        self._say_of(actor, "has waited long enough")
        self._advance(actor, None)

    def _lost_request(self, actor: Actor) -> None:
        actor.trip = None
        self._throw(actor, BackendUnavailable("the request was lost", code="DC000"))

    def _lost_reply(self, actor: Actor) -> None:
        actor.trip = None
        self._throw(actor, BackendUnavailable("the reply was lost", code="DC000"))

    def _cut(self, actor: Actor) -> None:
        self._leave_trip(actor)
        self._throw(actor, BackendUnavailable("the connection was cut", code="DC000"))

    def _timeout(self, actor: Actor) -> None:
        self._leave_trip(actor)
        self._throw(actor, BackendTimeout("no reply in time", code="DC000"))

    def _cancel(self, actor: Actor) -> None:
        self._leave_trip(actor)
        self._throw(actor, Cancelled())

    def _leave_trip(self, actor: Actor) -> None:
        if actor.trip is not None and actor.trip.commands:
            self.orphans.append(actor.trip)
        actor.trip = None

    def _throw(self, actor: Actor, error: BaseException) -> None:
        if isinstance(error, BackendUnavailable):
            error.was_connected = True
        actor.history = hash((actor.history, type(error).__name__, str(error)))
        self._say_of(actor, "gets", error)
        self._advance(actor, error)

    # A flow runs on until it waits for something

    def _advance(self, actor: Actor, reply: Any) -> None:
        self.current = actor
        flow = actor.flow
        assert flow is not None
        try:
            while True:
                is_error = isinstance(reply, BaseException)
                op = flow.throw(reply) if is_error else flow.send(reply)
                waits, reply = self._local(actor, op)
                if waits:
                    return
        except StopIteration as end:
            self._done(actor, end.value)
        except Cancelled:
            self._end(actor)
        except LoadError:
            self._end(actor)

    def _local(self, actor: Actor, op: Op[Any]) -> tuple[bool, Any]:
        """Do what concerns this process only; tell whether the flow waits, else the reply."""
        flights = actor.process.flights
        actor.op = op
        if isinstance(op, Join):
            return False, self._join(actor, op)
        if isinstance(op, Land):
            self._say_of(actor, "lands:", op.landing)
            flights.land(op)
            return False, None
        if isinstance(op, CloseFlights):
            self._say_of(actor, "closes flights")
            flights.close(op)
            return False, None
        if isinstance(op, AwaitFlight):
            actor.state = "following"
        elif isinstance(op, AwaitChange):
            actor.state, actor.seen = "waiting", self.server.content(op.key)
        elif isinstance(op, Load):
            return self._load(actor)
        else:
            actor.state, actor.trip = "asked", self.server.trip(op)
            self._say_of(actor, "asks", op)
        return True, None

    def _load(self, actor: Actor) -> tuple[bool, Any]:
        # The source is read at once: the oldest version that this load can have.
        actor.state, actor.value, actor.is_revoked = "loading", Value(self.version), False
        actor.history = hash((actor.history, self.version))
        self._say_of(actor, "loads", actor.value)
        if self.can_fail and self.faults_left:
            return True, None
        # The end of a load is seen by nobody: its commit is what may come late.
        return False, Loaded(actor.value, 0.0)

    def _join(self, actor: Actor, op: Join) -> Any:
        flight = actor.process.flights.join(op, is_blocking=False)
        if isinstance(flight, Flight):
            if flight.leader is op:
                self.leaders[flight] = actor.role.name
            elif op.is_lenient:
                # Beside the backend only what this process was told is promised.
                actor.required &= actor.process.acked
        actor.history = hash((actor.history, self.label(flight)))
        self._say_of(actor, "joins:", self.label(flight))
        return flight

    def label(self, flight: Flight | JoinReply) -> str:
        if isinstance(flight, JoinReply):
            return flight.value
        return f"flight of {self.leaders[flight]}"

    def _end(self, actor: Actor) -> None:
        actor.state, actor.flow, actor.op, actor.trip = "done", None, None, None
        actor.history = 0

    def _done(self, actor: Actor, result: Any) -> None:
        self._end(actor)
        self._say_of(actor, "returns", result)
        if actor.role.is_writer:
            self._acknowledge(actor, result)
        else:
            self.check_read(actor, result)

    def _acknowledge(self, actor: Actor, result: Any) -> None:
        process = actor.process
        names = frozenset({actor.role.name})
        is_owed = bool(process.env.health.owed) if actor.role.is_set else bool(result.pending)
        process.acked |= names
        if not is_owed:
            self.acked |= names

    # What must hold

    def check_read(self, actor: Actor, result: Any) -> None:
        """No read that begins after a write was acknowledged returns what was there before it."""
        if isinstance(result, Outcome):
            if result.error is not None:
                return
            result = result.value
        if result is not MISSING:
            self.check_value(result, actor.required, actor.role.name)

    def check_value(self, value: Value, required: frozenset[str], reader: str) -> None:
        for writer in required:
            newest = self.versions[writer]
            # A set that ran beside another write may be the later of the two.
            if newest > value.version and (value.writer, writer) not in self.overlaps:
                raise Violation(
                    f"{reader} got version {value.version}; it began after {writer} had "
                    f"acknowledged version {newest}"
                )

    def _watch(self, command: Op[Any]) -> None:
        if isinstance(command, Delete | Unlink):
            for key in command.keys:
                self._note_death(key if isinstance(key, str) else key.decode())
        elif type(command) is Claim:
            self._note_death(command.key)
        elif (
            type(command) is TryLease
            and command.token in self.dead_ids
            and self.server.content(command.key) is None
        ):
            raise Violation(f"{command.key} came back with an id that was dead")

    def _note_death(self, name: str) -> None:
        content = self.server.content(name)
        if name == self.scenario.key:
            for actor in self.actors.values():
                actor.is_revoked = True
        elif content is not None:
            self.dead_ids.add(content)

    def _watch_stored(self, command: Commit) -> None:
        stored = open_envelope(command.key, command.blob)
        if stored.kind is not Kind.VALUE:
            return
        for actor in self.actors.values():
            is_his = stored.version[:1] == actor.mark
            if is_his and actor.is_revoked and actor.value is not None:
                raise Violation(f"{actor.role.name} stored a load that had been revoked")

    def check_end(self) -> None:
        """When all is quiet everybody has ended, and a read gives the newest version."""
        for actor in self.actors.values():
            if actor.state not in {"new", "done"}:
                raise Violation(f"{actor.role.name} waits for ever")
        for process in self.processes.values():
            if len(process.flights):
                raise Violation(f"a flight in {process.name} never landed")
            reader = self.current = Actor(self.scenario.roles[0], process, 40)
            process.clock_ms += PAUSE_MS
            required = self.acked | process.acked
            call = Call(self.scenario.key, reader.policy(), self._tags())
            value = self._run(read.get(call, process.env))
            if value is not MISSING:
                self.check_value(value, required, f"a last read in {process.name}")

    def _tags(self) -> tuple[str, ...]:
        return tuple(name for name in self.scenario.names if name.startswith("~t:"))

    def _run(self, flow: Flow[Any]) -> Any:
        """Run a flow of backend ops with nobody else about."""
        try:
            op = next(flow)
            while True:
                trip = self.server.trip(op)
                trip.replies += map(self.server.perform, trip.commands)
                op = flow.send(self.server.reply(trip))
        except StopIteration as end:
            return end.value

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

    # Telling states apart, and telling what happened

    def state(self) -> int:
        """Return a number that is the same only where everything that follows is the same."""
        following = any(actor.state == "following" for actor in self.actors.values())
        live = {a.role.name for a in self.actors.values() if following or a.state != "done"}
        return hash(
            (
                self.server.state(),
                self.version,
                self.wall_ms,
                self.faults_left,
                self._newest(self.acked),
                frozenset(self.overlaps),
                frozenset(self.dead_ids),
                tuple(sorted(hash(trip.state()) for trip in self.orphans)),
                tuple(
                    (
                        actor.state,
                        actor.history,
                        actor.is_revoked and (actor.state != "done" or bool(self.orphans)),
                        self._newest(actor.required) if actor.state != "done" else None,
                        None if actor.trip is None else actor.trip.state(),
                        actor.seen if actor.state == "waiting" else None,
                        self._landed(actor) if actor.state == "following" else None,
                    )
                    for actor in self.actors.values()
                ),
                tuple(
                    (process.state(), tuple(name for name in process.ticks if name in live))
                    for process in self.processes.values()
                ),
            )
        )

    def _newest(self, writers: frozenset[str]) -> Any:
        """Tell acknowledged writes apart as far as it matters: without sets, the newest counts."""
        if self.has_sets:
            return writers
        return max((self.versions[name] for name in writers), default=0)

    def _landed(self, actor: Actor) -> Any:
        landing = actor.op.flight.landing
        if landing is None or landing.outcome is None:
            return landing is None
        return landing.outcome.value, type(landing.outcome.error)

    def _say(self, text: str, *values: Any) -> None:
        if self.log is not None:
            self.log.append(" ".join((text, " -> ".join(map(told, values)))).rstrip())

    def _say_of(self, actor: Actor, text: str, *values: Any) -> None:
        if self.log is not None:
            self._say(f"{actor.role.name:<11} {text}", *values)
