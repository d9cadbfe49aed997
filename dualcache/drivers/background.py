"""Flows that run in the background: which are under way, at most one for each key.

One table per backend, for both colours. What runs a flow is the driver's; here is what admits it,
and what a close waits for.
"""

from __future__ import annotations

from contextvars import copy_context
from threading import Lock, Thread, current_thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from dualcache.core.background import SpawnReply
from dualcache.drivers.flights import led
from dualcache.drivers.threads import start

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CLOSE_SECONDS", "MOST_LOADS", "Background"]

MOST_THREADS: Final = 8
"""How many flows that nobody waits for run in threads at a time, for each backend."""
MOST_LOADS: Final = 64
"""How many loads with a time-out do: callers wait for most of them."""
CLOSE_SECONDS: Final = 5.0
"""How long a close waits for what runs in the background."""


class _Run:
    """One flow under way, in a thread or as a task; `is_orphaned`: its loop does not run.

    `is_awaited`: a caller waits for it, so it is one of its own, whatever its key.
    """

    __slots__ = ("is_awaited", "is_orphaned", "keys", "task", "thread")

    def __init__(self, keys: tuple[str, ...], *, is_awaited: bool) -> None:
        self.keys: tuple[object, ...] = (self,) if is_awaited else keys
        self.is_awaited = is_awaited
        self.thread: Thread | None = None
        self.task: Any = None
        self.is_orphaned: Callable[[], bool] = _never


class Background:
    """The flows in the background of one backend; each thread ends with its flow.

    A thread for each, and no pool that waits for more: a load takes far longer than a thread to
    begin, thread-local sessions end with it, and nothing has to be stopped.
    """

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        """Begin anew in a forked child, where nothing of the parent runs."""
        self._lock = Lock()
        self._runs: dict[object, _Run] = {}
        self._threads: set[_Run] = set()
        self._waiting: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._all())

    def start_thread(
        self, keys: tuple[str, ...], work: Callable[[], Any], *, is_awaited: bool = False
    ) -> SpawnReply:
        """Run `work` in a thread, in a copy of this context, unless too many do."""
        run = _Run(keys, is_awaited=is_awaited)
        try:
            reply = self._admit(run, in_thread=True)
            if reply is SpawnReply.STARTED:
                inside = copy_context().run
                run.thread = Thread(
                    target=inside, args=(self._work, run, work), name="dualcache-load", daemon=True
                )
                start(run.thread)
        except RuntimeError:  # no more threads, or the interpreter is ending
            self.leave(run)
            return SpawnReply.FULL
        except BaseException:  # a signal handler may raise anywhere here
            self.leave(run)
            raise
        return reply

    def start_task(
        self,
        keys: tuple[str, ...],
        make_task: Callable[[], Any],
        is_orphaned: Callable[[], bool],
        *,
        is_awaited: bool = False,
    ) -> SpawnReply:
        """Run what `make_task` begins, in this loop."""
        run = _Run(keys, is_awaited=is_awaited)
        run.is_orphaned = is_orphaned
        reply = self._admit(run)
        if reply is SpawnReply.STARTED:
            # Held here: a loop holds its tasks weakly, and nobody else waits for this one.
            run.task = make_task()
            run.task.add_done_callback(lambda _: self.leave(run))
        return reply

    def leave(self, run: _Run) -> None:
        """Note that a flow has ended."""
        with self._lock:
            for key in run.keys:
                if self._runs.get(key) is run:
                    del self._runs[key]
            self._threads.discard(run)
            waiting = [] if self._threads else self._waiting
            self._waiting = self._waiting if self._threads else []
        for wake in waiting:
            wake()

    def tasks(self) -> list[Any]:
        """Return the tasks that are under way, in whatever loop."""
        return [run.task for run in self._all() if run.task is not None]

    def when_threads_end(self, wake: Callable[[], None]) -> bool:
        """Have `wake` called when no flow runs in a thread; tell whether one does by now."""
        with self._lock:
            if self._threads:
                self._waiting.append(wake)
            return bool(self._threads)

    def close(self) -> None:
        """Wait for the threads, but not for long; what still runs then goes on by itself."""
        ends = monotonic() + CLOSE_SECONDS
        for run in list(self._threads):
            thread = run.thread
            if thread is not None and thread is not current_thread() and thread.ident is not None:
                thread.join(max(0.0, ends - monotonic()))

    def _admit(self, run: _Run, *, in_thread: bool = False) -> SpawnReply:
        with self._lock:
            free = [key for key in run.keys if self._is_free(key)]
            if not free:
                return SpawnReply.RUNNING
            most = MOST_LOADS if run.is_awaited else MOST_THREADS
            if in_thread and self._count_alike(run) >= most:
                return SpawnReply.FULL
            self._runs.update(dict.fromkeys(free, run))
            if in_thread:
                self._threads.add(run)
            return SpawnReply.STARTED

    def _is_free(self, key: object) -> bool:
        before = self._runs.get(key)
        return before is None or before.is_orphaned()

    def _all(self) -> list[_Run]:
        """Return the flows that are under way, each once: one may be for several keys."""
        return list(dict.fromkeys(list(self._runs.values())))

    def _count_alike(self, run: _Run) -> int:
        return sum(each.is_awaited is run.is_awaited for each in self._threads)

    def _work(self, run: _Run, work: Callable[[], Any]) -> None:
        if not run.is_awaited:
            # What the caller leads does not wait for this: nothing here waits for itself.
            led.set(())
        try:
            work()
        finally:
            self.leave(run)


def _never() -> bool:
    """Answer for a thread: that always goes on."""
    return False
