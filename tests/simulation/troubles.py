"""What may go wrong: with a caller, its connection, the listener's, the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.backends.redis.wire.cluster import ReadSlots, slots_in
from dualcache.core.ops import Delete, Raised
from dualcache.errors import BackendTimeout, BackendUnavailable
from tests.simulation import flows, rules
from tests.simulation.values import Cancelled, LoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.actor import Actor
    from tests.simulation.connections import Connection
    from tests.simulation.process import Process
    from tests.simulation.scenario import Choice
    from tests.simulation.world import World

COMES_WHEN: Final = {
    "asked": ("lost request", "cut", "timeout", "cancel"),
    "answered": ("lost reply", "timeout", "cancel"),
    "loading": ("raised", "cancel", "renewal"),
    "following": ("bound", "cancel"),
    "waiting": ("bound", "cancel"),
    "fencing": ("bound",),
}
FOR_LONG_MS: Final = 61_000


def offers(world: World) -> Iterator[Choice]:
    """Yield every trouble that may come now."""
    kinds = world.scenario.troubles
    for name, actor in world.actors.items():
        for kind in COMES_WHEN.get(actor.state, ()):
            if kind in kinds and may_come(kind, actor):
                yield (kind, name)
    for process in world.processes.values():
        if "pause over" in kinds and not process.env.health.breaker.is_closed:
            yield ("pause over", process.name)
        yield from (each for each in offers_of_links(process) if each[0] in kinds)
    if "evict" in kinds:
        yield from (("evict", key) for key in sorted(world.server.store._cells))
    if "move" in kinds:
        nodes, home = world.scenario.nodes(), world.server.homes[world.scenario.key]
        yield from (("move", node) for node in nodes if node != home)
    if "handover" in kinds:
        yield from offers_of_handovers(world)
    yield from ((kind, "") for kind in ("age", "flush") if kind in kinds)


def offers_of_handovers(world: World) -> Iterator[Choice]:
    """Yield that the key goes to another node at once, and that processes hear of it there."""
    home = world.server.homes[world.scenario.key]
    first, *others = world.scenario.nodes()
    if home == first:  # back again would be a second redirection
        yield from (("handover", node) for node in others)
    for process in world.processes.values():
        if process.homes[world.scenario.key] != home:
            yield ("hears of it", process.name)


def offers_of_links(process: Process) -> Iterator[Choice]:
    if not process.listenings or not process.is_shaky:
        return
    for listening in process.listenings.values():
        if listening.link is not None and listening.connection.is_open:
            yield ("end of link", listening.name)
            yield ("silence", listening.name)
    for tracked in process.idle:
        connection = tracked.connection
        is_idle = not connection.requests and not connection.answers
        if is_idle and connection.is_open and connection.redirect is not None:
            yield ("reap", connection.label)


def may_come(kind: str, actor: Actor) -> bool:
    if kind == "lost request":
        return actor.trip is not None and actor.trip.is_untouched
    return kind != "renewal" or actor.op.keeping is not None


# A caller


def raised(world: World, actor: Actor) -> None:
    actor.told("raised")
    world.say_of(actor, "has a load that fails")
    flows.advance(world, actor, Raised(LoadError(), 0.0))


def bound(world: World, actor: Actor) -> None:
    actor.told("bound")
    world.say_of(actor, "has waited long enough")
    if actor.state == "fencing":
        flows.advance(world, actor, False)
        return
    if actor.state == "waiting":
        actor.process.changes.forget(actor.op.key, actor.wake)
    actor.process.clock_ms += round(actor.op.wait_ms) + 1
    flows.advance(world, actor, None)


def renewal(world: World, actor: Actor) -> None:
    """Send a renewal of the lease on a connection of its own: it may arrive at any time."""
    connection = actor.process.connect()
    connection.send(renewing(actor), actor)
    connection.leave()
    world.say_of(actor, "renews its lease")


def renewing(actor: Actor) -> Any:
    """Return what a renewal asks the server."""
    return next(actor.op.keeping.renew())


def cancel(world: World, actor: Actor) -> None:
    tracked = actor.tracked
    if tracked is not None and actor.process.is_shared:
        tracked.connection.give_up(actor)
    elif tracked is not None:
        actor.process.drop(tracked, with_idle=False)
        close_if_done(world, tracked.connection)
    actor.trip = actor.tracked = None
    throw(world, actor, Cancelled())


# A data connection


def lost_request(world: World, actor: Actor) -> None:
    connection = connection_of(actor)
    fail(world, actor, flows.cut_off("the request was lost"))
    world.server.close(connection, is_told=False)


def lost_reply(world: World, actor: Actor) -> None:
    connection = connection_of(actor)
    fail(world, actor, flows.cut_off("the reply was lost"))
    world.server.close(connection, is_told=False)


def cut(world: World, actor: Actor) -> None:
    connection = connection_of(actor)
    fail(world, actor, flows.cut_off("the connection was cut"))
    close_if_done(world, connection)


def timeout(world: World, actor: Actor) -> None:
    connection = connection_of(actor)
    fail(world, actor, BackendTimeout("no reply in time", code="DC000"))
    close_if_done(world, connection)


def connection_of(actor: Actor) -> Connection:
    assert actor.tracked is not None
    connection: Connection = actor.tracked.connection
    return connection


def fail(world: World, actor: Actor, error: BackendUnavailable | BackendTimeout) -> None:
    """Give up a connection: everybody who waits on it gets an error, he who noticed first."""
    tracked, process = actor.tracked, actor.process
    assert tracked is not None
    others = [
        each for each in world.actors.values() if each.tracked is tracked and each is not actor
    ]
    process.drop(tracked, with_idle=isinstance(error, BackendUnavailable))
    for each in (actor, *others):
        each.trip = each.tracked = None
        each.state = "failing"
    for each in (actor, *others):
        throw(world, each, type(error)(error.what, code=error.code) if each is not actor else error)


def close_if_done(world: World, connection: Connection) -> None:
    """Let the server see that the client has gone, once it has done what it was asked."""
    if not connection.requests:
        world.server.close(connection, is_told=False)


def throw(world: World, actor: Actor, error: BaseException) -> None:
    if isinstance(error, BackendUnavailable):
        error.was_connected = True
    actor.told(type(error).__name__, str(error))
    world.say_of(actor, "gets", error)
    flows.advance(world, actor, error)


# The listener's connection, and idle ones


def end_of_link(world: World, name: str) -> None:
    world.say(f"{name}           has its link cut")
    world.server.close(world.listening(name).connection, is_told=True)


def silence(world: World, name: str) -> None:
    world.say(f"{name}           hears nothing from now on")
    connection = world.listening(name).connection
    connection.is_silent = True
    connection.requests.clear()


def reap(world: World, label: str) -> None:
    world.say(f"server      closes the idle connection {label}")
    connection = next(c for c in world.server.connections.values() if c.label == label)
    world.server.close(connection, is_told=False)


# The server, and time


def evict(world: World, name: str) -> None:
    rules.note_death(world, name)
    world.server.perform(Delete((name,)))
    world.say(f"server      loses {name}")


def flush(world: World, _: str) -> None:
    for name in world.scenario.names:
        rules.note_death(world, name)
    world.server.flush()
    world.say("server      loses everything, and says so")


def move(world: World, node: str) -> None:
    world.server.move(world.scenario.key, node)
    world.say(f"cluster     has the key on node {node} from now on")


def handover(world: World, node: str) -> None:
    world.server.hand_over(world.scenario.key, node)
    world.say(f"cluster     has the key on node {node} at once, which the old node does not know")


def hears_of_it(world: World, name: str) -> None:
    world.say(f"{name}           asks the new node who has the key")
    node = world.server.homes[world.scenario.key]
    asking = ReadSlots(node.rpartition(":")[0])
    world.processes[name].adopt(slots_in(world.server.slots_seen_by(node), asking), node)


def pause_over(world: World, name: str) -> None:
    world.processes[name].clock_ms += rules.PAUSE_MS
    world.say(f"{name}           time passes")


def age(world: World, _: str) -> None:
    world.wall_ms += FOR_LONG_MS
    world.say("clock       entries become stale")


def of_actor(do: Callable[[World, Actor], Any]) -> Callable[[World, str], None]:
    def step(world: World, name: str) -> None:
        world.current = world.actors[name]
        do(world, world.current)

    return step


TROUBLES_BY_NAME: Final[dict[str, Callable[[World, str], None]]] = {
    "raised": of_actor(raised),
    "bound": of_actor(bound),
    "cancel": of_actor(cancel),
    "renewal": of_actor(renewal),
    "lost request": of_actor(lost_request),
    "lost reply": of_actor(lost_reply),
    "cut": of_actor(cut),
    "timeout": of_actor(timeout),
    "end of link": end_of_link,
    "silence": silence,
    "reap": reap,
    "evict": evict,
    "flush": flush,
    "move": move,
    "handover": handover,
    "hears of it": hears_of_it,
    "pause over": pause_over,
    "age": age,
}
