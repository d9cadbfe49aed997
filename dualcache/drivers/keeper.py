"""Renewing the leases of loads that threads run: in a thread for all of them.

When a renewal is due, and what it sends, comes in with the load; here are the clock and the waking.
"""

from __future__ import annotations

from math import inf
from queue import Empty, SimpleQueue
from threading import Lock, Thread, current_thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from dualcache.drivers.threads import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.ops import Flow, Keeping

__all__ = ["ROUND_SECONDS", "Keeper", "KeptLoad"]

ROUND_SECONDS: Final = 0.5
"""How often the thread looks around: before any renewal is due, so that no load has to wake it."""
LINGER_ROUNDS: Final = 4
"""For how many rounds it waits for another load before it ends."""
STOP_SECONDS: Final = 1.0
"""How long anybody waits for a renewal that is under way: it is bounded by its own time-outs."""


class KeptLoad:
    """A load whose leases are kept, and when that is due; `lock` is held during a renewal."""

    __slots__ = ("due", "keeping", "lock")

    def __init__(self, keeping: Keeping) -> None:
        self.keeping = keeping
        self.due = monotonic() + keeping.every_ms / 1000
        self.lock = Lock()


class Keeper:
    """One daemon thread for all loads in threads of a cache; it ends when there are none.

    A load that ends before its first renewal costs no more than an entry in a set. A signal handler
    may raise anywhere in `keep` and `release`: the set and the queue change in one call into C, and
    the thread never waits for a lock that is held by a load.
    """

    def __init__(self, run: Callable[[Flow[Any]], Any]) -> None:
        self._run = run
        self.after_fork()

    def after_fork(self) -> None:
        """Begin anew in a forked child, where no thread of the parent runs."""
        self._lock = Lock()
        self._kept: set[KeptLoad] = set()
        self.forget = self._kept.discard  # the first half of `release`, in one call into C
        self._thread: Thread | None = None
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._wakes_at = inf
        self._rounds_left = 0
        self._is_stopping = False

    def keep(self, kept: KeptLoad) -> None:
        """Renew the leases of a load from now on; to be followed by a `release`, come what may."""
        self._kept.add(kept)
        self._rounds_left = LINGER_ROUNDS
        with self._lock:
            if self._thread is None:
                self._start()
        if kept.due < self._wakes_at:
            self._woken.put(None)

    def release(self, kept: KeptLoad) -> None:
        """Renew them no more. No renewal is under way then, which could undo their giving back."""
        self._kept.discard(kept)
        if kept.lock.acquire(blocking=False) or kept.lock.acquire(timeout=STOP_SECONDS):
            kept.lock.release()

    def stop(self) -> None:
        """End the thread; `resume`, or the next load, begins another."""
        with self._lock:
            thread = self._thread
            self._is_stopping = True
        if thread is not None and thread is not current_thread():
            self._woken.put(None)
            thread.join(STOP_SECONDS)

    def resume(self) -> None:
        """Go on with the loads that still run."""
        with self._lock:
            if self._kept and self._thread is None:
                self._start()

    def _start(self) -> None:
        self._is_stopping = False
        self._wakes_at = monotonic() + ROUND_SECONDS
        thread = self._thread = Thread(target=self._serve, name="dualcache-leases", daemon=True)
        try:
            start(thread)
        except BaseException:
            if not thread.is_alive():
                self._thread = None  # the next load begins another
            raise

    def _serve(self) -> None:
        while not self._has_ended():
            # A load that begins from now on wakes this thread only if its renewal is due before the
            # thread wakes by itself, which is by then at the latest. Were that left open here, each
            # of the many loads that begin meanwhile would wake it.
            now = monotonic()
            self._wakes_at = now + ROUND_SECONDS
            kept = tuple(self._kept)
            for each in kept:
                if each.due <= now:
                    self._renew(each)
            self._rounds_left -= 1
            self._wakes_at = min([now + ROUND_SECONDS, *(each.due for each in kept)])
            try:
                self._woken.get(timeout=max(0.0, self._wakes_at - monotonic()))
            except Empty:
                continue

    def _has_ended(self) -> bool:
        with self._lock:
            has_ended = self._is_stopping or not (self._kept or self._rounds_left > 0)
            if has_ended:
                self._thread = None
            return has_ended

    def _renew(self, kept: KeptLoad) -> None:
        if not kept.lock.acquire(blocking=False):
            return  # its load has ended
        pause_ms: float | None = None
        try:
            if kept in self._kept:
                pause_ms = self._run(kept.keeping.renew())
        finally:
            kept.due = inf if pause_ms is None else monotonic() + pause_ms / 1000
            kept.lock.release()
