"""How a task of asyncio waits for something that a thread or another task brings about."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self
    from weakref import ref

__all__ = ["Waking", "has_stopped"]


class Waking:
    """A wait of one task for at most so many seconds; any thread may end it by `wake`.

    `woken` gives True when woken, False when the time is over.
    """

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.woken: asyncio.Future[bool] = self._loop.create_future()
        self._timer = self._loop.call_later(seconds, self._end, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def wake(self) -> None:
        """End the wait; a loop that is closed has nobody to wake."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end, True)

    def _end(self, is_woken: bool) -> None:
        if not self.woken.done():
            self.woken.set_result(is_woken)


def has_stopped(loop: ref[asyncio.AbstractEventLoop]) -> bool:
    """Tell whether a loop is gone, closed or stopped; what it ran may go on one day, or never."""
    running = loop()
    return running is None or not running.is_running()
