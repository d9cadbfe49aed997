"""The async colour of `tests/colours.py` under trio: `pytest --on-trio`."""

from __future__ import annotations

import contextvars
import inspect
import logging
import threading
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from tests.bodies import WAIT_SECONDS
from tests.colours import Colour, Handle, results_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from tests.colours import Thunk


class TrioColour(Colour):
    """A run of trio in a thread of its own; each call is a task of one nursery."""

    name = "async"
    is_async = True

    def __init__(self) -> None:
        super().__init__()
        self._begun: Future[tuple[trio.lowlevel.TrioToken, trio.Nursery]] = Future()
        self._troubles = _Troubles()
        logging.getLogger("dualcache").addHandler(self._troubles)
        self._thread = threading.Thread(target=trio.run, args=[self._serve], name="trio")
        self._thread.daemon = True
        self._thread.start()
        self._token, self._nursery = self._begun.result(WAIT_SECONDS)

    def face(self, cache: Cache) -> Any:
        return cache.aio

    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return self.start(lambda: function(*args, **kwargs)).result()

    def start(self, thunk: Thunk) -> Handle:
        return Handle(self.submit(thunk), is_async=True)

    def submit(self, thunk: Thunk) -> Future[Any]:
        call = _Call(thunk, self._token)
        begin = partial(self._nursery.start_soon, call.run, name="caller")
        self._token.run_sync_soon(contextvars.copy_context().run, begin)
        return call

    def gather(self, *thunks: Thunk, return_exceptions: bool = False) -> list[Any]:
        calls = [_Call(thunk, self._token) for thunk in thunks]

        async def together() -> None:
            async with trio.open_nursery() as nursery:
                for call in calls:
                    nursery.start_soon(call.run)
                    await trio.lowlevel.checkpoint()  # trio shuffles tasks that begin together

        self.start(together).result()
        results = [call.exception() or call.result() for call in calls]
        return results_of(results, return_exceptions=return_exceptions)

    def ask_client(self, cache: Cache, method: str, /, *args: Any) -> Any:
        return getattr(cache.client, method)(*args)  # the async one needs asyncio

    def close(self, *, grace: float = WAIT_SECONDS / 2) -> None:
        for gate in self._gates:
            gate.open()
        try:
            left = self.start(partial(self._close_caches, grace)).result()
        finally:
            self._token.run_sync_soon(self._nursery.cancel_scope.cancel)
            self._thread.join(WAIT_SECONDS)
            logging.getLogger("dualcache").removeHandler(self._troubles)
        assert not left, f"tasks outlive the cache: {left}"
        assert not self._troubles.records, self._troubles.records
        self._fail_on_threads(grace)

    async def _serve(self) -> None:
        async with trio.open_nursery() as nursery:
            self._begun.set_result((trio.lowlevel.current_trio_token(), nursery))
            await trio.sleep_forever()

    async def _close_caches(self, grace: float) -> list[str]:
        for cache in self._caches:
            await cache.aio.aclose()
        with trio.move_on_after(grace):
            while _tasks_left(self._nursery):  # noqa: ASYNC110  no event tells
                await trio.sleep(0.001)
        return _tasks_left(self._nursery)


class _Call(Future[Any]):
    """One call as a task; to cancel it cancels its scope."""

    def __init__(self, thunk: Thunk, token: trio.lowlevel.TrioToken) -> None:
        super().__init__()
        self._thunk = thunk
        self._token = token
        self._scope = trio.CancelScope()

    def cancel(self) -> bool:
        self._token.run_sync_soon(self._scope.cancel)
        return super().cancel()

    async def run(self) -> None:
        with self._scope:
            try:
                result = self._thunk()
                result = await result if inspect.isawaitable(result) else result
            except trio.Cancelled:
                super().cancel()
                raise
            except BaseException as error:  # noqa: BLE001  handed to whoever asks for the result
                if not self.cancelled():
                    self.set_exception(error)
            else:
                if not self.cancelled():
                    self.set_result(result)


class _Troubles(logging.Handler):
    """Errors that asyncio would give to its handler of exceptions."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.records.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


def _tasks_left(nursery: trio.Nursery) -> list[str]:
    """Return the names of the calls and of the cache's system tasks that still run."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    system = [task for each in root.child_nurseries for task in each.child_tasks]
    beneath = [
        task for task in system for each in task.child_nurseries for task in each.child_tasks
    ]
    here = trio.lowlevel.current_task()
    ours = [task for task in {*system, *beneath} if task.name.startswith("dualcache")]
    return [task.name for task in {*ours, *nursery.child_tasks} if task is not here]
