"""The sync driver: runs flows in the calling thread, over a LIFO of redis-py connections.

It performs what it is told and decides nothing. The asyncio twin is `async_driver.py`.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Condition, Event
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from dualcache.core.ops import (
    AwaitChange,
    AwaitFlight,
    CloseFlights,
    Commit,
    CommitReply,
    CommitWay,
    Distrust,
    Join,
    Land,
    Load,
    Loaded,
    Raised,
)
from dualcache.drivers import wire
from dualcache.drivers.backend_errors import classify
from dualcache.drivers.connections import make_connection
from dualcache.drivers.flights import led
from dualcache.drivers.pauses import poll_pause
from dualcache.drivers.scripts import commit_source
from dualcache.errors import BackendRefused, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.connection import AbstractConnection

    from dualcache.core.flight import Flight, Landing
    from dualcache.core.ops import Flow, Op
    from dualcache.drivers.flights import FlightTable
    from dualcache.drivers.urls import Target


class SyncDriver:
    """Runs flows: local ops here, backend ops by `perform`."""

    def __init__(self, perform: Callable[[Op[Any]], Any], flights: FlightTable) -> None:
        self._perform = perform
        self._flights = flights
        self._local: dict[type[Op[Any]], Callable[[Any], Any]] = {
            Load: self._load,
            Join: self._join,
            AwaitFlight: self._await_flight,
            AwaitChange: self._await_change,
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
        sleep(poll_pause(op.wait_ms))


class SyncBackend:
    """Performs backend ops over at most `max_connections` connections, the last used one first."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._slots: list[AbstractConnection | None] = [None] * target.max_connections
        self._freed = Condition()
        self._waiting = 0

    def renew(self) -> None:
        """Begin anew in a forked child; the parent's sockets are left alone."""
        self._slots = [None] * self._target.max_connections
        self._freed = Condition()
        self._waiting = 0

    def perform(self, op: Op[Any]) -> Any:
        """Perform one backend op; raise `BackendError`, having dropped its connection."""
        if type(op) is Distrust:
            return self.close()
        connection = self._take()
        was_connected = connection is not None
        try:
            if connection is None:
                connection = make_connection(self._target)
            reply = self._converse(connection, op)
        except BackendRefused:
            self._give(connection)
            raise
        except BaseException as error:  # noqa: BLE001  the connection may be dirty
            drop(connection)
            self._give(None)
            raise self._blamed(error, was_connected=was_connected) from None
        self._give(connection)
        return reply

    def close(self) -> None:
        """Close every idle connection; those in use are closed when they come back."""
        slots = self._slots
        for _ in range(len(slots)):
            try:
                connection = slots.pop()
            except IndexError:
                return
            drop(connection)
            slots.insert(0, None)

    def _converse(self, connection: AbstractConnection, op: Op[Any]) -> Any:
        if type(op) is Commit and op.way is CommitWay.WATCH:
            return commit_watched(connection, op)
        data, count = wire.encode(op)
        try:
            return wire.decode(op, exchange(connection, data, count))
        except wire.ScriptMissing:
            exchange(connection, wire.script_load(commit_source()), 1)
            return wire.decode(op, wire.without_scripts(exchange(connection, data, count)))

    def _blamed(self, error: BaseException, *, was_connected: bool) -> BaseException:
        if not isinstance(error, Exception):
            return error
        made = classify(error)
        if was_connected and isinstance(made, BackendUnavailable):
            made.was_connected = True
            self.close()
        return made

    def _take(self) -> AbstractConnection | None:
        try:
            return self._slots.pop()
        except IndexError:
            return self._take_freed()

    def _take_freed(self) -> AbstractConnection | None:
        ends = monotonic() + self._target.socket_timeout
        with self._freed:
            self._waiting += 1
            try:
                while True:
                    try:
                        return self._slots.pop()
                    except IndexError:
                        if not self._freed.wait(ends - monotonic()):
                            raise BackendTimeout(
                                "no connection came free in time",
                                code="DC208",
                                help="raise max_connections in the URL or the options",
                            ) from None
            finally:
                self._waiting -= 1

    def _give(self, connection: AbstractConnection | None) -> None:
        self._slots.append(connection)
        if self._waiting:
            with self._freed:
                self._freed.notify()


def exchange(connection: AbstractConnection, data: bytes, count: int) -> list[Any]:
    """Send packed commands and read their replies; an error reply is a value among them."""
    connection.send_packed_command([data], check_health=False)
    return [read(connection) for _ in range(count)]


def read(connection: AbstractConnection) -> Any:
    """Read one reply; an error that the server sent is a value."""
    try:
        return connection.read_response(disable_decoding=True)
    except Exception as error:  # noqa: BLE001  redis-py raises more than its own errors
        made = classify(error)
        if isinstance(made, BackendRefused) and connection.is_connected:
            return made
        raise made from None


def commit_watched(connection: AbstractConnection, op: Commit) -> CommitReply:
    """Compare and set by WATCH, MULTI and EXEC, on a connection of its own."""
    if not wire.is_expected(op, exchange(connection, *wire.watch_commands(op))):
        exchange(connection, *wire.UNWATCH)
        return CommitReply.REFUSED
    return wire.exec_reply(exchange(connection, *wire.exec_commands(op)))


def drop(connection: AbstractConnection | None) -> None:
    """Close a connection, whatever state it is in."""
    if connection is None:
        return
    with suppress(Exception):  # nothing is asked of it any more
        connection.disconnect()
