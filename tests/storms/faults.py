"""Faults at the seam between a driver and its backend: the n-th op of a call meets one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import pytest

from dualcache import BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from dualcache.core.ops import Op
    from tests.colours import Colour


class Fault(NamedTuple):
    """What befalls one op.

    `arrives` says whether the server carries it out: `"late"` means after everything else that the
    call sends. `error` makes what the caller sees in the place of the reply; `None` cancels the
    task that asks. `lasts` lets every later op of the call meet it too.
    """

    arrives: bool | Literal["late"]
    error: Callable[[], BaseException] | None
    lasts: bool = False

    @property
    def is_interrupt(self) -> bool:
        """Whether the caller itself is stopped, and not only its op."""
        return self.error is None or not isinstance(self.error(), Exception)

    def skip_unless_possible(self, colour: Colour) -> None:
        """Skip the test where this cannot befall a caller of that colour."""
        if self.error is None and not colour.can_cancel_itself:
            pytest.skip("only a task of asyncio can cancel itself")


def timed_out() -> BackendTimeout:
    return BackendTimeout("the server gave no answer in time", code="DC201")


def cut() -> BackendUnavailable:
    error = BackendUnavailable("the server cannot be reached", code="DC200")
    error.was_connected = True
    return error


def refused() -> BackendUnavailable:
    return BackendUnavailable("the server cannot be reached", code="DC200")


def garbled() -> BackendUnavailable:
    error = BackendUnavailable("the server's answer made no sense", code="DC204")
    error.is_garbled = error.was_connected = True
    return error


FAULTS: Final = {
    "a time-out before sending": Fault(False, timed_out),
    "a time-out after sending": Fault(True, timed_out),
    "a time-out, carried out late": Fault("late", timed_out),
    "a reset before sending": Fault(False, cut),
    "a reset after sending": Fault(True, cut),
    "a refused connection": Fault(False, refused),
    "garbage": Fault(True, garbled),
    "an interrupt before sending": Fault(False, KeyboardInterrupt),
    "an interrupt after sending": Fault(True, KeyboardInterrupt),
    "a cancellation before sending": Fault(False, None),
    "a cancellation after sending": Fault(True, None),
    "time-outs from here on": Fault(False, timed_out, lasts=True),
    "time-outs after sending from here on": Fault(True, timed_out, lasts=True),
    "resets from here on": Fault(True, cut, lasts=True),
}


class FaultyLink:
    """Stands between the driver of one colour and its backend; without a fault it does nothing."""

    def __init__(self, cache: Cache, *, is_async: bool) -> None:
        backend = cache._runtime.backend
        driver: Any = backend._make_async() if is_async else backend._make_sync()
        self._inner = driver.perform
        driver.perform = self._aperform if is_async else self._perform
        self._fault: Fault | None = None
        self._left = 0
        self._late: list[Op[Any]] = []
        self.was_met = False

    def break_at(self, at: int, fault: Fault) -> None:
        """Let the `at`-th op from now on meet a fault."""
        self._left, self._fault, self.was_met = at, fault, False

    def heal(self) -> None:
        self._fault = None

    def carry_out_late(self, run: Callable[[Callable[[], Any]], Any]) -> None:
        """Carry out what the server received late; `run` calls in the colour of the driver."""
        late, self._late = self._late, []
        for op in late:
            run(lambda op=op: self._inner(op))  # type: ignore[misc]  # bound at once

    def _met(self) -> Fault | None:
        """Count one op; return the fault that it meets."""
        fault = self._fault
        if fault is None:
            return None
        self._left -= 1
        if self._left and not (fault.lasts and self._left < 0):
            return None
        self.was_met = True
        return fault

    def _perform(self, op: Op[Any]) -> Any:
        fault = self._met()
        if fault is None:
            return self._inner(op)
        if fault.arrives == "late":
            self._late.append(op)
        elif fault.arrives:
            self._inner(op)
        assert fault.error is not None
        raise fault.error()

    async def _aperform(self, op: Op[Any]) -> Any:
        fault = self._met()
        if fault is None:
            return await self._inner(op)
        if fault.arrives == "late":
            self._late.append(op)
        elif fault.arrives:
            await self._inner(op)
        if fault.error is not None:
            raise fault.error()
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return await asyncio.Future()
