"""What the async driver needs of a loop of asyncio."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from dualcache.drivers.async_waking import Waking, has_stopped
from dualcache.drivers.task_keeper import KeptByTask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from concurrent.futures import Future

    from dualcache.core.ops import Flow, Keeping

__all__ = ["ASYNCIO"]


class _AsyncioLoop:
    """The running loop of asyncio, whichever it is: see `AsyncLoop`."""

    def waking(self, seconds: float) -> Waking:
        return Waking(seconds)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def event(self) -> asyncio.Event:
        return asyncio.Event()

    def start(
        self, work: Callable[[], Coroutine[Any, Any, Any]], name: str = "dualcache-load"
    ) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work(), name=name)

    def clean_up(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        # What it waits for holds the task: the link its replies, the loop its timers.
        return self.start(work, "dualcache-clean-up")

    def own(self, tasks: Sequence[Any]) -> list[Any]:
        loop, here = asyncio.get_running_loop(), asyncio.current_task()
        return [
            each
            for each in tasks
            if isinstance(each, asyncio.Task) and each.get_loop() is loop and each is not here
        ]

    async def wait(self, tasks: Sequence[Any], seconds: float) -> list[Any]:
        return list((await asyncio.wait(tasks, timeout=seconds))[1])

    async def stop(self, task: asyncio.Task[Any]) -> None:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen: asyncio reports those that nobody has looked at

    async def result_of(self, future: Future[Any]) -> Any:
        return await asyncio.wrap_future(future)

    def orphan_check(self) -> Callable[[], bool]:
        return partial(has_stopped, ref(asyncio.get_running_loop()))

    def keep(self, keeping: Keeping, run: Callable[[Flow[Any]], Awaitable[Any]]) -> KeptByTask:
        return KeptByTask(keeping, run)

    def report(self, error: Exception, task: Any) -> None:
        told = {"message": "a load in the background failed", "exception": error, "task": task}
        asyncio.get_running_loop().call_exception_handler(told)


ASYNCIO: Final = _AsyncioLoop()
