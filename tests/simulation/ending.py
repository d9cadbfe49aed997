"""The end of a schedule: all is delivered, all have ended, and each process reads once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from dualcache.core.entry import MISSING
from dualcache.core.policy import Call
from dualcache.engine import read
from tests.simulation import steps
from tests.simulation.actor import Actor
from tests.simulation.rules import PAUSE_MS, check_value
from tests.simulation.values import Violation

if TYPE_CHECKING:
    from tests.simulation.listening import Listening
    from tests.simulation.process import Process
    from tests.simulation.world import World


def check_end(world: World) -> None:
    """See that nobody waits for ever, and that nobody is served what is older than the last write.

    The front tier is held to it as well, once its listener has noticed what there was to notice.
    """
    for actor in world.actors.values():
        if actor.is_under_way:
            raise Violation(f"{actor.role.name} waits for ever")
    world.is_settled = True
    for process in world.processes.values():
        if len(process.flights):
            raise Violation(f"a flight in {process.name} never landed")
        reader = world.current = Actor(world.scenario.roles[0], process, 40)
        process.clock_ms += PAUSE_MS
        settle(world, process)
        if not process.listenings:
            process.learn(world.server.homes)  # as a redirection would tell
        required = world.acked | process.acked
        policy, tags = reader.policy(), world.scenario.tags
        calls = [Call(world.scenario.key, policy, tags)]
        calls += [Call(key, replace(policy, front=None), tags) for key in world.scenario.others]
        for call in calls:
            value = process.run(read.get(call, process.env))
            if value is not MISSING:
                check_value(world, value, required, f"a last read in {process.name}")


def settle(world: World, process: Process) -> None:
    """Let the listener notice what there is to notice, open again, and prove its stream."""
    for listening in process.listenings.values():
        if listening.link is not None and listening.connection.is_silent:
            steps.notice(world, listening)
        hear_all(world, listening)
        if listening.link is None:
            steps.reopen(world, listening)
            hear_all(world, listening)
        if listening.is_open:
            listening.ask_proof(None)
            hear_all(world, listening)


def hear_all(world: World, listening: Listening) -> None:
    while listening.link is not None:
        connection = listening.connection
        if connection.requests:
            steps.serve_first(world, connection)
        elif connection.answers:
            steps.hear(world, listening)
        else:
            return
