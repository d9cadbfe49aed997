"""One process of the simulation: its clocks, flights and connections, its front tier."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from dualcache.backends.redis.push.tracking import (
    UNTRACKED,
    TrackedConnection,
    heard_part,
    is_tracked,
    stamped,
    unheard,
)
from dualcache.backends.redis.wire.cluster import Exchange
from dualcache.core.apart import Heard
from dualcache.core.front_ports import NO_TIER
from dualcache.core.ops import CommitWay
from dualcache.core.slots import slot_of
from dualcache.drivers.changes import Changes
from dualcache.drivers.flights import FlightTable
from dualcache.engine.env import Env
from dualcache.engine.flights import may_follow, may_take_over
from dualcache.engine.handovers import Handovers
from dualcache.engine.health import Health
from dualcache.engine.split import joined, split
from dualcache.errors import BackendRefused
from dualcache.front.of_nodes import FrontOfNodes
from tests.simulation import rules
from tests.simulation.commands import Switch
from tests.simulation.fronts import Watched, WatchedFront, WatchedFrontOfNodes, WatchedFunction
from tests.simulation.listening import CHANNEL, Listening

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualcache.core.ops import Flow, Op
    from dualcache.front.tracking import Redirect, Tracking
    from tests.simulation.actor import Actor
    from tests.simulation.connections import Connection
    from tests.simulation.scenario import Scenario
    from tests.simulation.world import World

APART = 100
"""Connections are numbered by process, so that it does not matter who connected first."""


class Process:
    """What the callers of one process share."""

    front: Watched
    function: WatchedFunction | None = None

    def __init__(self, world: World, name: str, scenario: Scenario) -> None:
        self.world = world
        self.name = name
        self.flights = FlightTable(may_follow, may_take_over)
        self.acked: frozenset[str] = frozenset()
        self.fenced: frozenset[str] = frozenset()
        self.clock_ms = 0
        self.ticks: list[str] = []
        self.idle: list[TrackedConnection] = []
        self.homes = dict(world.server.homes)
        self.handovers = Handovers(scenario.max_staleness, lambda: self.clock_ms)
        self.listenings: dict[str, Listening] = {}
        self.is_shared = scenario.is_shared
        self.is_shaky = not scenario.shaky or name in scenario.shaky
        self.beats_left = scenario.beats if self.is_shaky else 0
        self._numbers = count(APART * ord(name))
        self.changes = Changes()
        self.beside: dict[str, Actor] = {}
        self.proofs: list[int] = []
        if scenario.transport:
            self._give_front(scenario)
        self.env = self._env()

    def _give_front(self, scenario: Scenario) -> None:
        kind = WatchedFrontOfNodes if self.homes else WatchedFront
        self.front = kind(self, self.changes, scenario.max_staleness)
        self.function = WatchedFunction(self)
        if isinstance(self.front, FrontOfNodes):
            self.front.topology_changed(scenario.nodes())
        for node in scenario.nodes():
            made = Listening(self, scenario.transport, scenario.max_staleness, node)
            self.listenings[made.name] = made

    def front_at(self, node: str) -> Any:
        """Return the front tier, as the listener of a node knows it."""
        return self.front.at(node) if isinstance(self.front, FrontOfNodes) else self.front

    def tracking_at(self, node: str) -> Tracking | None:
        """Return which connections to a node are tracked; `None`: there is no front tier."""
        return self.front_at(node).tracking if self.listenings else None

    def redirect_at(self, node: str) -> Redirect | None:
        tracking = self.tracking_at(node)
        return None if tracking is None else tracking.redirect

    # The topology

    def node_of(self, name: str | bytes) -> str:
        known = name if isinstance(name, str) else name.decode()
        return self.homes.get(known) or self.world.scenario.nodes()[0]

    def adopt(self, slots: Sequence[str | None], teller: str) -> bool:
        """Take what a node has told of all slots; return whether all of it is believed."""
        known, told = tuple(self.homes.values()), tuple(slots[slot_of(n)] or "" for n in self.homes)
        believed = self.handovers.believed(known, told, teller, frozenset())
        self.learn(dict(zip(self.homes, believed, strict=True)))
        return believed is told

    def learn(self, homes: Mapping[str, str]) -> None:
        """Take over where names live, as the topology of the library does."""
        changed = {**self.homes, **homes}
        if changed != self.homes:
            self.homes = changed
            if self.function is not None and isinstance(self.front, FrontOfNodes):
                self.front.topology_changed(self.world.scenario.nodes())

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
            channel=CHANNEL if world.scenario.transport == "pubsub" else "",
            front=NO_TIER if self.function is None else self.front,
        )
        env.health.ways = (CommitWay.IFEQ,)
        return env

    # Connections

    def connect(self, *, is_data: bool = True, node: str = "") -> Connection:
        number = next(self._numbers)
        label = f"{self.name}{number % APART}"
        made = self.world.server.connect(number, label, is_data=is_data)
        made.node = node
        return made

    def take(self, node: str = "") -> TrackedConnection:
        """Return the connection that a caller uses: the one there is, or the last that came free.

        In threads a caller has it for himself until the reply is there.
        """
        free = [at for at, each in enumerate(self.idle) if each.connection.node == node]
        if not free:
            self.idle.append(TrackedConnection(self.connect(node=node)))
            free = [-1]
        return self.idle[free[-1]] if self.is_shared else self.idle.pop(free[-1])

    def give(self, tracked: TrackedConnection) -> None:
        if not self.is_shared:
            self.idle.append(tracked)

    def drop(self, tracked: TrackedConnection, *, with_idle: bool) -> None:
        """Close a connection that failed, `with_idle` all that are idle too, as the drivers do."""
        dropped = [tracked]
        if tracked in self.idle:
            self.idle.remove(tracked)
        if with_idle:
            node = tracked.connection.node
            dropped += [each for each in self.idle if each.connection.node == node]
            self.idle = [each for each in self.idle if each.connection.node != node]
        for each in dropped:
            each.connection.leave()
            tracking = self.tracking_at(each.connection.node)
            if tracking is not None:
                tracking.gone(each.client_id)

    def must_switch(self, op: Op[Any], tracked: TrackedConnection) -> Switch | None:
        """Return what is to be asked before a read on a connection that is not tracked yet."""
        redirect = self.redirect_at(tracked.connection.node)
        if not is_tracked(self.sent(op)) or redirect is None:
            return None
        if not redirect.client_id:
            tracked.push_epoch = redirect.push_epoch
        if redirect.push_epoch == tracked.push_epoch:
            return None
        return Switch(redirect.client_id)

    def sent(self, op: Op[Any]) -> Op[Any]:
        """Return an op as a connection is given it: on a cluster with its commands written out."""
        return Exchange(op, b"", 0) if self.homes else op

    def switched(self, tracked: TrackedConnection, push_epoch: int, replies: Any) -> None:
        """Note what came of it, as the drivers do."""
        client_id, reply = replies
        if isinstance(reply, BackendRefused):
            tracked.push_epoch = UNTRACKED
            return
        tracked.client_id, tracked.push_epoch = client_id, push_epoch
        tracking = self.tracking_at(tracked.connection.node)
        assert tracking is not None
        tracking.add(client_id)

    def stamp(self, op: Op[Any], push_epoch: int, reply: Any, *, has_stream: bool) -> Any:
        """Say for which stream a read was tracked."""
        sent = self.sent(op)
        if not self.listenings or not is_tracked(sent):
            return reply
        return stamped(sent, reply, push_epoch) if has_stream else unheard(sent, reply)

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
        if not self.homes:
            return self._converse_at("", op)
        made = split(op, self.node_of)
        heard = []
        for part in made.parts:
            reply = self._converse_at(part.node, part.op)
            is_heard = type(reply) is Heard
            push_epochs = [reply.push_epoch] if is_heard else []
            heard.append(heard_part(part.op, reply.reply if is_heard else reply, push_epochs))
        return joined(op, made, heard)

    def _converse_at(self, node: str, op: Op[Any]) -> Any:
        tracked = self.take(node)
        if not tracked.connection.is_open:
            self.drop(tracked, with_idle=True)
            tracked = self.take(node)
        redirect = self.redirect_at(node)
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
            self._front_state() if self.listenings else None,
            self._idle_state(),
            tuple(sorted(self.homes.items())),
            repr(self.handovers._since_ms),
        )

    def _idle_state(self) -> Any:
        """Tell idle connections apart: one that is not tracked is like a new one."""
        idle = [tracked for tracked in self.idle if tracked.connection.is_open or tracked.client_id]
        if all(tracked.connection.identity == 0 for tracked in idle):
            return None
        return tuple((e.connection.identity, e.connection.is_open, e.push_epoch) for e in idle)

    def _front_state(self) -> tuple[Any, ...]:
        trackings = [self.front_at(node).tracking for node in self.world.scenario.nodes()]
        return (
            self.front.state(self.world.scenario.names),
            tuple(each.state() for each in self.listenings.values()),
            tuple((each.redirect, tuple(sorted(each.ids()))) for each in trackings),
            self.world.newest(self.fenced),
            self.beats_left,
            None if self.function is None else self.function.ends_ms,
        )
