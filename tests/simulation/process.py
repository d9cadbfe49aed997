"""One process of the simulation: its clocks, flights and connections, its front tier."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from dualcache.backends.redis.push.tracking import (
    UNTRACKED,
    TrackedConnection,
    is_tracked,
    stamped,
)
from dualcache.core.front_ports import NO_TIER
from dualcache.core.ops import CommitWay
from dualcache.drivers.changes import Changes
from dualcache.drivers.flights import FlightTable
from dualcache.engine.env import Env
from dualcache.engine.flights import may_follow, may_take_over
from dualcache.engine.health import Health
from dualcache.errors import BackendRefused
from tests.simulation import rules
from tests.simulation.commands import Switch
from tests.simulation.fronts import WatchedFront, WatchedFunction
from tests.simulation.listening import Listening

if TYPE_CHECKING:
    from dualcache.core.ops import Flow, Op
    from dualcache.front.tracking import Tracking
    from tests.simulation.actor import Actor
    from tests.simulation.connections import Connection
    from tests.simulation.scenario import Scenario
    from tests.simulation.world import World

APART = 100
"""Connections are numbered by process, so that it does not matter who connected first."""


class Process:
    """What the callers of one process share."""

    front: WatchedFront
    function: WatchedFunction | None = None
    tracking: Tracking
    listening: Listening | None = None

    def __init__(self, world: World, name: str, scenario: Scenario) -> None:
        self.world = world
        self.name = name
        self.flights = FlightTable(may_follow, may_take_over)
        self.acked: frozenset[str] = frozenset()
        self.fenced: frozenset[str] = frozenset()
        self.clock_ms = 0
        self.ticks: list[str] = []
        self.idle: list[TrackedConnection] = []
        self.is_shared = scenario.is_shared
        self.is_shaky = not scenario.shaky or name in scenario.shaky
        self.beats_left = scenario.beats if self.is_shaky else 0
        self._numbers = count(APART * ord(name))
        self.changes = Changes()
        self.beside: dict[str, Actor] = {}
        if scenario.transport:
            self._give_front(scenario)
        self.env = self._env()

    def _give_front(self, scenario: Scenario) -> None:
        self.front = WatchedFront(self, self.changes, scenario.max_staleness)
        self.function = WatchedFunction(self)
        self.tracking = self.front.tracking
        self.listening = Listening(self, scenario.transport, scenario.max_staleness)

    def _env(self) -> Env:
        world = self.world
        ticks = count()

        def sequence() -> int:
            self.ticks.append(world.current.role.name)
            return next(ticks)

        env = Env(
            now_ms=lambda: world.wall_ms + round(world.now * 1000),
            elapsed_ms=lambda: self.clock_ms,
            draw_token=lambda: world.current.draw(),  # noqa: PLW0108  whoever is current then
            draw=lambda: 0.0,
            sequence=sequence,
            emit=lambda event: rules.check_event(world, event),
            health=Health(),
            front=NO_TIER if self.function is None else self.front,
        )
        env.health.ways = (CommitWay.IFEQ,)
        return env

    # Connections

    def connect(self, *, is_data: bool = True) -> Connection:
        number = next(self._numbers)
        label = f"{self.name}{number % APART}"
        return self.world.server.connect(number, label, is_data=is_data)

    def take(self) -> TrackedConnection:
        """Return the connection that a caller uses: the one there is, or the last that came free.

        In threads a caller has it for himself until the reply is there.
        """
        if not self.idle:
            self.idle.append(TrackedConnection(self.connect()))
        return self.idle[-1] if self.is_shared else self.idle.pop()

    def give(self, tracked: TrackedConnection) -> None:
        if not self.is_shared:
            self.idle.append(tracked)

    def drop(self, tracked: TrackedConnection, *, with_idle: bool) -> None:
        """Close a connection that failed, `with_idle` all that are idle too, as the drivers do."""
        dropped = [tracked]
        if tracked in self.idle:
            self.idle.remove(tracked)
        if with_idle:
            dropped += self.idle
            self.idle.clear()
        for each in dropped:
            each.connection.leave()
            if self.listening is not None:
                self.tracking.gone(each.client_id)

    def must_switch(self, op: Op[Any], tracked: TrackedConnection) -> Switch | None:
        """Return what is to be asked before a read on a connection that is not tracked yet."""
        if self.listening is None or not is_tracked(op):
            return None
        redirect = self.tracking.redirect
        if redirect is None or redirect.push_epoch == tracked.push_epoch:
            return None
        return Switch(redirect.client_id)

    def switched(self, tracked: TrackedConnection, push_epoch: int, replies: Any) -> None:
        """Note what came of it, as the drivers do."""
        client_id, reply = replies
        if isinstance(reply, BackendRefused):
            tracked.push_epoch = UNTRACKED
            return
        tracked.client_id, tracked.push_epoch = client_id, push_epoch
        self.tracking.add(client_id)

    def stamp(self, op: Op[Any], push_epoch: int, reply: Any, *, has_stream: bool) -> Any:
        """Say for which stream a read was tracked."""
        return stamped(op, reply, push_epoch) if has_stream and is_tracked(op) else reply

    # With nobody else about

    def run(self, flow: Flow[Any]) -> Any:
        """Run a flow of backend ops to its end, at once."""
        try:
            op = next(flow)
            while True:
                op = flow.send(self._converse(op))
        except StopIteration as end:
            return end.value

    def _converse(self, op: Op[Any]) -> Any:
        tracked = self.take()
        if not tracked.connection.is_open:
            self.drop(tracked, with_idle=True)
            tracked = self.take()
        redirect = None if self.listening is None else self.tracking.redirect
        switch = self.must_switch(op, tracked)
        if switch is not None and redirect is not None:
            self.switched(
                tracked, redirect.push_epoch, self.world.do_at_once(switch, tracked.connection)
            )
        reply = self.world.do_at_once(op, tracked.connection)
        self.give(tracked)
        return self.stamp(op, tracked.push_epoch, reply, has_stream=redirect is not None)

    def state(self) -> tuple[Any, ...]:
        world = self.world
        health = self.env.health
        breaker = health.breaker
        return (
            tuple(sorted(world.label(each) for each in self.flights._flights.values())),
            world.newest(self.acked),
            self.clock_ms,
            tuple(health.pending.values()),
            health.is_clear,
            (breaker.is_closed, breaker.failures, breaker._pause_ms, breaker._retry_at_ms),
            breaker.events,
            None if self.listening is None else self._front_state(),
            self._idle_state(),
        )

    def _idle_state(self) -> Any:
        """Tell idle connections apart: one that is not tracked is like a new one."""
        idle = [tracked for tracked in self.idle if tracked.connection.is_open or tracked.client_id]
        if all(tracked.connection.identity == 0 for tracked in idle):
            return None
        return tuple((e.connection.identity, e.connection.is_open, e.push_epoch) for e in idle)

    def _front_state(self) -> tuple[Any, ...]:
        assert self.listening is not None
        return (
            self.front.state(self.world.scenario.names),
            self.listening.state(),
            self.tracking.redirect,
            tuple(sorted(self.tracking.ids())),
            self.world.newest(self.fenced),
            self.beats_left,
            None if self.function is None else self.function.ends_ms,
        )
