"""What the async driver needs of trio. Imported where trio runs, and only there.

Background work runs in system tasks: it belongs to the cache, so no nursery or cancel scope of the
caller's ends it. The end of the run does.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Final

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from concurrent.futures import Future
    from typing import Self

    from dualcache.core.ops import Flow, Keeping

__all__ = ["TRIO", "TrioWaking"]


class TrioWaking:
    """A wait of one task for at most so many seconds; any thread may end it by `wake`."""

    def __init__(self, seconds: float) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._event = trio.Event()
        self._deadline = trio.current_time() + seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    @property
    def woken(self) -> Awaitable[bool]:
        """Gives True when woken, False when the time is over."""
        return self._wait()

    def wake(self) -> None:
        """End the wait; a run that has ended has nobody to wake."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._event.set)

    async def _wait(self) -> bool:
        with trio.move_on_at(self._deadline):
            await self._event.wait()
        return self._event.is_set()


class _TrioTask:
    """Work in a system task. What it raises is kept: it would end the whole run otherwise."""

    def __init__(
        self, work: Callable[[], Coroutine[Any, Any, Any]], name: str, *, is_shielded: bool = False
    ) -> None:
        self.token = trio.lowlevel.current_trio_token()
        self._scope = trio.CancelScope(shield=is_shielded)
        self._callbacks: list[Callable[[Any], object]] = []
        self._error: BaseException | None = None
        self._is_cancelled = False
        self.is_done = False
        self.task = trio.lowlevel.spawn_system_task(
            self._run, work, name=name, context=copy_context()
        )

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        """Call `callback` with this task when it has ended."""
        self._callbacks.append(callback)

    def remove_done_callback(self, callback: Callable[[Any], object], /) -> None:
        """Do not call `callback` any more."""
        with suppress(ValueError):
            self._callbacks.remove(callback)

    def cancel(self) -> None:
        """Cancel it. The collector may do so, in whatever thread and outside of every run."""
        with suppress(trio.RunFinishedError):
            self.token.run_sync_soon(self._scope.cancel)

    def cancelled(self) -> bool:
        """Tell whether it has ended by being cancelled."""
        return self._is_cancelled

    def exception(self) -> BaseException | None:
        """Return its exception."""
        return self._error

    async def _run(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        try:
            with self._scope:
                await work()
        except trio.Cancelled:  # the run ends
            self._is_cancelled = True
            raise
        except BaseException as error:  # noqa: BLE001  who waits for the task decides
            self._error = error
        finally:
            self._end()
            # The frames of the exception lead to this one, which leads to this task, and that back
            # to the exception: all they hold would stay until the collector runs.
            del self, work

    def _end(self) -> None:
        self._is_cancelled = self._is_cancelled or self._scope.cancelled_caught
        self.is_done = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)


class _KeptBySystemTask:
    """A load whose leases are kept, by a system task that sleeps until a renewal is due.

    A renewal that is under way when the load ends may arrive after what the load sends then. That
    is harmless: it compares the token, which is not there any more.
    """

    def __init__(self, keeping: Keeping, run: Callable[[Flow[Any]], Awaitable[Any]]) -> None:
        self._keeping = keeping
        self._run = run
        self._task = _TrioTask(self._renew, "dualcache-leases")

    def release(self) -> None:
        """Renew them no more."""
        self._task.cancel()

    async def _renew(self) -> None:
        pause_ms: float | None = self._keeping.every_ms
        while pause_ms is not None:
            await trio.sleep(pause_ms / 1000)
            pause_ms = await self._run(self._keeping.renew())


class _TrioLoop:
    """The run of trio in this thread: see `AsyncLoop`."""

    def waking(self, seconds: float) -> TrioWaking:
        return TrioWaking(seconds)

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    def event(self) -> trio.Event:
        return trio.Event()

    def start(self, work: Callable[[], Coroutine[Any, Any, Any]], name: str) -> _TrioTask:
        return _TrioTask(work, name)

    def clean_up(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> _TrioTask:
        # Cancelled scopes of trio cancel every wait: without the shield nothing would be sent.
        return _TrioTask(work, "dualcache-clean-up", is_shielded=True)

    def own(self, tasks: Sequence[Any]) -> list[_TrioTask]:
        token, here = trio.lowlevel.current_trio_token(), trio.lowlevel.current_task()
        return [
            each
            for each in tasks
            if isinstance(each, _TrioTask) and each.token is token and each.task is not here
        ]

    async def wait(self, tasks: Sequence[_TrioTask], seconds: float) -> list[_TrioTask]:
        left = {each for each in tasks if not each.is_done}
        changed = trio.Event()

        def ended(task: _TrioTask) -> None:
            left.discard(task)
            if not left:
                changed.set()

        for each in left:
            each.add_done_callback(ended)
        with trio.move_on_after(seconds):
            if left:
                await changed.wait()
        for each in left:
            each.remove_done_callback(ended)
        return list(left)

    async def stop(self, task: _TrioTask) -> None:
        task.cancel()
        with trio.CancelScope(shield=True):  # a cancelled scope would end this wait, too
            await self.wait([task], inf)

    async def result_of(self, future: Future[Any]) -> Any:
        token, done = trio.lowlevel.current_trio_token(), trio.Event()
        future.add_done_callback(partial(_set_soon, token, done))
        await done.wait()
        return future.result()

    def orphan_check(self) -> Callable[[], bool]:
        # A run never just stops, as a loop of asyncio may: it ends all its tasks first.
        return _never

    def keep(
        self, keeping: Keeping, run: Callable[[Flow[Any]], Awaitable[Any]]
    ) -> _KeptBySystemTask:
        return _KeptBySystemTask(keeping, run)

    def report(self, error: Exception, task: Any) -> None:
        # asyncio has a handler for such errors; trio would end the program.
        del task
        logging.getLogger("dualcache").error(
            "dualcache: a load in the background failed", exc_info=error
        )


def _set_soon(token: trio.lowlevel.TrioToken, event: trio.Event, _: object) -> None:
    with suppress(trio.RunFinishedError):
        token.run_sync_soon(event.set)


def _never() -> bool:
    return False


TRIO: Final = _TrioLoop()
