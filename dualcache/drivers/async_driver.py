"""The asyncio driver: runs flows in the calling task, over one connection shared by the whole loop.

It performs what it is told and decides nothing. The threaded twin is `sync_driver.py`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import anyio

from dualcache.core.ops import (
    AwaitChange,
    AwaitFlight,
    CloseFlights,
    Fence,
    Join,
    Land,
    Load,
    Loaded,
    Raised,
)
from dualcache.drivers.flights import led
from dualcache.drivers.pauses import FENCE_SECONDS, poll_pause, push_pause

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Self

    from dualcache.core.flight import Landing
    from dualcache.core.ops import Flow, Op
    from dualcache.drivers.changes import Changes
    from dualcache.drivers.flights import FlightTable

    Perform = Callable[[Op[Any]], Awaitable[Any]]

CLEAN_UP_SECONDS: Final = 0.25


class AsyncDriver:
    """Runs flows: local ops here, backend ops by `perform`."""

    def __init__(
        self,
        perform: Callable[[Op[Any]], Awaitable[Any]],
        flights: FlightTable,
        changes: Changes,
    ) -> None:
        self._perform = perform
        self._flights = flights
        self._changes = changes
        self._at_once: dict[type[Op[Any]], Callable[[Any], Any]] = {
            Join: self._join,
            Land: flights.land,
            CloseFlights: flights.close,
        }
        self._waiting: dict[type[Op[Any]], Callable[[Any], Awaitable[Any]]] = {
            Load: self._load,
            AwaitFlight: self._await_flight,
            AwaitChange: self._await_change,
            Fence: self._fence,
        }

    async def run(self, flow: Flow[Any], finish: Callable[[Any], Any] | None = None) -> Any:
        """Run a flow to its end; whatever is raised meanwhile is thrown into it.

        `finish` makes the result of what the flow returns: one coroutine less than a caller's own.
        """
        waiting, at_once = self._waiting, self._at_once
        result: Any = None
        try:
            op = next(flow)
            while True:
                kind = type(op)
                try:
                    if kind in at_once:
                        reply = at_once[kind](op)
                    else:
                        perform: Perform = waiting.get(kind, self._perform)
                        reply = await perform(op)
                except Exception as error:  # noqa: BLE001  the flow decides what it means
                    op = flow.throw(error)
                except BaseException as error:  # noqa: BLE001  as above: clean up, then raise
                    return await self._clean_up(flow, error)
                else:
                    op = flow.send(reply)
        except StopIteration as end:
            result = end.value
        return result if finish is None else finish(result)

    async def _do(self, op: Op[Any]) -> Any:
        kind = type(op)
        if kind in self._at_once:
            return self._at_once[kind](op)
        perform: Perform = self._waiting.get(kind, self._perform)
        return await perform(op)

    async def _clean_up(self, flow: Flow[Any], error: BaseException) -> Any:
        """Let a flow that was cancelled give back what it holds: shielded, and not for long."""
        with anyio.CancelScope(shield=True) as scope:
            scope.deadline = anyio.current_time() + CLEAN_UP_SECONDS
            op = flow.throw(error)
            while True:
                try:
                    reply = await self._do(op)
                except BaseException as failure:  # noqa: BLE001  the flow ends by raising
                    op = flow.throw(failure)
                else:
                    op = flow.send(reply)

    async def _load(self, op: Load) -> Loaded | Raised:
        began = monotonic()
        token = led.set((*led.get(), *op.flights)) if op.flights else None
        try:
            value = await op.function(*op.args)
        except Exception as error:  # noqa: BLE001  the user's own: it goes to the caller as it is
            return Raised(error, (monotonic() - began) * 1000)
        finally:
            if token is not None:
                led.reset(token)
        return Loaded(value, (monotonic() - began) * 1000)

    def _join(self, op: Join) -> Any:
        return self._flights.join(op, is_blocking=False)

    async def _await_flight(self, op: AwaitFlight) -> Landing | None:
        try:
            with Waking(op.wait_ms / 1000) as waking:
                if self._flights.when_landed(op.flight, waking.wake) is None:
                    await waking.woken
        finally:
            self._flights.stop_waiting(op.flight)
        return op.flight.landing

    async def _await_change(self, op: AwaitChange) -> None:
        if op.mark is None:
            await asyncio.sleep(poll_pause(op.wait_ms))
            return
        changes = self._changes
        with Waking(push_pause(op.wait_ms)) as waking:
            changes.wait(op.key, waking.wake)
            try:
                if changes.mark(op.key) == op.mark:
                    await waking.woken
            finally:
                changes.forget(op.key, waking.wake)

    async def _fence(self, _: Fence) -> bool:
        with Waking(FENCE_SECONDS) as waking:
            return self._changes.ask_proof(waking.wake) and await waking.woken


def without_waiting(perform: Callable[[Op[Any]], Any]) -> Callable[[Op[Any]], Awaitable[Any]]:
    """Return what performs ops of a store in this process, where nothing is waited for."""

    async def performed(op: Op[Any]) -> Any:
        return perform(op)

    return performed


class Waking:
    """A wait of one task for at most so many seconds; any thread may end it by `wake`.

    `woken` gives True when woken, False when the time is over.
    """

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.woken: asyncio.Future[bool] = self._loop.create_future()
        self._timer = self._loop.call_later(seconds, self._end, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def wake(self) -> None:
        """End the wait; a loop that is closed has nobody to wake."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end, True)

    def _end(self, is_woken: bool) -> None:
        if not self.woken.done():
            self.woken.set_result(is_woken)
