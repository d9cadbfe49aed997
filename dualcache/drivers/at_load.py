"""A flow of the sync driver that stands at its load, while the caller runs the function."""

from __future__ import annotations

from sys import exception
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from dualcache.core.flight import value_of
from dualcache.core.interrupts import interrupt_in
from dualcache.core.ops import Loaded, Raised
from dualcache.drivers.flights import lead_too, led
from dualcache.drivers.keeper import KeptLoad
from dualcache.drivers.loads import RunningLoad
from dualcache.drivers.raising import users_own

if TYPE_CHECKING:
    from dualcache.core.flight import Join, Load
    from dualcache.core.ops import Flow
    from dualcache.core.pending import PendingLoad
    from dualcache.drivers.keeper import Keeper


__all__ = ["AtLoad"]


class _Driver(Protocol):
    """The sync driver, as a flow that stands at its load goes on with it."""

    keeper: Keeper

    def run(
        self, flow: Flow[Any], *, joins: list[Join] | None = None, goes_on: Any = None
    ) -> Any: ...

    def give_back(self, flow: Flow[Any], joins: list[Join]) -> None: ...


class AtLoad:
    """One such flow; a signal handler may raise anywhere here, as in the driver itself."""

    __slots__ = (
        "_before",
        "_began",
        "_driver",
        "_flow",
        "_handled",
        "_has_begun",
        "_joins",
        "_kept",
        "_load",
        "_op",
        "_pending",
        "_reply",
    )

    def __init__(self, op: Load, driver: _Driver, flow: Flow[Any], joins: list[Join]) -> None:
        self._op = op
        self._driver, self._flow, self._joins = driver, flow, joins
        self._kept = None if op.keeping is None else KeptLoad(op.keeping)
        self._has_begun = False

    def begin(self) -> None:
        """Lead the flights of this load in what the function calls, and renew its leases."""
        self._began = monotonic()
        self._before, self._handled = led.get(), exception()
        self._load = RunningLoad()
        self._has_begun = True
        self._load.begin()
        if self._op.flights:
            lead_too(self._op.flights)
        if self._kept is not None:
            self._driver.keeper.keep(self._kept)

    def finish(self, value: Any, error: BaseException | None, pending: PendingLoad) -> Any:
        """Go on with the flow; the value is stored, and returned or raised."""
        try:
            if error is not None and interrupt_in(error) is not None:
                raise error
            self._leave()
            took_ms = (monotonic() - self._began) * 1000
            self._reply: Loaded | Raised | None = Loaded(value, took_ms)
            if isinstance(error, Exception):
                self._reply = Raised(users_own(error, self._handled), took_ms)
        finally:
            self._handled = None
            del value, error  # the user's frame leads back to this one: no cycle
        self._pending = pending
        return value_of(self._driver.run(self._flow, joins=self._joins, goes_on=self._take))

    def _take(self) -> Loaded | Raised | None:
        """Return the reply to the flow; from here on the run gives back what the call holds."""
        self._pending.clear()
        reply, self._reply = self._reply, None
        return reply

    def give_back(self) -> None:
        """Give back what an interrupted call holds."""
        try:
            self._leave()
        finally:
            self._driver.give_back(self._flow, self._joins)

    def _leave(self) -> None:
        if not self._has_begun:
            return
        kept, self._kept = self._kept, None
        # What must not be missed comes first: an interrupt may follow any call into C.
        try:
            self._driver.keeper.forget(kept)
        finally:
            led.set(self._before)
            self._load.end()
        if kept is not None:
            self._driver.keeper.release(kept)
