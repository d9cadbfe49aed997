"""An invalidation after a body: when it has returned, or when what it returned has ended well."""

from __future__ import annotations

import sys
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from concurrent.futures import Future

    from dualcache.core.events import Invalidated
    from dualcache.core.ops import Flow
    from dualcache.runtime.backend import Backend

__all__ = ["ainvalidated_after", "invalidated_after"]


def invalidated_after(result: Any, flow: Flow[Invalidated], backend: Backend) -> Any:
    """Invalidate, and return the result of a body in this thread.

    A body that returned an awaitable, or the future of a thread pool, has not written yet: its
    caller gets another one of the same kind, which invalidates when the first has succeeded.
    """
    if isawaitable(result):
        return _postponed(result, flow, backend)
    if _is_of_a_pool(result):
        return _followed(result, flow, backend)
    backend.run(flow)
    return result


async def ainvalidated_after(result: Any, flow: Flow[Invalidated], backend: Backend) -> Any:
    """Invalidate, and return the result of a body in this task; see `invalidated_after`."""
    if isawaitable(result):
        return _postponed(result, flow, backend)
    if _is_of_a_pool(result):
        return _followed(result, flow, backend)
    await backend.arun(flow)
    return result


def _postponed(result: Awaitable[Any], flow: Flow[Invalidated], backend: Backend) -> Awaitable[Any]:
    """Return an awaitable that ends as `result` does, and invalidates before it does.

    A future of the running loop runs whether or not somebody awaits it, so its place is taken by a
    task. Everything else runs when it is awaited, and so does the coroutine that stands for it.
    """
    work = _awaited_first(result, flow, backend)
    # Imported here: a program without a loop has no awaitable either.
    import asyncio

    if asyncio.isfuture(result) and result.get_loop() is _running_loop():
        return asyncio.ensure_future(work)
    return work


async def _awaited_first(result: Awaitable[Any], flow: Flow[Invalidated], backend: Backend) -> Any:
    return await ainvalidated_after(await result, flow, backend)


def _running_loop() -> object:
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # a plain thread, as of a thread pool
        return None


def _is_of_a_pool(result: Any) -> bool:
    """Tell whether a result is a future of `concurrent.futures`; most programs have none."""
    module = sys.modules.get("concurrent.futures")
    return module is not None and isinstance(result, module.Future)


def _followed(result: Future[Any], flow: Flow[Invalidated], backend: Backend) -> Future[Any]:
    """Return a future that ends as `result` does, and invalidates before it does.

    A callback of `result` itself would come too late: whoever waits for it wakes first.
    """
    from concurrent.futures import Future

    class Follower(Future[Any]):
        def cancel(self) -> bool:
            return result.cancel()

        def running(self) -> bool:
            return result.running()

    follower = Follower()

    def end(ended: Future[Any]) -> None:
        if ended.cancelled():
            Future.cancel(follower)
            follower.set_running_or_notify_cancel()
            return
        try:
            follower.set_result(invalidated_after(ended.result(), flow, backend))
        except BaseException as error:  # noqa: BLE001  of the write, or of a strict cache: the caller's
            follower.set_exception(error)

    result.add_done_callback(end)
    return follower
