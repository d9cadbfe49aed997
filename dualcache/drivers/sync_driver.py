"""The sync driver: runs flows in the calling thread.

It performs what it is told and decides nothing. The asyncio twin is `async_driver.py`.
"""

from __future__ import annotations

from threading import Event
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from dualcache.core.flight import AwaitFlight, CloseFlights, Join, Land, TakeOver
from dualcache.core.ops import AwaitChange, Fence, GiveWay, Load, Loaded, Raised
from dualcache.drivers.flights import led
from dualcache.drivers.pauses import FENCE_SECONDS, poll_pause, push_pause

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.flight import Flight, Landing
    from dualcache.core.ops import Flow, Op
    from dualcache.drivers.changes import Changes
    from dualcache.drivers.flights import FlightTable


class SyncDriver:
    """Runs flows: local ops here, backend ops by `perform`."""

    def __init__(
        self, perform: Callable[[Op[Any]], Any], flights: FlightTable, changes: Changes
    ) -> None:
        self._perform = perform
        self._flights = flights
        self._changes = changes
        self._local: dict[type[Op[Any]], Callable[[Any], Any]] = {
            Load: self._load,
            Join: self._join,
            AwaitFlight: self._await_flight,
            AwaitChange: self._await_change,
            Fence: self._fence,
            TakeOver: flights.take_over,
            GiveWay: nothing_to_do,
            Land: flights.land,
            CloseFlights: flights.close,
        }

    def run(self, flow: Flow[Any]) -> Any:
        """Run a flow to its end; whatever is raised meanwhile is thrown into it."""
        perform_local = self._local.get
        try:
            op = next(flow)
            while True:
                try:
                    perform: Callable[[Any], Any] = perform_local(type(op), self._perform)
                    reply = perform(op)
                except BaseException as error:  # noqa: BLE001  the flow cleans up and raises it again
                    op = flow.throw(error)
                else:
                    op = flow.send(reply)
        except StopIteration as end:
            return end.value

    def _load(self, op: Load) -> Loaded | Raised:
        began = monotonic()
        token = led.set((*led.get(), *op.flights)) if op.flights else None
        try:
            value = op.function(*op.args)
        except Exception as error:  # noqa: BLE001  the user's own: it goes to the caller as it is
            return Raised(error, (monotonic() - began) * 1000)
        finally:
            if token is not None:
                led.reset(token)
        return Loaded(value, (monotonic() - began) * 1000)

    def _join(self, op: Join) -> Any:
        return self._flights.join(op, is_blocking=True)

    def _await_flight(self, op: AwaitFlight) -> Landing | None:
        woken = Event()
        flight: Flight = op.flight
        try:
            if self._flights.when_landed(flight, woken.set) is None:
                woken.wait(op.wait_ms / 1000)
        finally:
            self._flights.stop_waiting(flight)
        return flight.landing

    def _await_change(self, op: AwaitChange) -> None:
        changes = self._changes
        if op.mark is None:
            sleep(poll_pause(op.wait_ms))
            return
        woken = Event()
        changes.wait(op.key, woken.set)
        try:
            if changes.mark(op.key) == op.mark:
                woken.wait(push_pause(op.wait_ms))
        finally:
            changes.forget(op.key, woken.set)

    def _fence(self, _: Fence) -> bool:
        woken = Event()
        return self._changes.ask_proof(woken.set) and woken.wait(FENCE_SECONDS)


def nothing_to_do(_: GiveWay) -> None:
    """Threads run beside each other anyway."""
