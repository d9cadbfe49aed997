"""The table of running flights: one per cache, for the threads and tasks of every loop.

The rules are in `engine/flights.py` and come in as a function; here are the lock and the waking.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar, Token
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any
from weakref import ref

from dualcache.core.flight import ABANDONED, EndFlight, Flight, Join, JoinReply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dualcache.core.flight import AwaitFlight, CloseFlights, FlightResult, Stage, TakeOver

    MayFollow = Callable[[Join, Flight | None, "tuple[Flight, ...]", int, bool], bool | JoinReply]
    MayTakeOver = Callable[[Flight, Stage], bool]

__all__ = ["FlightTable", "lead_no_more", "lead_too", "leading", "led"]

led: ContextVar[tuple[ref[Flight], ...]] = ContextVar("dualcache_led", default=())
"""The flights that this context leads: a wait for one of them would never end.

Held weakly: a context is copied into tasks, threads and timers, which outlive the load by far.
"""


def _live_leads() -> tuple[Flight, ...]:
    """Return the flights that this context leads and that have not landed."""
    known = [each() for each in led.get()]
    return tuple([each for each in known if each is not None and each.result is None])


def leading() -> list[Flight]:
    """Return the flights that this context leads, the outermost first."""
    return [flight for each in led.get() if (flight := each()) is not None]


def lead_too(flights: Iterable[Flight]) -> Token[tuple[ref[Flight], ...]]:
    """Note that this context leads these flights too; those that have landed are forgotten."""
    before = _live_leads() if led.get() else ()
    return led.set(tuple([ref(each) for each in (*before, *flights)]))


def lead_no_more(token: Token[tuple[ref[Flight], ...]] | None) -> None:
    """Take back what `lead_too` has noted."""
    if token is not None:
        with suppress(ValueError):  # the collector closes a coroutine in another context
            led.reset(token)


class FlightTable:
    """Which key is being loaded, and who follows.

    No lock is held while user code runs or anybody waits.
    """

    def __init__(self, may_follow: MayFollow, may_take_over: MayTakeOver) -> None:
        self._may_follow = may_follow
        self._may_take_over = may_take_over
        self._flights: dict[str, Flight] = {}
        self._by_tag: dict[str, set[Flight]] = {}
        self._doomed: dict[str, Flight] = {}
        self._lock = Lock()

    def after_fork(self) -> None:
        """Begin anew in a forked child, where no leader of the parent runs."""
        self._lock = Lock()
        self._flights = {}
        self._by_tag = {}
        self._doomed = {}

    def join(self, ask: Join, *, is_blocking: bool) -> Flight | JoinReply:
        """Follow the flight of a key or lead a new one, as the rules say."""
        leads, thread = _live_leads() if led.get() else (), get_ident()
        with self._lock:
            flight = (ask.after and ask.after.next) or self._flights.get(ask.key)
            if flight is not None and flight.is_orphaned():
                self._forget(flight)
                self._doomed[ask.key] = flight  # so that its marker is replaced, not waited for
                flight = None
            verdict = self._may_follow(ask, flight, leads, thread, is_blocking)
            if isinstance(verdict, JoinReply):
                return verdict
            if not verdict or flight is None:
                flight = self._lead(ask, thread)
            else:
                for each in leads:
                    each.awaited.append(flight)
            if ask.after is not None:
                ask.after.next = flight
            return flight

    def _lead(self, ask: Join, thread: int) -> Flight:
        if ask.key in self._flights:
            self._forget(self._flights[ask.key])
        made = Flight(ask.key, ask, thread, ask.tags)
        # Noted before the flight can be found, so that an interrupted caller can end it.
        ask.led = made
        made.revoked = self._doomed.get(ask.key)
        self._flights[ask.key] = made
        for tag in ask.tags:
            self._by_tag.setdefault(tag, set()).add(made)
        return made

    def hand_over(self, join: Join) -> Join:
        """Return another join that leads the flight of this one: its caller leads it no more.

        What interrupts the caller then leaves the flight alone.
        """
        with self._lock:
            flight = join.led
            assert flight is not None
            to = Join(join.key, join.began, tags=join.tags)
            to.led, join.led = flight, None
            flight.leader = to
            for each in _live_leads():
                each.awaited.append(flight)
        return to

    def hand_back(self, join: Join, to: Join) -> None:
        """Let another join lead a flight again."""
        with self._lock:
            flight = join.led
            if flight is not None:
                to.led, join.led = flight, None
                flight.leader = to

    def take_over(self, op: TakeOver) -> bool:
        """Lead a flight beside its leader, if the rules say so."""
        flight = op.flight
        with self._lock:
            is_ours = self._may_take_over(flight, op.stage)
            if is_ours:
                op.is_taken = True
                flight.takeovers += 1
                flight.leaders += 1
                flight.threads.append(get_ident())
            return is_ours

    def stop_waiting(self, flight: Flight) -> None:
        """Note that this context waits for `flight` no more."""
        leads = _live_leads() if led.get() else ()
        if leads:
            with self._lock:
                for each in leads:
                    if flight in each.awaited:
                        each.awaited.remove(flight)

    def when_landed(self, op: AwaitFlight, wake: Callable[[], None]) -> FlightResult | None:
        """Have `wake` called once at the landing, unless that has been: then return it."""
        with self._lock:
            if op.flight.result is None:
                op.flight.landed.append((op, wake))
            return op.flight.result

    def land(self, op: EndFlight) -> None:
        """End a flight and wake its followers; a leader who gives up leaves it to the others."""
        flight = op.flight
        with self._lock:
            # A leader that took over beside the first may still land the value; only the last one
            # that gives up leaves its followers to themselves.
            flight.leaders -= 1
            if flight.result is None:
                if flight.leaders > 0 and op.result.outcome is None:
                    return
                # Frames of an exception lead back to who holds the flight: only those who wait by
                # now are given it, and nobody keeps it.
                has_failed = op.result.outcome is not None and op.result.outcome.error is not None
                flight.result = ABANDONED if has_failed else op.result
                for waiting, _ in flight.landed:
                    waiting.result = op.result
            self._forget(flight)
            if self._doomed.get(flight.key) is flight:
                del self._doomed[flight.key]
        # Emptied after the last call: should an interrupt end this early, `abandon` wakes the rest.
        for _, wake in flight.landed:
            wake()
        flight.landed.clear()
        if isinstance(flight.leader, Join):
            flight.leader.led = None  # no cycle is left behind

    def abandon(self, joins: Iterable[Join]) -> None:
        """End the flights that were led by these joins, as far as they have not ended."""
        for join in joins:
            if join.led is not None:
                self.land(EndFlight(join.led, ABANDONED))

    def close(self, op: CloseFlights) -> None:
        """Let no newcomer join the flights of these keys, or of variants of them."""
        with self._lock:
            if self._flights:  # each flight that a tag leads to is one of these
                for flight in list(self._closing(op)):
                    self._forget(flight)

    def _closing(self, op: CloseFlights) -> Iterator[Flight]:
        if op.names is None:
            yield from self._flights.values()
            return
        # Two intersections, each in one call into C: many names, and few flights.
        for name in self._flights.keys() & op.names:
            yield self._flights[name]
        for name in self._by_tag.keys() & op.names:
            for tagged in self._by_tag[name]:
                self._doomed[tagged.key] = tagged
                yield tagged

    def _forget(self, flight: Flight) -> None:
        flight.is_open = False
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        for tag in flight.tags:
            tagged: set[Any] = self._by_tag.get(tag, set())
            tagged.discard(flight)
            if not tagged:
                self._by_tag.pop(tag, None)

    def __len__(self) -> int:
        return len(self._flights)
