"""Awaiting a blocking function, which runs in a separate daemon thread.

Not in the loop's executor: `asyncio.run` waits for those threads when it ends, and this function
may hang.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Generic, TypeVar

from dualcache.drivers.threads import start

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_daemon"]

T = TypeVar("T")


async def in_daemon(function: Callable[[], T], *, discard: Callable[[T], object]) -> T:
    """Run `function` in a thread; `discard` gets a result that nobody waits for any more."""
    return await _Errand(function, discard).result()


class _Errand(Generic[T]):
    """One function, run in a thread for a task that may be cancelled meanwhile."""

    def __init__(self, function: Callable[[], T], discard: Callable[[T], object]) -> None:
        self._function = function
        self._discard = discard
        self._loop = asyncio.get_running_loop()
        self._replied: asyncio.Future[T] = self._loop.create_future()

    async def result(self) -> T:
        """Start the thread and wait for the function's result."""
        start(Thread(target=self._run, name="dualcache-connect", daemon=True))
        try:
            return await self._replied
        except BaseException:
            # Cancelled in the very turn of the loop in which the result came.
            if self._replied.done() and not self._replied.cancelled():
                self._drop(self._replied)
            raise

    def _run(self) -> None:
        done: Future[T] = Future()
        try:
            done.set_result(self._function())
        except BaseException as error:  # noqa: BLE001  it is raised where it is awaited
            done.set_exception(error)
        try:
            self._loop.call_soon_threadsafe(self._settle, done)
        except RuntimeError:  # the loop has ended meanwhile
            self._drop(done)

    def _settle(self, done: Future[T]) -> None:
        error = done.exception()
        if self._replied.done():
            self._drop(done)
        elif error is not None:
            self._replied.set_exception(error)
        else:
            self._replied.set_result(done.result())

    def _drop(self, done: Future[T] | asyncio.Future[T]) -> None:
        if done.exception() is None:
            with suppress(Exception):
                self._discard(done.result())
