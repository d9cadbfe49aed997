"""Backend ops under trio: performed by the sync connections, in worker threads.

redis-py has no client for trio. Only what speaks to the server runs in a thread: loads and waits
stay in the caller's task, so a thousand tasks that wait for one load need no thread.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

import trio

from dualcache.backends.redis.sync_pool import is_urgent, no_connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from outcome import Outcome

    from dualcache.core.ops import Op

__all__ = ["TrioThreads"]

SETTLE_SECONDS: Final = 0.25
"""How long a cancelled caller waits for its op."""


class TrioThreads:
    """Performs ops in threads, at most `size` at a time in each run of trio.

    A caller waits for a thread for at most `seconds`. The limit is the number of connections: a
    thread more would only wait for one. It is apart from trio's own, which the program may use up.
    Deletions have as many threads to themselves, and the connections go to them first: until an
    entry is deleted it is served stale.
    """

    def __init__(self, perform: Callable[[Op[Any]], Any], size: int, seconds: float) -> None:
        self._perform = perform
        self._size = size
        self._seconds = seconds
        self._limiters: trio.lowlevel.RunVar[tuple[trio.CapacityLimiter, trio.CapacityLimiter]]
        self._limiters = trio.lowlevel.RunVar("dualcache")

    async def perform(self, op: Op[Any]) -> Any:
        """Perform one backend op; raise `BackendError`."""
        job = _Job(self._limiter_for(op))
        try:
            job.limiter.acquire_on_behalf_of_nowait(job)
        except trio.WouldBlock:
            await self._await_turn(job)
        context = copy_context()
        job.begin(lambda: context.run(self._perform, op))
        try:
            await job.ended.wait()
        except trio.Cancelled:
            # What the flow gives back next must not overtake this op on another connection: a lease
            # would be taken after it was given back, and held until it ends by itself.
            with trio.move_on_after(SETTLE_SECONDS, shield=True):
                await job.ended.wait()
            raise
        return job.reply()

    async def _await_turn(self, job: _Job) -> None:
        with trio.move_on_after(self._seconds) as waiting:
            await job.limiter.acquire_on_behalf_of(job)
        if waiting.cancelled_caught:
            raise no_connection()

    def _limiter_for(self, op: Op[Any]) -> trio.CapacityLimiter:
        try:
            limiters = self._limiters.get()
        except LookupError:
            limiters = trio.CapacityLimiter(self._size), trio.CapacityLimiter(self._size)
            self._limiters.set(limiters)
        return limiters[is_urgent(op)]


class _Job:
    """One op in a thread. It ends there even if nobody waits for it any more."""

    def __init__(self, limiter: trio.CapacityLimiter) -> None:
        self.limiter = limiter
        self.ended = trio.Event()
        self._outcome: Outcome[Any] | None = None
        self._token = trio.lowlevel.current_trio_token()

    def begin(self, work: Callable[[], Any]) -> None:
        """Run `work` in a thread; the limiter counts this job until that has ended."""
        try:
            trio.lowlevel.start_thread_soon(work, self._deliver, "dualcache-trio")
        except BaseException:
            self.limiter.release_on_behalf_of(self)
            raise

    def reply(self) -> Any:
        """Return the reply, or raise what the op raised."""
        outcome, self._outcome = self._outcome, None
        assert outcome is not None
        try:
            return outcome.unwrap()
        finally:
            del outcome  # it holds the error, whose traceback holds this frame

    def _deliver(self, outcome: Outcome[Any]) -> None:
        self._outcome = outcome
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._end)

    def _end(self) -> None:
        self.limiter.release_on_behalf_of(self)
        self.ended.set()
