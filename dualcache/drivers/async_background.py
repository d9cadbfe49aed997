"""Flows in the background as tasks: how one begins, and how a close waits for them."""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from dualcache.drivers.async_waking import Waking, has_stopped
from dualcache.drivers.background import CLOSE_SECONDS
from dualcache.drivers.flights import led

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dualcache.core.background import Spawn, SpawnReply
    from dualcache.core.ops import Flow
    from dualcache.drivers.background import Background
    from dualcache.drivers.flights import FlightTable

__all__ = ["start_beside", "wait_for_background"]

CANCEL_SECONDS: Final = 0.5
"""How long a close waits for a task that it has cancelled."""


def start_beside(
    op: Spawn,
    background: Background,
    flights: FlightTable,
    run: Callable[[Flow[Any]], Awaitable[Any]],
) -> SpawnReply:
    """Run a flow in a task of this loop, in a copy of this context."""
    loop = asyncio.get_running_loop()
    joins = [] if op.join is None else [flights.hand_over(op.join)]

    async def run_beside() -> None:
        if not op.is_awaited and not joins:
            # What the caller leads does not wait for this: nothing here waits for itself.
            led.set(())
        await run(op.flow)

    def ended(task: asyncio.Task[None]) -> None:
        # One that is cancelled before it begins leaves its flight to those who wait for it.
        flights.abandon(joins)
        error = None if task.cancelled() else task.exception()
        # asyncio lets KeyboardInterrupt and SystemExit out of the loop at once, and would tell of
        # them once more when the task is collected.
        if isinstance(error, Exception):
            told = {"message": "a load in the background failed", "exception": error, "task": task}
            loop.call_exception_handler(told)

    def begin() -> asyncio.Task[None]:
        task = loop.create_task(run_beside(), name="dualcache-load")
        task.add_done_callback(ended)
        return task

    is_awaited = op.is_awaited or bool(joins)
    is_orphaned = partial(has_stopped, ref(loop))
    keys = (op.key, *op.others)
    return background.start_task(keys, begin, is_orphaned, is_awaited=is_awaited)


async def wait_for_background(background: Background) -> None:
    """Wait for the tasks of this loop and for all threads, but not for long; cancel the tasks left.

    Not by joining the threads: the loop has to run, as what they load may need it.
    """
    ends = monotonic() + CLOSE_SECONDS
    loop, here = asyncio.get_running_loop(), asyncio.current_task()
    tasks = [each for each in background.tasks() if each.get_loop() is loop and each is not here]
    if tasks:
        _, left = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        for task in left:
            task.cancel()
        if left:  # each gives back what it holds
            await asyncio.wait(left, timeout=CANCEL_SECONDS)
    with Waking(max(0.0, ends - monotonic())) as waking:
        if background.when_threads_end(waking.wake):
            await waking.woken
