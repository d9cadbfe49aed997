"""The async driver: runs flows in the calling task, under asyncio and under trio.

It performs ops and decides nothing. The threaded twin is `sync_driver.py`. A flow that needs to
wait asks which loop runs; a hit in memory or in front needs none.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from inspect import isawaitable
from sys import exception
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import anyio

from dualcache.core.background import Spawn
from dualcache.core.entry import MISSING
from dualcache.core.flight import (
    AwaitFlight,
    CloseFlights,
    EndFlight,
    Join,
    Load,
    TakeOver,
    value_of,
)
from dualcache.core.ops import AwaitChange, Fence, GiveWay, Loaded, Pause, Raised
from dualcache.drivers.async_background import start_beside
from dualcache.drivers.async_loop import running_loop
from dualcache.drivers.background import Background
from dualcache.drivers.flights import lead_no_more, lead_too
from dualcache.drivers.loads import RunningLoad
from dualcache.drivers.pauses import FENCE_SECONDS, poll_pause, push_pause
from dualcache.drivers.raising import users_own
from dualcache.engine.load import get_or_load
from dualcache.engine.serve import NOT_SERVED, find_in_front, first_look, look_failed, serve
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dualcache.core.background import SpawnReply
    from dualcache.core.flight import FlightResult
    from dualcache.core.front_ports import TierPort
    from dualcache.core.ops import Flow, Op
    from dualcache.core.policy import Call
    from dualcache.drivers.async_loop import Task
    from dualcache.drivers.changes import Changes
    from dualcache.drivers.flights import FlightTable
    from dualcache.engine.env import Env

    Perform = Callable[[Op[Any]], Awaitable[Any]]

__all__ = ["CLEAN_UP_SECONDS", "AsyncDriver", "without_waiting"]

_NOTHING: Final[Any] = None  # typing's `cast` would be a call, for each op

CLEAN_UP_SECONDS: Final = 0.25
"""How long a cancelled caller waits for its flow to give back what it holds."""
LEADING: Final[set[Flow[Any]]] = set()
"""Flows that may have to give something back. The collector finalizes a task that nobody holds, and
all it refers to, in any order: a flow that only its coroutine held could be closed before it."""


class AsyncDriver:
    """Runs flows: local ops here, backend ops by `perform`.

    `finish_elsewhere` runs the rest of a flow, from an op on, where no event loop is needed.
    """

    def __init__(
        self,
        perform: Callable[[Op[Any]], Awaitable[Any]],
        flights: FlightTable,
        changes: Changes,
        tier: TierPort,
        finish_elsewhere: Callable[[Flow[Any], Op[Any]], bool] = lambda _flow, _op: False,
        background: Background | None = None,
    ) -> None:
        self.perform = perform
        self._finish_elsewhere = finish_elsewhere
        self._flights = flights
        self._changes = changes
        self._tier = tier
        self._background = Background() if background is None else background
        self._at_once: dict[type[Op[Any]], Callable[[Any], Any]] = {
            Join: self._join,
            TakeOver: flights.take_over,
            EndFlight: flights.land,
            CloseFlights: flights.close,
            Spawn: self._spawn,
        }
        self._waiting: dict[type[Op[Any]], Callable[[Any], Awaitable[Any]]] = {
            Load: self._load,
            AwaitFlight: self._await_flight,
            AwaitChange: self._await_change,
            Fence: self._fence,
            Pause: lambda op: running_loop().sleep(op.wait_ms / 1000),
            GiveWay: lambda _: running_loop().sleep(0),  # the loop runs whatever else is ready
        }

    async def get_or_load(self, call: Call, env: Env) -> Any:
        """Serve a call by one look, else by its flow."""
        if call.policy.front is not None:
            value = find_in_front(call, env)
            if value is not MISSING:
                return value
        first = first_look(call, env)
        if first is not None:
            try:
                seen = await self.perform(first.op)
            except BackendError as error:
                look_failed(first, error, env)
            else:
                value = serve(call, first, seen, env)
                if value is not NOT_SERVED:
                    return value
        return await self.run(get_or_load(call, env, first), value_of)

    async def run(  # noqa: C901, PLR0912, PLR0915  whole: each coroutine more costs every hit
        self, flow: Flow[Any], finish: Callable[[Any], Any] | None = None
    ) -> Any:
        """Run a flow to its end; whatever is raised meanwhile is thrown into it.

        `finish` makes the result of what the flow returns: one coroutine less than a caller's own.
        """
        waiting, at_once = self._waiting, self._at_once
        generator: Any = flow  # typing does not know its frame, which goes when it ends
        joins: list[Join] = []
        ended: list[Any] = []
        op = reply = _NOTHING
        try:
            op = next(generator)
            while True:
                kind = type(op)
                if kind is Join:
                    joins.append(op)
                    LEADING.add(flow)
                try:
                    if kind in at_once:
                        reply = at_once[kind](op)
                    else:
                        perform: Perform = waiting.get(kind, self.perform)
                        reply = await perform(op)
                except Exception as error:  # noqa: BLE001  the flow decides what it means
                    op = generator.throw(error)
                else:
                    op = generator.send(reply)
        except StopIteration as end:
            ended.append(end.value)
        except GeneratorExit:
            self._finish_at_once(flow)
            self._flights.abandon(joins)
            raise
        except BaseException as error:
            if generator.gi_frame is not None:
                await self._clean_up(flow, error)
            if generator.gi_frame is None:
                self._flights.abandon(joins)
            raise
        finally:
            if joins:
                LEADING.discard(flow)
            # See `value_of`: the frame of a user's exception leads back to this one.
            del flow, op, reply, joins
        return ended.pop() if finish is None else finish(ended.pop())

    async def _clean_up(self, flow: Flow[Any], error: BaseException) -> None:
        """Let a flow that was interrupted give back what it holds.

        That goes on in a task of its own for as long as the backend takes: cut short, it would
        leave a lease behind. The caller waits for it, but not for long, and then raises what
        interrupted it, however the clean-up ends and whatever cancels the caller again meanwhile.
        """
        op = self._until_it_waits(flow, flow.throw, error)
        if op is None:
            return
        loop = running_loop()
        task = loop.clean_up(partial(self._finish, flow, op))
        task.add_done_callback(partial(self._finished, flow))
        # The shield is for the scopes of anyio and trio, which cancel again at every await.
        with anyio.CancelScope(shield=True), suppress(asyncio.CancelledError):
            await loop.wait([task], CLEAN_UP_SECONDS)

    async def _finish(self, flow: Flow[Any], op: Op[Any] | None) -> None:
        """Run the rest of a flow that is ending, from an op that it waits for."""
        interrupt: BaseException | None = None
        while op is not None:
            perform: Perform = self._waiting.get(type(op), self.perform)
            try:
                reply = await perform(op)
            except GeneratorExit:
                self._finish_at_once(flow)
                raise
            except BaseException as failure:  # noqa: BLE001  the flow ends by raising
                if not isinstance(failure, Exception):
                    interrupt = failure
                op = self._until_it_waits(flow, flow.throw, failure)
            else:
                op = self._until_it_waits(flow, flow.send, reply)
        if interrupt is not None:
            raise interrupt

    def _finished(self, flow: Flow[Any], task: Task) -> None:
        """End the flow of a task that was cancelled before it began; any other has ended."""
        if not task.cancelled():
            task.exception()
        self._finish_at_once(flow)

    def _finish_at_once(self, flow: Flow[Any]) -> None:
        """End a flow where nothing can be awaited: its flights land, its leases go elsewhere.

        So where its coroutine is closed or collected while it waits, or its loop is ending. What is
        thrown is no GeneratorExit: `yield from` would not hand that on, but close what it runs.
        """
        op = self._until_it_waits(flow, flow.throw, asyncio.CancelledError())
        if op is None or self._finish_elsewhere(flow, op):
            return
        while self._until_it_waits(flow, flow.throw, asyncio.CancelledError()) is not None:
            pass

    def _until_it_waits(
        self, flow: Flow[Any], resume: Callable[[Any], Op[Any]], what: Any
    ) -> Op[Any] | None:
        """Resume a flow that is ending, up to the next op to be awaited; `None`: it has ended."""
        try:
            op = resume(what)
            while (at_once := self._at_once.get(type(op))) is not None:
                op = flow.send(at_once(op))
        except BaseException:  # noqa: BLE001  how it ends is known: its caller raises the first error
            return None
        return op

    async def _load(self, op: Load) -> Loaded | Raised:
        began = monotonic()
        handled, load = exception(), RunningLoad()
        token = lead_too(op.flights) if op.flights else None
        kept = None if op.keeping is None else running_loop().keep(op.keeping, self.run)
        try:
            load.begin()
            value = op.function(*op.args)
            if isawaitable(value):  # a direct call may have a plain loader
                value = await value
        except Exception as error:  # noqa: BLE001  the user's own: it goes to the caller as it is
            return Raised(users_own(error, handled), (monotonic() - began) * 1000)
        finally:
            load.end()
            lead_no_more(token)
            if kept is not None:
                kept.release()
            del op, handled  # the user's frame leads back to this one: no cycle
        return Loaded(value, (monotonic() - began) * 1000)

    def _join(self, op: Join) -> Any:
        reply = self._flights.join(op, is_blocking=False)
        if op.led is not None:
            op.led.is_orphaned = running_loop().orphan_check()
        return reply

    def _spawn(self, op: Spawn) -> SpawnReply:
        return start_beside(op, self._background, self._flights, self.run)

    async def _await_flight(self, op: AwaitFlight) -> FlightResult | None:
        try:
            with running_loop().waking(op.wait_ms / 1000) as waking:
                if self._flights.when_landed(op, waking.wake) is None:
                    await waking.woken
        finally:
            self._flights.stop_waiting(op.flight)
        return op.result or op.flight.result

    async def _await_change(self, op: AwaitChange) -> None:
        if op.mark is None:
            await running_loop().sleep(poll_pause(op.waited_ms, op.wait_ms))
            return
        changes = self._changes
        with running_loop().waking(push_pause(op.wait_ms)) as waking:
            changes.wait(op.key, waking.wake)
            try:
                # The push may have come between the look and this wait: its mark says so.
                if self._tier.mark(op.key) == op.mark:
                    await waking.woken
            finally:
                changes.forget(op.key, waking.wake)

    async def _fence(self, _: Fence) -> bool:
        with running_loop().waking(FENCE_SECONDS) as waking:
            return self._tier.ask_proof(waking.wake) and await waking.woken


def without_waiting(perform: Callable[[Op[Any]], Any]) -> Callable[[Op[Any]], Awaitable[Any]]:
    """Return an async `perform` for a store in this process, which never waits."""

    async def performed(op: Op[Any]) -> Any:
        return perform(op)

    return performed
