"""Doing the same for many items, a few of them at a time: in threads, or in tasks."""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

__all__ = ["in_tasks", "in_threads"]

T = TypeVar("T")


def in_threads(
    act: Callable[[T], Any], items: Sequence[T], at_once: int
) -> Iterator[tuple[T, Exception | None]]:
    """Act on each item; yield the items as they are done, each with the exception it raised.

    Each runs with a copy of the caller's context. Where the caller stops, so does what has not
    begun, and what runs is waited for. An interrupt in a thread is raised here.
    """
    if not items:
        return
    from concurrent.futures import ThreadPoolExecutor, as_completed

    with ThreadPoolExecutor(min(at_once, len(items)), "dualcache-warm") as pool:
        running = {pool.submit(copy_context().run, act, item): item for item in items}
        try:
            for future in as_completed(running):
                error = future.exception()
                if error is not None and not isinstance(error, Exception):
                    raise error
                yield running[future], error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


async def in_tasks(
    act: Callable[[T], Coroutine[Any, Any, Any]],
    items: Sequence[T],
    at_once: int,
    done: Callable[[T, Exception | None], None],
) -> None:
    """Act on each item; call `done` with each as it ends, and with the exception it raised.

    Where the caller is cancelled, or `done` raises, all tasks are cancelled and waited for.
    """
    from anyio import create_task_group, get_cancelled_exc_class

    waiting = iter(items)
    raised: list[BaseException] = []

    async def work() -> None:
        for item in waiting:
            try:
                done(item, await _failure(act, item))
            except get_cancelled_exc_class():
                raise
            except BaseException as error:  # noqa: BLE001  raised to the caller, and not in a group
                raised.append(error)
                group.cancel_scope.cancel()
                return

    async with create_task_group() as group:
        for _ in range(min(at_once, len(items))):
            group.start_soon(work)
    if raised:
        raise raised.pop(0)


async def _failure(act: Callable[[T], Coroutine[Any, Any, Any]], item: T) -> Exception | None:
    """Act on an item; return the exception that it raised."""
    try:
        await act(item)
    except Exception as error:  # noqa: BLE001  it is the caller's to tell
        return error
    return None
