"""Flows in the background as tasks: how one begins, and how a close waits for them."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from dualcache.drivers.async_loop import running_loop
from dualcache.drivers.background import CLOSE_SECONDS
from dualcache.drivers.flights import led

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dualcache.core.background import Spawn, SpawnReply
    from dualcache.core.ops import Flow
    from dualcache.drivers.async_loop import Task
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
    loop = running_loop()
    joins = [] if op.join is None else [flights.hand_over(op.join)]

    async def run_beside() -> None:
        if not op.is_awaited and not joins:
            # What the caller leads does not wait for this: nothing here waits for itself.
            led.set(())
        await run(op.flow)

    def ended(task: Task) -> None:
        # One that is cancelled before it begins leaves its flight to those who wait for it.
        flights.abandon(joins)
        error = None if task.cancelled() else task.exception()
        # asyncio lets KeyboardInterrupt and SystemExit out of the loop at once, and would tell of
        # them once more when the task is collected.
        if isinstance(error, Exception):
            loop.report(error, task)

    def begin() -> Task:
        task = loop.start(run_beside, "dualcache-load")
        task.add_done_callback(ended)
        return task

    is_awaited = op.is_awaited or bool(joins)
    keys = (op.key, *op.others)
    return background.start_task(keys, begin, loop.orphan_check(), is_awaited=is_awaited)


async def wait_for_background(background: Background) -> None:
    """Wait for the tasks of this loop and for all threads, but not for long; cancel the tasks left.

    Not by joining the threads: the loop has to run, as what they load may need it.
    """
    ends = monotonic() + CLOSE_SECONDS
    loop = running_loop()
    tasks = loop.own(background.tasks())
    if tasks:
        left = await loop.wait(tasks, CLOSE_SECONDS)
        for task in left:
            task.cancel()
        if left:  # each gives back what it holds
            await loop.wait(left, CANCEL_SECONDS)
    with loop.waking(max(0.0, ends - monotonic())) as waking:
        if background.when_threads_end(waking.wake):
            await waking.woken
