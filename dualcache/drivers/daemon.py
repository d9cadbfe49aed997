"""Awaiting a blocking function: it runs in a daemon thread of its own.

Not in the loop's executor: `asyncio.run` waits for those threads when it ends, and what is run here
may hang.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_daemon"]

T = TypeVar("T")


async def in_daemon(function: Callable[[], T], *, discard: Callable[[T], object]) -> T:
    """Run `function` in a thread; `discard` gets a result that nobody waits for any more."""
    loop = asyncio.get_running_loop()
    replied: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if error is not None:
            if not replied.done():
                replied.set_exception(error)
        elif replied.done():
            discard(result)  # type: ignore[arg-type]  # without an error there is a result
        else:
            replied.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as raised:  # noqa: BLE001  it is raised where it is awaited
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop has ended meanwhile
            if error is None:
                with suppress(Exception):
                    discard(result)  # type: ignore[arg-type]

    Thread(target=run, name="dualcache-connect", daemon=True).start()
    try:
        return await replied
    except BaseException:
        # Cancelled in the very turn of the loop in which the result came.
        if has_result(replied):
            discard(replied.result())
        raise


def has_result(future: asyncio.Future[T]) -> bool:
    """Tell whether a future has ended well."""
    return future.done() and not future.cancelled() and future.exception() is None
