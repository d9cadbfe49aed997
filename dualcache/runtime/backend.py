"""One backend of a cache, ready to run flows in both colours: store, drivers, flights, clocks.

It connects the parts; what they decide and do is theirs.
"""

from __future__ import annotations

import itertools
import random
from functools import partial
from typing import TYPE_CHECKING, Any

from dualcache.backends.redis.warmup import IMPORTS, WarmUp
from dualcache.core.entry import Kind
from dualcache.core.envelope import kind_of, owner_of
from dualcache.core.flight import value_of
from dualcache.core.front_ports import NO_TIER
from dualcache.core.revocation import channel_of
from dualcache.drivers.background import Background
from dualcache.drivers.changes import Changes
from dualcache.drivers.flights import FlightTable
from dualcache.drivers.forking import hold_still_at_forks
from dualcache.engine.acknowledged import Acknowledged, AcknowledgedByNodes
from dualcache.engine.env import Env
from dualcache.engine.failover import master_changed
from dualcache.engine.flights import may_follow, may_take_over
from dualcache.engine.handovers import Handovers
from dualcache.engine.health import Health
from dualcache.engine.load import get_or_load
from dualcache.engine.nodes import Nodes
from dualcache.engine.refresh_lease import is_lease
from dualcache.observability.logs import was_told_of_time_travel
from dualcache.runtime.clocks import new_token, steady_clock, wall_clock
from dualcache.runtime.direct_fronts import DirectFronts
from dualcache.runtime.stores import local_store, server_store
from dualcache.runtime.tier import make_front, make_watch, weakly
from dualcache.runtime.tracing import GET

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from dualcache.core.entry import ValueCodec
    from dualcache.core.events import Event
    from dualcache.core.ops import Flow, Op
    from dualcache.core.pending import PendingLoad
    from dualcache.core.policy import Call
    from dualcache.drivers.async_driver import AsyncDriver
    from dualcache.drivers.sync_driver import SyncDriver
    from dualcache.front.of_function import FunctionFront
    from dualcache.observability.observers import Hearing
    from dualcache.options.front_tier import FrontTier
    from dualcache.options.target import Target
    from dualcache.runtime.measuring import OperationTimes
    from dualcache.runtime.tracing import Traced, Tracing
    from dualcache.typing import Clock

__all__ = ["Backend"]


class Backend:
    """Runs flows against one target; connects on first use, in each colour on its own."""

    def __init__(
        self,
        target: Target,
        *,
        prefix: str,
        emit: Callable[[Event], None],
        clock: Clock | None = None,
        is_strict: bool = False,
        is_publishing: bool = False,
        front: FrontTier | None = None,
        max_staleness: float = 5.0,
    ) -> None:
        self.target = target
        self.flights = FlightTable(may_follow, may_take_over)
        self.changes = Changes()
        self.background = Background()
        self._has_own_time = clock is None
        is_redis = target.kind == "redis"
        channel = channel_of(prefix) if is_publishing and is_redis else ""
        self.watch = make_watch(self, max_staleness)
        self.front = make_front(
            self, front, prefix=prefix, channel=channel, max_staleness=max_staleness, clock=clock
        )
        health = Health()
        elapsed_ms = steady_clock(clock)
        self.env = Env(
            now_ms=wall_clock(clock),
            elapsed_ms=elapsed_ms,
            draw_token=new_token,
            draw=random.random,
            sequence=itertools.count().__next__,
            emit=emit,
            health=health,
            prefix=prefix,
            channel=channel,
            tier="redis" if is_redis else "memory",
            timeout_ms=round(target.socket_timeout * 1000) if is_redis else 0,
            is_strict=is_strict,
            misses_are_heard=False,
            front=self.front or NO_TIER,
            acknowledged=Acknowledged(max_staleness) if target.sentinels else None,
            leave_server=weakly(self.leave_server),
            nodes=_nodes(health, max_staleness, elapsed_ms) if target.nodes else None,
        )
        self._store = None if is_redis else local_store(target, self.env)
        self._server = server_store(target, self.env, self.front, self.watch)
        self._sync: SyncDriver | None = None
        self._async: AsyncDriver | None = None
        self._tracing: Tracing | None = None
        self._times: OperationTimes | None = None
        self.direct_fronts = DirectFronts(self.front)
        self._imports = WarmUp(*IMPORTS)

    def tell_of_time_travel(self) -> None:
        """Log once that a test moves the time, where the cache does not see it."""
        if self._has_own_time and was_told_of_time_travel():
            self._has_own_time = False

    def run(self, flow: Flow[Any], pending: PendingLoad | None = None) -> Any:
        """Run a flow in this thread; with `pending` only up to its load, which that then holds."""
        driver = self._sync or self._make_sync()
        return driver.run(flow) if pending is None else driver.run_to_load(flow, pending)

    def arun(
        self, flow: Flow[Any], finish: Callable[[Any], Any] | None = None
    ) -> Coroutine[Any, Any, Any]:
        """Run a flow in this task; `finish` turns its return value into the result."""
        driver = self._async
        if driver is None:
            if self._store is None and not self._imports.is_done:
                return self._arun_first(flow, finish)
            driver = self._make_async()
        return driver.run(flow, finish)

    def get_or_load(self, call: Call, pending: PendingLoad | None = None) -> Any:
        """Serve a call in this thread, or load it; with `pending` only up to its load, as `run`."""
        if self._tracing is not None and self._tracing.is_recording():
            traced = self._tracing.begin(GET, call.policy.label, self.env)
            if traced is not None:
                return traced.run(self._sync or self._make_sync(), call)
        return (self._sync or self._make_sync()).get_or_load(call, self.env, pending)

    def aget_or_load(self, call: Call) -> Coroutine[Any, Any, Any]:
        """Serve a call in this task, or load it."""
        if self._tracing is not None and self._tracing.is_recording():
            traced = self._tracing.begin(GET, call.policy.label, self.env)
            if traced is not None:
                return traced.awaited(self._aserve(traced.loading(call), traced.env))
        driver = self._async
        return (
            self._aserve(call, self.env) if driver is None else driver.get_or_load(call, self.env)
        )

    def _aserve(self, call: Call, env: Env) -> Coroutine[Any, Any, Any]:
        driver = self._async
        if driver is None:
            return self.arun(get_or_load(call, env), value_of)
        return driver.get_or_load(call, env)

    def traced(self, name: str, label: str) -> Traced | None:
        """Begin a span of this name; `None`: nothing is traced here."""
        if self._tracing is None or not self._tracing.is_recording():
            return None
        return self._tracing.begin(name, label, self.env)

    def trace(self, tracing: Tracing | None) -> None:
        """Have spans made of calls, loads and invalidations from now on."""
        self._tracing = tracing
        self.env.traced = None if tracing is None else tracing.invalidating

    def measure(self, times: OperationTimes) -> None:
        """Measure each trip to the backend from now on."""
        self._times = times
        if self._sync is not None:
            self._sync.perform = times.timed(self._sync.perform)
        if self._async is not None:
            self._async.perform = times.atimed(self._async.perform)

    async def _arun_first(self, flow: Flow[Any], finish: Callable[[Any], Any] | None) -> Any:
        """Run a flow once a thread has imported its modules; the loop is not blocked."""
        await self._imports.wait()
        return await (self._async or self._make_async()).run(flow, finish)

    def drivers(self) -> tuple[SyncDriver, AsyncDriver]:
        """Return the driver of each colour."""
        return self._sync or self._make_sync(), self._async or self._make_async()

    def warm(self) -> None:
        """Import the modules of the async colour before the first call needs them."""
        if self._async is None:
            if self._store is None:
                self._imports.now()
            self._make_async()

    def hear(self, hearing: Hearing) -> None:
        """Make events of what is listened for; heard hits do not end in the compiled wrappers."""
        env = self.env
        if hearing.hits != env.hits_are_heard:
            self.bypass_front(on=hearing.hits)
        env.misses_are_heard, env.hits_are_heard, env.keys_are_told = hearing

    def bypass_front(self, *, on: bool) -> None:
        """Let no hit be served by compiled wrappers on their own."""
        if self.front is not None:
            self.front.bypass(on=on)

    def front_for(self, value_codec: ValueCodec) -> FunctionFront | None:
        """Return the part of the front tier for direct calls with this value_codec."""
        return self.direct_fronts.of(value_codec)

    def after_fork(self) -> None:
        """Begin anew in a forked child: no connection, flight or lock of the parent is used."""
        self._imports = WarmUp(*IMPORTS)  # the parent's thread is not here
        self.flights.after_fork()
        self.changes.after_fork()
        self.background.after_fork()
        for part in (self._store, self._server, self.front):
            if part is not None:
                part.after_fork()
        if self._store is not None:  # nobody here would end the parent's loads
            self._store.drop(partial(is_lease, env=self.env))
        if self._sync is not None:
            self._sync.keeper.after_fork()

    def close(self) -> None:
        """Close the connections of the sync colour; empty a store in memory.

        Loads in the background are waited for, but not for long.
        """
        self.background.close()
        if self._sync is not None:
            self._sync.keeper.stop()
        for part in (self.front, self._store, self._server):
            if part is not None:
                part.close()

    async def aclose(self) -> None:
        """Close the running loop's connection too."""
        if len(self.background):
            from dualcache.drivers.async_background import wait_for_background

            await wait_for_background(self.background)
        await self._server.aclose()
        self.close()

    def count_of(self, owner: bytes) -> int | None:
        """Return how many entries of one function this process stores; `None` on a server."""
        if self._store is None:
            return None
        return self._store.count(lambda raw: kind_of(raw) is Kind.VALUE and owner_of(raw) == owner)

    def master_changed(self) -> None:
        """Go to another master, and repeat there what the old one may have lost."""
        # Kept before the connections are dropped: who connects anew delivers it first.
        master_changed(self.env)
        self.leave_server()

    def leave_server(self) -> None:
        """Drop all connections of both colours: the server behind the address may be another."""
        self._server.leave()
        if self.front is not None:
            self.front.reconnect()

    def _make_sync(self) -> SyncDriver:
        from dualcache.drivers.sync_driver import SyncDriver

        perform = self._server.sync() if self._store is None else self._store.perform
        perform = perform if self._times is None else self._times.timed(perform)
        self._sync = SyncDriver(
            perform, self.flights, self.changes, self.env.front, self.background
        )
        hold_still_at_forks(self._sync.keeper)
        return self._sync

    def _make_async(self) -> AsyncDriver:
        from dualcache.drivers.async_driver import AsyncDriver, without_waiting

        store = self._store
        perform = self._server.asynchronous() if store is None else without_waiting(store.perform)
        self._async = AsyncDriver(
            perform if self._times is None else self._times.atimed(perform),
            self.flights,
            self.changes,
            self.env.front,
            self._finish_elsewhere,
            self.background,
        )
        return self._async

    def _finish_elsewhere(self, flow: Flow[Any], op: Op[Any]) -> bool:
        """Run the rest of an async flow whose loop is gone, over the sync connections."""
        return (self._sync or self._make_sync()).finish(flow, op)


def _nodes(health: Health, max_staleness: float, elapsed_ms: Callable[[], int]) -> Nodes:
    """Return the nodes of a cluster, of which nothing is known yet."""
    acknowledged = AcknowledgedByNodes(max_staleness, elapsed_ms)
    return Nodes(health, acknowledged, Handovers(max_staleness, elapsed_ms))
