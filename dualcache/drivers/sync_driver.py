"""The sync driver: runs flows in the calling thread.

It performs ops and decides nothing. The asyncio twin is `async_driver.py`.
"""

from __future__ import annotations

from _thread import start_new_thread
from contextlib import suppress
from sys import exception
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final, NoReturn

from dualcache.core.background import Spawn
from dualcache.core.entry import MISSING
from dualcache.core.flight import (
    AwaitFlight,
    CloseFlights,
    EndFlight,
    Join,
    Load,
    TakeOver,
    value_if_any,
    value_of,
)
from dualcache.core.interrupts import interrupt_in
from dualcache.core.ops import AwaitChange, Fence, GiveWay, Loaded, Pause, Raised
from dualcache.drivers.at_load import AtLoad
from dualcache.drivers.background import Background
from dualcache.drivers.flights import lead_too, led
from dualcache.drivers.keeper import Keeper, KeptLoad
from dualcache.drivers.loads import RunningLoad
from dualcache.drivers.pauses import FENCE_SECONDS, poll_pause, push_pause
from dualcache.drivers.raising import users_own
from dualcache.drivers.sync_background import start_beside
from dualcache.drivers.sync_waking import Waking, let_pass
from dualcache.engine.load import get_or_load
from dualcache.engine.serve import NOT_SERVED, find_in_front, first_look, look_failed, serve
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.background import SpawnReply
    from dualcache.core.flight import Flight, FlightResult
    from dualcache.core.front_ports import TierPort
    from dualcache.core.ops import Flow, Op
    from dualcache.core.pending import PendingLoad
    from dualcache.core.policy import Call
    from dualcache.drivers.changes import Changes
    from dualcache.drivers.flights import FlightTable
    from dualcache.engine.env import Env

__all__ = ["CLEAN_UP_SECONDS", "SyncDriver"]

_NOTHING: Final[Any] = None  # typing's `cast` would be a call, for each op

CLEAN_UP_SECONDS: Final = 0.25
"""How long an interrupted caller waits for its flow to give back what it holds."""


class SyncDriver:
    """Runs flows: local ops here, backend ops by `perform`."""

    def __init__(
        self,
        perform: Callable[[Op[Any]], Any],
        flights: FlightTable,
        changes: Changes,
        tier: TierPort,
        background: Background | None = None,
    ) -> None:
        self.perform = perform
        self._flights = flights
        self._changes = changes
        self._tier = tier
        self._background = Background() if background is None else background
        self.keeper = Keeper(self.run)
        self._local: dict[type[Op[Any]], Callable[[Any], Any]] = {
            Load: self._load,
            Join: self._join,
            AwaitFlight: self._await_flight,
            AwaitChange: self._await_change,
            Fence: self._fence,
            Pause: let_pass,
            TakeOver: flights.take_over,
            GiveWay: lambda _: None,  # threads run beside each other anyway
            Spawn: self._spawn,
            EndFlight: flights.land,
            CloseFlights: flights.close,
        }

    def get_or_load(self, call: Call, env: Env, pending: PendingLoad | None = None) -> Any:
        """Serve a call by one look, else by its flow; with `pending` only up to its load."""
        if call.policy.front is not None:
            value = find_in_front(call, env)
            if value is not MISSING:
                return value
        first = first_look(call, env)
        if first is not None:
            try:
                seen = self.perform(first.op)
            except BackendError as error:
                look_failed(first, error, env)
            else:
                value = serve(call, first, seen, env)
                if value is not NOT_SERVED:
                    return value
        flow = get_or_load(call, env, first)
        if pending is None:
            return value_of(self.run(flow))
        return value_if_any(self.run_to_load(flow, pending))

    def run_to_load(self, flow: Flow[Any], pending: PendingLoad) -> Any:
        """Run a flow to its end, or to its load: then `pending` holds it."""
        return self.run(flow, pending)

    def run(  # noqa: C901, PLR0915  no call more than it needs
        self,
        flow: Flow[Any],
        pending: PendingLoad | None = None,
        joins: list[Join] | None = None,
        goes_on: Callable[[], Any] | None = None,
    ) -> Any:
        """Run a flow to its end; a failure of the backend is thrown into it.

        With `pending` it runs up to its load, which that then holds.
        `goes_on` gives the reply to a flow that has begun, whose `joins` come with it. Anything
        else that is raised meanwhile (KeyboardInterrupt, whatever a signal handler raises) ends the
        flow, wherever it lands, and is raised on.
        """
        perform_local = self._local.get
        generator: Any = flow  # typing does not know its frame, which goes when it ends
        joins = [] if joins is None else joins
        op = reply = _NOTHING
        try:
            op = next(generator) if goes_on is None else generator.send(goes_on())
            while True:
                kind = type(op)
                if kind is Join:
                    joins.append(op)
                elif kind is Load and pending is not None:
                    # In one call into C: whatever interrupts it, the flow is this run's or held.
                    pending.append(AtLoad(op, self, flow, joins))
                    return None
                try:
                    perform: Callable[[Any], Any] = perform_local(kind, self.perform)
                    reply = perform(op)
                except BackendError as error:
                    op = generator.throw(error)
                else:
                    op = generator.send(reply)
        except BaseException as error:
            if generator.gi_frame is None and type(error) is StopIteration:
                return error.value
            if pending:  # what interrupted it came when the flow was held: the caller gives it back
                raise
            if generator.gi_frame is not None or joins:
                waiting: list[Callable[[], None]] = []
                has_ended: list[bool] = []
                # Signal handlers run in the main thread, so the clean-up runs in another one. That
                # is the first call here, and in C: a second interrupt finds it under way.
                try:
                    start_new_thread(self._end, (flow, joins, has_ended, waiting))
                except RuntimeError:  # too many threads, or the interpreter is ending
                    self._end(flow, joins, has_ended, waiting)
                _await_end(has_ended, waiting)
            raise
        finally:
            # See `value_of`: the frame of a user's exception leads back to this one.
            del op, reply, joins

    def give_back(self, flow: Flow[Any], joins: list[Join]) -> None:
        """End a flow that was interrupted at its load; wait for that, but not for long."""
        waiting: list[Callable[[], None]] = []
        has_ended: list[bool] = []
        try:
            start_new_thread(self._end, (flow, joins, has_ended, waiting))
        except RuntimeError:  # too many threads, or the interpreter is ending
            self._end(flow, joins, has_ended, waiting)
        _await_end(has_ended, waiting)

    def _end(
        self,
        flow: Flow[Any],
        joins: list[Join],
        has_ended: list[bool],
        waiting: list[Callable[[], None]],
    ) -> None:
        """Let an interrupted flow give back what it holds; then wake who is waiting for that."""
        try:
            self._drive(flow, flow.throw(_Interrupted()))
        except BaseException:  # noqa: BLE001  its caller raises what interrupted it
            self._flights.abandon(joins)
        has_ended.append(True)
        for wake in waiting:
            wake()

    def finish(self, flow: Flow[Any], op: Op[Any]) -> bool:
        """Run the rest of a flow that is ending, from an op on; return whether that is under way.

        In a separate thread: the caller may be the garbage collector, which must not wait.
        """
        try:
            start_new_thread(self._finish, (flow, op))
        except RuntimeError:  # the interpreter is ending
            return False
        return True

    def _finish(self, flow: Flow[Any], op: Op[Any]) -> None:
        with suppress(BaseException):
            self._drive(flow, op)

    def _drive(self, flow: Flow[Any], op: Op[Any]) -> NoReturn:
        while True:
            try:
                perform: Callable[[Any], Any] = self._local.get(type(op), self.perform)
                reply = perform(op)
            except Exception as error:  # noqa: BLE001  the flow decides what it means
                op = flow.throw(error)
            else:
                op = flow.send(reply)

    def _load(self, op: Load) -> Loaded | Raised:
        began = monotonic()
        before, handled, load = led.get(), exception(), RunningLoad()
        kept = None if op.keeping is None else KeptLoad(op.keeping)
        try:
            load.begin()
            if op.flights:
                lead_too(op.flights)
            if kept is not None:
                self.keeper.keep(kept)
            value = op.function(*op.args)
        except Exception as error:
            if interrupt_in(error) is not None:
                raise
            return Raised(users_own(error, handled), (monotonic() - began) * 1000)
        finally:
            # What must not be missed comes first: an interrupt may follow any call into C.
            try:
                self.keeper.forget(kept)
            finally:
                # Not by a token: an interrupt may come between the set and its assignment.
                led.set(before)
                load.end()
                del op, handled  # the user's frame leads back to this one: no cycle
            if kept is not None:
                self.keeper.release(kept)
        return Loaded(value, (monotonic() - began) * 1000)

    def _join(self, op: Join) -> Any:
        return self._flights.join(op, is_blocking=True)

    def _spawn(self, op: Spawn) -> SpawnReply:
        return start_beside(op, self._background, self._flights, self.run)

    def _await_flight(self, op: AwaitFlight) -> FlightResult | None:
        waking = Waking()
        flight: Flight = op.flight
        try:
            if self._flights.when_landed(op, waking.wake) is None:
                waking.wait(op.wait_ms / 1000)
        finally:
            self._flights.stop_waiting(flight)
        return op.result or flight.result

    def _await_change(self, op: AwaitChange) -> None:
        changes = self._changes
        if op.mark is None:
            sleep(poll_pause(op.waited_ms, op.wait_ms))
            return
        waking = Waking()
        try:
            changes.wait(op.key, waking.wake)
            # The push may have come between the look and this wait: its mark says so.
            if self._tier.mark(op.key) == op.mark:
                waking.wait(push_pause(op.wait_ms))
        finally:
            changes.forget(op.key, waking.wake)

    def _fence(self, _: Fence) -> bool:
        waking = Waking()
        return self._tier.ask_proof(waking.wake) and waking.wait(FENCE_SECONDS)


def _await_end(has_ended: list[bool], waiting: list[Callable[[], None]]) -> None:
    """Wait until a clean-up has ended, but not for long."""
    ended = Waking()
    waiting.append(ended.wake)
    if not has_ended:
        ended.wait(CLEAN_UP_SECONDS)


class _Interrupted(BaseException):
    """Thrown into a flow whose caller was interrupted; what interrupted it stays the caller's."""
