"""Faults for tests: operations on a backend that wait, and fail, as those of a real one do.

They are put where the drivers perform operations, so that everything above (time-outs, the breaker,
stale values, pending invalidations) runs as it does in an outage.
"""

from __future__ import annotations

import copy
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.errors import BackendError, BackendTimeout, UsageError
from dualcache.options.durations import to_ms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from dualcache.core.ops import Op
    from dualcache.runtime.backend import Backend
    from dualcache.typing import Duration

__all__ = ["Fault", "injected", "to_fault"]


class Fault(NamedTuple):
    """What happens to each operation: it waits, and fails if there is an error."""

    seconds: float
    error: BackendError | None

    def check(self) -> None:
        """Raise the error, as a separate object for each operation."""
        if self.error is not None:
            raise copy.copy(self.error)


def to_fault(error: object, delay: Duration, *, budget: float) -> Fault:
    """Check a fault. A delay beyond `budget` is a time-out, after as many seconds as that.

    Raises `UsageError` for an error that no backend raises.
    """
    made = None if error is None else _to_backend_error(error)
    seconds = to_ms(delay, "delay", owner="inject_fault()") / 1000
    if seconds <= budget:
        return Fault(seconds, made)
    late = BackendTimeout("a test lets the backend give no answer in time", code="DC451")
    return Fault(budget, late if made is None else made)


@contextmanager
def injected(backend: Backend, fault: Fault) -> Generator[None]:
    """Let each operation on a backend meet a fault inside."""
    sync_driver, async_driver = backend.drivers()
    perform, aperform = sync_driver.perform, async_driver.perform
    sync_driver.perform = _faulty(perform, fault)
    async_driver.perform = _afaulty(aperform, fault)
    try:
        yield
    finally:
        sync_driver.perform, async_driver.perform = perform, aperform


def _faulty(perform: Callable[[Op[Any]], Any], fault: Fault) -> Callable[[Op[Any]], Any]:
    def performed(op: Op[Any]) -> Any:
        if fault.seconds:
            time.sleep(fault.seconds)
        fault.check()
        return perform(op)

    return performed


def _afaulty(
    perform: Callable[[Op[Any]], Awaitable[Any]], fault: Fault
) -> Callable[[Op[Any]], Awaitable[Any]]:
    from anyio import sleep  # a sync program needs none of it

    async def performed(op: Op[Any]) -> Any:
        if fault.seconds:
            await sleep(fault.seconds)
        fault.check()
        return await perform(op)

    return performed


def _to_backend_error(error: object) -> BackendError:
    """Return the error that the engine sees where a backend raises this one."""
    if isinstance(error, type) and issubclass(error, BackendError):
        return error("a test lets the backend fail", code="DC450")
    made = error() if isinstance(error, type) and issubclass(error, Exception) else error
    if isinstance(made, BackendError):
        return made
    from redis.exceptions import RedisError

    from dualcache.backends.redis.errors import classify

    if isinstance(made, OSError | RedisError):
        return classify(made)
    raise UsageError(
        f"no backend raises {_name(error)}",
        code="DC452",
        help="give a BackendError, an OSError such as ConnectionError, or an error of redis-py",
    )


def _name(error: object) -> str:
    return error.__name__ if isinstance(error, type) else type(error).__name__
