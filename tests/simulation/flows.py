"""A caller's flow runs on until it waits for something: what a driver does, with queues."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from dualcache.backends.redis.push.tracking import heard_part
from dualcache.core.apart import Heard
from dualcache.core.background import Spawn, SpawnReply
from dualcache.core.entry import NOT_MODIFIED, Entry
from dualcache.core.flight import AwaitFlight, CloseFlights, EndFlight, Flight, Join, Load, TakeOver
from dualcache.core.ops import AwaitChange, Fence, Loaded, Op, Pause
from dualcache.core.scope import current_load
from dualcache.engine.split import joined, split
from dualcache.errors import BackendRefused, BackendUnavailable
from tests.simulation import rules
from tests.simulation.commands import Switch, commands_of, fingerprint
from tests.simulation.server import names_of
from tests.simulation.values import Cancelled, LoadError, Value

if TYPE_CHECKING:
    from tests.simulation.actor import Actor
    from tests.simulation.commands import Trip
    from tests.simulation.world import World


def advance(world: World, actor: Actor, reply: Any) -> None:
    """Send a reply to the flow, or throw an error, and do what it asks for."""
    world.current = actor
    world.footprint.writes.add(actor.process.name)
    flow = actor.flow
    assert flow is not None
    current_load.set(actor.load)
    try:
        while True:
            is_error = isinstance(reply, BaseException)
            op = flow.throw(reply) if is_error else flow.send(reply)
            actor.op = op
            waits, reply = perform(world, actor, op)
            if waits:
                return
    except StopIteration as end:
        actor.end()
        world.say_of(actor, "returns", end.value)
        rules.ended(world, actor, end.value)
    except (Cancelled, LoadError):
        actor.end()
    finally:
        current_load.set(None)


def perform(world: World, actor: Actor, op: Op[Any]) -> tuple[bool, Any]:
    """Do what concerns this process only; tell whether the flow waits, else the reply."""
    flights = actor.process.flights
    match op:
        case Join() | Spawn():
            begin = join if isinstance(op, Join) else spawn
            return False, begin(world, actor, op)
        case EndFlight():
            world.say_of(actor, "lands:", op.result)
            flights.land(op)
            return False, None
        case TakeOver():
            is_ours = flights.take_over(op)
            actor.told(is_ours)
            if is_ours:
                rules.note_takeover(world, actor)
            world.say_of(actor, "takes over" if is_ours else "goes on waiting")
            return False, is_ours
        case CloseFlights():
            world.say_of(actor, "closes flights")
            flights.close(op)
            return False, None
        case AwaitFlight():
            actor.state = "following"
            flights.when_landed(op, lambda: None)
        case AwaitChange() | Pause():
            wait: Any = await_change if isinstance(op, AwaitChange) else pause
            wait(world, actor, op)
        case Fence():
            return fence(world, actor)
        case Load():
            return load(world, actor, op)
        case _:
            return ask(world, actor, op)
    return True, None


def ask(world: World, actor: Actor, op: Op[Any]) -> tuple[bool, Any]:
    """Send an op on a connection of the process; on a cluster its parts, one after the other."""
    if not actor.process.homes:
        return ask_at(world, actor, "", op)
    actor.parts.made = split(op, actor.process.node_of)
    actor.parts.replies = []
    return ask_at(world, actor, *next_part(actor))


def next_part(actor: Actor) -> tuple[str, Op[Any]]:
    part = actor.parts.made.parts[len(actor.parts.replies)]
    return part.node, part.op


def ask_at(world: World, actor: Actor, node: str, op: Op[Any]) -> tuple[bool, Any]:
    """Ask one node; have its reads tracked first if need be."""
    process = actor.process
    actor.parts.asked, actor.parts.push_epochs = op, []
    actor.tracked = tracked = process.take(node)
    if not tracked.connection.is_open:
        process.drop(tracked, with_idle=True)
        return False, cut_off("its connection had been closed")
    actor.redirect = process.redirect_at(node)
    switch = process.must_switch(op, tracked)
    if switch is not None and actor.redirect is not None:
        if world.faults_left:
            actor.state, actor.trip = "asked", tracked.connection.send(switch, actor)
            return True, None
        # Nothing can come between: nobody but this process hears of it.
        reply = world.do_at_once(switch, tracked.connection)
        process.switched(tracked, actor.redirect.push_epoch, reply)
    send(world, actor)
    return True, None


def send(world: World, actor: Actor) -> None:
    assert actor.tracked is not None
    connection = actor.tracked.connection
    actor.state, actor.push_epoch = "asked", actor.tracked.push_epoch
    actor.trip = connection.send(actor.parts.asked, actor)
    world.say_of(actor, "asks", actor.parts.asked)


def is_sent_on(world: World, actor: Actor, trip: Trip) -> bool:
    """Have the node that a name has moved to carry out what another one did not.

    Those commands alone: what was carried out would otherwise be sent twice.
    """
    if actor.parts.sent_on is not None:
        replies, places = actor.parts.sent_on
        for at, reply in zip(places, trip.replies, strict=True):
            replies[at] = reply
        actor.parts.sent_on, trip.replies = None, replies
        return False
    places = [at for at, each in enumerate(trip.replies) if is_moved(each)]
    if not places:
        return False
    process, tracked = actor.process, actor.tracked
    assert tracked is not None
    has_stream = actor.redirect is not None
    note_stream(actor, process.stamp(trip.op, actor.push_epoch, None, has_stream=has_stream))
    process.give(tracked)
    commands = commands_of(trip.op, is_sharded=world.server.is_sharded)
    sent_on = [commands[at] for at in places]
    node = trip.replies[places[0]].moved_to
    process.learn({name: node for each in sent_on for name in names_of(each)})
    push_epochs, actor.parts.sent_on = actor.parts.push_epochs, (list(trip.replies), places)
    ask_at(world, actor, node, trip.op)
    actor.parts.push_epochs = push_epochs
    assert actor.trip is not None
    actor.trip.commands = deque(sent_on)
    return True


def is_moved(reply: Any) -> bool:
    return isinstance(reply, BackendRefused) and reply.prefix == "MOVED"


def note_stream(actor: Actor, reply: Any) -> Any:
    """Take the stream of a node that carried out commands; return its reply."""
    if type(reply) is not Heard:
        return reply
    actor.parts.push_epochs.append(reply.push_epoch)
    return reply.reply


def deliver(world: World, actor: Actor, reply: Any) -> None:
    """Give a caller what came back on its connection."""
    trip, tracked, process = actor.trip, actor.tracked, actor.process
    assert trip is not None
    assert tracked is not None
    world.footprint.writes.add(process.name)
    if type(trip.op) is Switch:
        assert actor.redirect is not None
        process.switched(tracked, actor.redirect.push_epoch, reply)
        send(world, actor)
        return
    actor.trip = actor.tracked = None
    process.give(tracked)
    has_stream = actor.redirect is not None
    reply = process.stamp(trip.op, actor.push_epoch, reply, has_stream=has_stream)
    if process.homes:
        part = heard_part(actor.parts.asked, note_stream(actor, reply), actor.parts.push_epochs)
        actor.parts.replies.append(part)
        if len(actor.parts.replies) < len(actor.parts.made.parts):
            actor.told(fingerprint(part))
            waits, failure = ask_at(world, actor, *next_part(actor))
            if not waits:
                advance(world, actor, failure)
            return
        reply = joined(actor.op, actor.parts.made, actor.parts.replies)
    actor.told(fingerprint(reply))
    world.say_of(actor, "gets", reply)
    advance(world, actor, reply)


def await_change(world: World, actor: Actor, op: AwaitChange) -> None:
    actor.state, actor.seen, actor.is_woken = "waiting", world.server.content(op.key), False
    world.footprint.reads.add(op.key)
    if op.mark is not None:
        changes = actor.process.changes
        changes.wait(op.key, actor.wake)
        actor.is_woken = actor.process.env.front.mark(op.key) != op.mark


def wake(world: World, actor: Actor) -> None:
    """Let a caller see what it waited for."""
    if actor.state == "fencing":
        actor.told("proved")
        advance(world, actor, True)
    elif actor.state == "waiting":
        actor.process.changes.forget(actor.op.key, actor.wake)
        world.footprint.reads.add(actor.op.key)
        actor.told("woken")
        world.say_of(actor, "looks again")
        advance(world, actor, None)
    elif actor.state == "pausing":
        world.say_of(actor, "has waited")
        advance(world, actor, None)
    else:
        result = actor.op.result or actor.op.flight.result
        outcome = result.outcome
        actor.told("landed", None if outcome is None else (outcome.value, outcome.error is None))
        world.say_of(actor, "sees the flight land:", result)
        advance(world, actor, result)


def fence(world: World, actor: Actor) -> tuple[bool, Any]:
    listenings = actor.process.listenings
    actor.state, actor.is_woken = "fencing", False
    if not listenings:
        return False, True
    world.say_of(actor, "asks for a proof")
    is_asked = actor.process.front.ask_proof(actor.wake)
    return is_asked, False


def pause(world: World, actor: Actor, _: Any) -> None:
    """Let a caller wait for longer than any write takes that is under way now."""
    writers = {name for name, each in world.actors.items() if each.role.is_writer}
    actor.state = "pausing"
    actor.awaited = frozenset(name for name in writers if world.actors[name].is_under_way)
    world.say_of(actor, "pauses")


def load(world: World, actor: Actor, op: Load) -> tuple[bool, Any]:
    # The source is read at once: the oldest version that this load can have.
    actor.state, actor.value, actor.is_revoked = "loading", Value(world.version), False
    old = next((each.value for each in op.args if isinstance(each, Entry)), None)
    is_right = old is not None and old.version == world.version
    actor.answer = NOT_MODIFIED if is_right else actor.value
    world.footprint.reads |= {"version", "revoked"}
    actor.told(world.version)
    world.say_of(actor, "loads", actor.value)
    rules.check_load(world, actor)
    if world.can_fail and world.faults_left:
        return True, None
    # The end of a load is seen by nobody: its commit is what may come late.
    return False, Loaded(actor.answer, 0.0)


def spawn(world: World, actor: Actor, op: Any) -> SpawnReply:
    """Let a flow in the background be a caller of its own, which begins when it likes."""
    process = actor.process
    running = process.beside.get(op.key)
    reply = SpawnReply.RUNNING
    if op.is_awaited or running is None or running.state == "done":
        reply = SpawnReply.STARTED
        started = world.add_beside(actor, op.flow)
        if op.join is not None:
            flight = op.join.led
            process.flights.hand_over(op.join)
            world.leaders[flight] = started.role.name
        if not op.is_awaited:
            process.beside[op.key] = started
    actor.told(reply)
    world.say_of(actor, "starts in the background:", reply)
    return reply


def join(world: World, actor: Actor, op: Any) -> Any:
    flight = actor.process.flights.join(op, is_blocking=False)
    if isinstance(flight, Flight):
        if flight.leader is op:
            world.leaders[flight] = actor.role.name
        elif op.is_lenient:
            # Of what is never stored, only what this process was told is promised.
            actor.required &= actor.process.acked
    actor.told(world.label(flight))
    world.say_of(actor, "joins:", world.label(flight))
    return flight


def cut_off(what: str) -> BackendUnavailable:
    """Return the error of a connection that had worked."""
    error = BackendUnavailable(what, code="DC000")
    error.was_connected = True
    return error
