"""The event loops under which the async face works: asyncio's (uvloop is one) and trio.

What the async driver needs of a loop, and which one runs. trio is never imported here: where it
runs, the program has imported it.
"""

from __future__ import annotations

from asyncio import _get_running_loop  # the public one raises where there is none
from sys import modules
from typing import TYPE_CHECKING, Any, Protocol

from dualcache.drivers.asyncio_loop import ASYNCIO
from dualcache.errors import UsageError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from concurrent.futures import Future
    from typing import Self

    from dualcache.core.ops import Flow, Keeping

__all__ = [
    "AsyncLoop",
    "Event",
    "Kept",
    "Task",
    "Waking",
    "asyncio_loop",
    "is_trio",
    "running_loop",
    "unknown_loop",
]


class Task(Protocol):
    """Work that runs beside its starter, until it ends, is cancelled or the loop ends."""

    def add_done_callback(self, callback: Callable[[Any], object], /) -> object:
        """Call `callback` with the task when it has ended."""

    def cancel(self) -> object:
        """Cancel it; it may clean up."""

    def cancelled(self) -> bool:
        """Tell whether it has ended by being cancelled."""
        ...

    def exception(self) -> BaseException | None:
        """Return its exception; not to be asked of a cancelled task."""


class Waking(Protocol):
    """A wait of one task for a bounded time; any thread may end it by `wake`."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    @property
    def woken(self) -> Awaitable[bool]:
        """Gives True when woken, False when the time is over."""
        ...

    def wake(self) -> None:
        """End the wait; a loop that has ended has nobody to wake."""


class Event(Protocol):
    """What a task waits for and another one of the same loop sets, once."""

    def set(self) -> None: ...

    def is_set(self) -> bool: ...

    async def wait(self) -> object: ...


class Kept(Protocol):
    """A load whose leases are renewed."""

    def release(self) -> None:
        """Renew them no more."""


class AsyncLoop(Protocol):
    """What the async driver needs of the running loop."""

    def waking(self, seconds: float) -> Waking:
        """Return a wait of this task."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let this task wait; with 0 only until the others have had their turn."""

    def event(self) -> Event:
        """Return an event between tasks of this loop."""
        ...

    def start(self, work: Callable[[], Coroutine[Any, Any, Any]], name: str) -> Task:
        """Run `work` beside this task, in a copy of its context; no scope of the user's ends it."""
        ...

    def clean_up(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Task:
        """Start work that the end of the loop waits for."""
        ...

    def own(self, tasks: Sequence[Any]) -> list[Any]:
        """Return those of these tasks that run in this loop, without this very task."""
        ...

    async def wait(self, tasks: Sequence[Any], seconds: float) -> list[Any]:
        """Wait for tasks of this loop, but not for long; return those that still run."""
        ...

    async def stop(self, task: Any) -> None:
        """Cancel a task of this loop, and wait for its end, whatever it raises.

        It is called where this very task may be cancelled.
        """

    async def result_of(self, future: Future[Any]) -> Any:
        """Wait for what a thread does."""

    def orphan_check(self) -> Callable[[], bool]:
        """Return a predicate: whether this loop runs no more."""
        ...

    def keep(self, keeping: Keeping, run: Callable[[Flow[Any]], Awaitable[Any]]) -> Kept:
        """Renew the leases of a load that begins."""
        ...

    def report(self, error: Exception, task: Any) -> None:
        """Tell of an error that nobody awaits."""


def running_loop() -> AsyncLoop:
    """Return the loop that runs in this thread. Raises `UsageError` for an unknown one, or none."""
    if is_trio():
        from dualcache.drivers.trio_loop import TRIO

        return TRIO
    if _get_running_loop() is not None:
        return ASYNCIO
    raise unknown_loop()


def asyncio_loop() -> AbstractEventLoop | None:
    """Return the loop of asyncio that runs in this thread; `None` under trio or without a loop."""
    return None if is_trio() else _get_running_loop()


def is_trio() -> bool:
    """Tell whether trio runs in this thread."""
    # Asked first: in a notebook, and in guest mode, a loop of asyncio runs beneath trio.
    # With a default: another thread may be importing it.
    is_running: Callable[[], bool] | None
    is_running = getattr(modules.get("trio.lowlevel"), "in_trio_run", None)
    return is_running is not None and is_running()


def unknown_loop() -> UsageError:
    """Return the error of a call where no loop runs that is known."""
    return UsageError(
        "an async method was called where neither asyncio nor trio runs",
        code="DC480",
        help="run the program with asyncio.run(), uvloop.run(), trio.run() or anyio.run(); "
        "elsewhere use the sync methods",
    )
