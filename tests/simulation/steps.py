"""What may happen next, and what then happens: each step as small as anybody could tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.core.ops import Loaded, Look
from tests.simulation import flows, rules, troubles
from tests.simulation.commands import Words, reply_of
from tests.simulation.connections import Answer
from tests.simulation.footprint import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.actor import Actor
    from tests.simulation.connections import Connection
    from tests.simulation.listening import Listening
    from tests.simulation.process import Process
    from tests.simulation.scenario import Choice
    from tests.simulation.world import World


def choices(world: World) -> list[Choice]:
    """Return what may happen next; nothing: all is quiet."""
    found = list(steps(world))
    if not found:
        return list(last_resorts(world))
    if world.faults_left:
        found += troubles.offers(world)
    if world.jumps_left:
        found.append(("jump", ""))
    for process in world.processes.values():
        for listening in process.listenings.values():
            if process.beats_left and listening.may_ask:
                found.append(("beat", listening.name))
    return found


def steps(world: World) -> Iterator[Choice]:
    yield from steps_of_callers(world)
    for process in world.processes.values():
        if process.listenings and is_read_in(world, process):
            for listening in process.listenings.values():
                yield from listening.steps()
    for connection in world.server.connections.values():
        if connection.requests and connection.is_data and not world.server.is_paused(connection):
            trip = connection.requests[0]
            yield ("late", trip.label) if trip.actor is None else ("serve", trip.actor.role.name)

    if world.server.unaware:
        yield ("told", "")


def steps_of_callers(world: World) -> Iterator[Choice]:
    begun = set()
    for name, actor in world.actors.items():
        if actor.state == "new":
            # Callers that are alike begin in one order only.
            twin = (actor.role.flow, actor.role.process)
            if twin not in begun:
                begun.add(twin)
                yield ("start", name)
        elif actor.state == "started":
            yield ("begin", name)
        elif actor.state == "loading":
            yield ("loaded", name)
        elif actor.state == "answered" and actor.is_next:
            yield ("deliver", name)
        elif may_wake(world, actor):
            yield ("wake", name)


def last_resorts(world: World) -> Iterator[Choice]:
    """Nobody else can do anything: who waits looks all the same, or has waited long enough."""
    for actor in world.actors.values():
        if actor.state == "waiting":
            has_changed = world.server.content(actor.op.key) != actor.seen
            yield ("wake" if has_changed else "bound", actor.role.name)


def may_wake(world: World, actor: Actor) -> bool:
    if actor.state == "following":
        return actor.op.flight.result is not None
    if actor.state == "waiting" and actor.op.mark is None:
        return world.server.content(actor.op.key) != actor.seen
    if actor.state == "pausing":
        return not any(world.actors[name].is_under_way for name in actor.awaited)
    return actor.state in {"waiting", "fencing"} and actor.is_woken


def is_read_in(world: World, process: Process) -> bool:
    """Tell whether anybody is still to come who may read in a process, or waits in it."""
    return any(
        each.process is process and each.state != "done" and not each.role.is_writer
        for each in world.actors.values()
    )


def is_alone(world: World, actor: Actor) -> bool:
    """Tell whether it is enough to look at one moment at which a caller asks and is answered.

    So where no trouble can come and nobody of the process may follow a flight. A read that was
    asked for earlier would have an older ticket and would be promised less; after a later answer, a
    load would have a newer version and an acknowledgement would promise less.
    """
    if world.faults_left or world.jumps_left:
        return False
    beside = (each for each in world.actors.values() if each.process is actor.process)
    return sum(not each.role.is_writer for each in beside) <= 1


def apply(world: World, choice: Choice) -> None:
    """Let one thing happen."""
    kind, name = choice
    step = STEPS.get(kind)
    if step is None or kind in OPTIONAL:
        world.footprint.writes.add(EVERYTHING)
    if step is not None:
        step(world, name)
    else:
        if world.faults_left:
            world.faults_left -= 1
        troubles.TROUBLES_BY_NAME[kind](world, name)
    for process in world.processes.values():
        for listening in process.listenings.values():
            if listening.can_hear and not is_read_in(world, process):
                # Only the last read can see the difference, and by then all is heard.
                world.footprint.writes.add(process.name)
                while listening.can_hear:
                    hear(world, listening)


# Callers


def start(world: World, name: str) -> None:
    actor = world.current = world.actors[name]
    role = actor.role
    world.say_of(actor, "begins")
    world.footprint.reads.add("acked")
    if role.is_writer:
        world.footprint.writes |= {"version", "writers"} if world.has_sets else {"version"}
        world.version += 1
        world.versions[role.name] = world.version
        for other in world.actors.values():
            if other.role.is_writer and world.has_sets and other.is_under_way:
                world.overlaps |= {(role.name, other.role.name), (other.role.name, role.name)}
    actor.required = world.acked | actor.process.acked
    actor.flow = role.flow(world, actor)
    flows.advance(world, actor, None)
    if not role.is_writer and is_alone(world, actor) and actor.state == "asked":
        serve(world, name)


def begin(world: World, name: str) -> None:
    actor = world.actors[name]
    world.say_of(actor, "begins in the background")
    flows.advance(world, actor, None)


def loaded(world: World, name: str) -> None:
    actor = world.actors[name]
    world.say_of(actor, "has loaded", actor.value)
    flows.advance(world, actor, Loaded(actor.answer, 0.0))


def wake(world: World, name: str) -> None:
    flows.wake(world, world.actors[name])


def deliver(world: World, name: str) -> None:
    """Read the first answer that came on a caller's connection."""
    actor = world.actors[name]
    assert actor.tracked is not None
    trip = actor.tracked.connection.answers.popleft()
    if not flows.is_sent_on(world, actor, trip):
        reply = reply_of(trip.op, trip.replies, is_sharded=world.server.is_sharded)
        flows.deliver(world, actor, reply)


# The server


def serve(world: World, name: str) -> None:
    tracked = world.actors[name].tracked
    assert tracked is not None
    serve_first(world, tracked.connection)


def serve_late(world: World, label: str) -> None:
    connections = world.server.connections.values()
    serve_first(world, next(c for c in connections if c.requests and c.requests[0].label == label))


def serve_link(world: World, listening: Listening) -> None:
    world.footprint.writes.add(f"pushes {listening.connection.id}")
    serve_first(world, listening.connection)


def serve_first(world: World, connection: Connection) -> None:
    """Let the server do the first thing that it was asked on a connection."""
    trip = connection.requests[0]
    command = trip.commands.popleft()
    if not world.server.is_elsewhere(command, connection):
        rules.watch(world, command)
    before = world.server.content(world.scenario.key)
    reply = world.server.perform(command, connection)
    rules.watch_stored(world, command, reply, before)
    trip.replies.append(reply)
    world.say(f"server      {'late: ' if connection.is_left else ''}", command, reply)
    if trip.commands:
        return
    connection.requests.popleft()
    if connection.is_left and not connection.requests:
        world.server.close(connection, is_told=False)
    elif type(trip.op) is Words:
        connection.answer(Answer(reply))
    else:
        connection.answer(trip)
        answered(world, trip.actor, trip.op)


def answered(world: World, actor: Actor | None, op: Any) -> None:
    if actor is None:
        return
    actor.state = "answered"
    if actor.process.is_shared:
        world.footprint.reads.add(actor.process.name)  # whose answer is the first there
    # What a read for the front tier finds may be overtaken by a push.
    may_be_kept = actor.process.function is not None and (type(op) is Look or world.server.homes)
    if is_alone(world, actor) and actor.is_next and not may_be_kept:
        deliver(world, actor.role.name)


# Listeners, and time


def hear(world: World, listening: Listening) -> None:
    world.say(f"{listening.name:<11} hears", listening.hear())


def gossip(world: World, listening: Listening) -> None:
    world.say(f"{listening.name:<11} is passed on what another node was told")
    world.footprint.writes.add(f"pushes {listening.connection.id}")
    listening.take_gossip()


def beat(world: World, listening: Listening) -> None:
    listening.process.beats_left -= 1
    world.say(f"{listening.name:<11} asks for a proof")
    listening.ask_proof(None)


def reopen(world: World, listening: Listening) -> None:
    world.say(f"{listening.name:<11} opens a link")
    listening.open()


def notice(world: World, listening: Listening) -> None:
    world.say(f"{listening.name:<11} notices that its link is dead")
    listening.lose()


def jump(world: World, _: str) -> None:
    world.jumps_left -= 1
    world.now += world.scenario.jump
    world.say(f"clock       it is {world.now:g} s")


def told(world: World, _: str) -> None:
    world.server.told()
    world.say("cluster     has told the old node as well")


def of_listener(do: Callable[[World, Listening], None]) -> Callable[[World, str], None]:
    def step(world: World, name: str) -> None:
        listening = world.listening(name)
        world.footprint.writes.add(listening.process.name)
        do(world, listening)

    return step


OPTIONAL: Final = frozenset({"jump", "beat"})
"""Steps that may come only while there are others."""
STEPS: Final[dict[str, Callable[[World, str], None]]] = {
    "start": start,
    "begin": begin,
    "serve": serve,
    "late": serve_late,
    "serve link": of_listener(serve_link),
    "deliver": deliver,
    "loaded": loaded,
    "wake": wake,
    "jump": jump,
    "hear": of_listener(hear),
    "gossip": of_listener(gossip),
    "beat": of_listener(beat),
    "reopen": of_listener(reopen),
    "notice": of_listener(notice),
    "told": told,
}
