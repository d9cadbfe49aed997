"""Renewing the leases of a load that a task runs: in another task of the same loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dualcache.core.ops import Flow, Keeping


__all__ = ["KeptByTask"]


class KeptByTask:
    """A load whose leases are kept; each renewal is a task, begun when it is due.

    It speaks over the connection of its loop, so that what the load sends afterwards, to commit or
    to give the lease back, arrives after a renewal that is under way.
    """

    def __init__(self, keeping: Keeping, run: Callable[[Flow[Any]], Awaitable[Any]]) -> None:
        self._keeping = keeping
        self._run = run
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(keeping.every_ms / 1000, self._begin)

    def release(self) -> None:
        """Renew them no more."""
        # The task first: cancelled before it ran on, it sets no further timer.
        if self._task is not None:
            self._task.cancel()
        self._timer.cancel()

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._renew())

    async def _renew(self) -> None:
        pause_ms = await self._run(self._keeping.renew())
        if pause_ms is not None:
            self._timer = self._loop.call_later(pause_ms / 1000, self._begin)
