"""Telling states apart: a number that is the same only where all that follows is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.world import World


def state_of(world: World) -> int:
    following = any(actor.state == "following" for actor in world.actors.values())
    is_late = any(each.is_left for each in world.server.connections.values())
    live = {a.role.name for a in world.actors.values() if following or a.state != "done"}
    return hash(
        (
            world.server.state(),
            connections_of(world),
            (world.version, world.wall_ms, world.now, world.faults_left, world.jumps_left),
            world.newest(world.acked),
            tuple(sorted(world.acked_at.items())) if world.scenario.jumps else None,
            frozenset(world.overlaps),
            frozenset(world.dead_ids),
            tuple(each.state_now(world.newest, is_late=is_late) for each in world.actors.values()),
            tuple(
                (process.state(), tuple(name for name in process.ticks if name in live))
                for process in world.processes.values()
            ),
        )
    )


def connections_of(world: World) -> tuple[Any, ...]:
    """Return the state of all data connections that differ from a new one."""
    return tuple(
        sorted(
            hash(each.state())
            for each in world.server.connections.values()
            if each.is_data and (each.identity or each.requests or each.answers)
        )
    )
