"""The sync colour's pool: a bounded LIFO of connections, one op at a time on each.

A signal handler may raise after any call that Python makes. So a connection moves between the pool
and its user in one call into C each way: an interrupt finds it in one of the two, never in between.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from dualcache.backends.redis.push.tracking import TrackedConnection
from dualcache.core.ops import Batch, Delete, Publish
from dualcache.core.scans import Scan, Unlink
from dualcache.drivers.sync_waking import Waking
from dualcache.errors import BackendTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache.core.ops import Op


__all__ = ["SyncPool", "is_urgent", "no_connection"]

URGENT: Final = frozenset({Delete, Unlink, Scan, Publish})
"""Ops that go first: until an entry is deleted it is served stale."""


class _Waiter(Waking):
    """A caller that waits for a connection."""

    __slots__ = ("is_urgent",)

    def __init__(self, *, is_urgent: bool) -> None:
        super().__init__()
        self.is_urgent = is_urgent


class SyncPool:
    """`size` connections, the last used one first; a caller waits at most `seconds` for one.

    Callers are served in their order, deletions before all others; nobody overtakes who waits. A
    caller gives them back by `free.extend(taken)`, and calls `wake` if somebody is `waiting`.
    """

    def __init__(self, size: int, seconds: float) -> None:
        self.connections = tuple([TrackedConnection() for _ in range(size)])
        self._seconds = seconds
        self.free = list(self.connections)
        # Iterating this pops, all of it in C; it raises IndexError where nothing is free.
        self._popping: Iterator[TrackedConnection] = iter(self.free.pop, None)
        # Each waiter has a lock of its own. threading.Condition takes its lock in Python code: an
        # interrupt there would leave it locked, and every later waiter would hang.
        self.waiting: deque[_Waiter] = deque()

    def take(self, taken: list[TrackedConnection], op: Op[Any]) -> None:
        """Move a connection into `taken`; raise `BackendTimeout` where none comes free in time.

        The list belongs to the caller, who gives it back whatever happens. A connection returned as
        a result would be lost to an interrupt between the pop and the caller's assignment.
        """
        # A busy thread would take again what it has just given back, before a waiter is awake: of
        # 40 threads on 20 connections some would get none for as long as they wait.
        if self.waiting or not self.take_free(taken):
            self._await_free(taken, is_urgent=is_urgent(op))

    def take_free(self, taken: list[TrackedConnection]) -> bool:
        """Move a connection into `taken` if one is free; tell whether there was one."""
        try:
            taken.extend(islice(self._popping, 1))
        except IndexError:
            return False
        return True

    def wake(self) -> None:
        """Tell the first waiter that one came free; it stays the first until it has one."""
        with suppress(IndexError):
            self.waiting[0].wake()

    def _await_free(self, taken: list[TrackedConnection], *, is_urgent: bool) -> None:
        ends = monotonic() + self._seconds
        waiter = _Waiter(is_urgent=is_urgent)
        try:
            self._queue(waiter)
            while self.waiting[0] is not waiter or not self.take_free(taken):
                if not waiter.wait(max(0.0, ends - monotonic())):
                    raise no_connection()
        finally:
            # Nothing is called before: a waiter that an interrupt left here would stop all others.
            try:  # noqa: SIM105  suppress() would be called before
                self.waiting.remove(waiter)
            except ValueError:
                pass
            if self.waiting and self.free:  # it came free while this waiter was the first
                self.wake()

    def _queue(self, waiter: _Waiter) -> None:
        if waiter.is_urgent:
            urgent = [each for each in tuple(self.waiting) if each.is_urgent]
            self.waiting.insert(len(urgent), waiter)
        else:
            self.waiting.append(waiter)


def is_urgent(op: Op[Any]) -> bool:
    """Whether an op deletes, or publishes a deletion."""
    ops = op.ops if isinstance(op, Batch) else (op,)
    return all(type(each) in URGENT for each in ops)


def no_connection() -> BackendTimeout:
    """Return the error of a caller that got no connection in time.

    It tells nothing of the server.
    """
    made = BackendTimeout(
        "no connection was free in time",
        code="DC208",
        help="raise max_connections in the URL or the options",
    )
    made.is_outage = False
    return made
