"""The sync colour's pool: a bounded LIFO of lanes, one op at a time on each.

A signal handler may raise after any call that Python makes. So a lane moves between the pool and
its user in one call into C each way: an interrupt finds it in one of the two, never between them.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import islice
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from dualcache.drivers.tracking import Lane
from dualcache.errors import BackendTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator


class SyncPool:
    """`size` lanes, the last used one first; a caller waits at most `seconds` for one.

    A caller gives lanes back by `free.extend(taken)`, and calls `wake` if somebody is `waiting`.
    """

    def __init__(self, size: int, seconds: float) -> None:
        self.lanes = tuple([Lane() for _ in range(size)])
        self._seconds = seconds
        self.free = list(self.lanes)
        # Iterating this pops, all of it in C; it raises IndexError where nothing is free.
        self._popping: Iterator[Lane] = iter(self.free.pop, None)
        # Each waiter has a queue of its own. threading.Condition takes its lock in Python code: an
        # interrupt there would leave it locked, and every later waiter would hang.
        self.waiting: deque[SimpleQueue[None]] = deque()

    def take(self, taken: list[Lane]) -> None:
        """Move a lane into `taken`; raise `BackendTimeout` where none comes free in time.

        The list is the caller's, who gives it back whatever happens. A lane that were returned
        instead would be lost to an interrupt between the pop and the caller's assignment.
        """
        if not self.take_free(taken):
            self._await_free(taken)

    def take_free(self, taken: list[Lane]) -> bool:
        """Move a lane into `taken` if one is free; tell whether there was one."""
        try:
            taken.extend(islice(self._popping, 1))
        except IndexError:
            return False
        return True

    def wake(self) -> None:
        """Tell the first waiter that a lane came free."""
        with suppress(IndexError):
            self.waiting.popleft().put(None)

    def _await_free(self, taken: list[Lane]) -> None:
        ends = monotonic() + self._seconds
        woken: SimpleQueue[None] = SimpleQueue()
        self.waiting.append(woken)
        try:
            while not self.take_free(taken):
                try:
                    woken.get(timeout=max(0.0, ends - monotonic()))
                except Empty:
                    raise no_lane() from None
                # Should a newcomer be faster, this waiter is still the first.
                self.waiting.appendleft(woken)
        finally:
            with suppress(ValueError):
                self.waiting.remove(woken)


def no_lane() -> BackendTimeout:
    """Return the error of a caller for whom no connection came free in time."""
    return BackendTimeout(
        "no connection came free in time",
        code="DC208",
        help="raise max_connections in the URL or the options",
    )
