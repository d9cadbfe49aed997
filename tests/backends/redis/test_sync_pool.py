"""The sync colour's pool: who waits for a connection, and in which order they are served."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.redis.sync_pool import SyncPool, is_urgent
from dualcache.core.ops import Batch, Delete, Look, Ping, Publish
from dualcache.core.scans import Scan, Unlink
from dualcache.errors import BackendTimeout

if TYPE_CHECKING:
    from dualcache.backends.redis.push.tracking import TrackedConnection

READ, DELETE = Look("k"), Delete(("k",))
WAIT_SECONDS = 20.0


class Callers:
    """Callers that wait, and those that were served, in their order."""

    def __init__(self, pool: SyncPool) -> None:
        self.pool = pool
        self.served: list[str] = []
        self.holding: dict[str, list[TrackedConnection]] = {}
        self._threads: list[threading.Thread] = []
        self._has_one = threading.Condition()

    def wait(self, name: str, op: Any) -> None:
        """Have a caller wait; return once it does."""
        before = len(self.pool.waiting)
        self._threads.append(threading.Thread(target=self._take, args=[name, op]))
        self._threads[-1].start()
        while len(self.pool.waiting) == before:
            assert self._threads[-1].is_alive()

    def until(self, count: int) -> None:
        with self._has_one:
            assert self._has_one.wait_for(lambda: len(self.served) >= count, WAIT_SECONDS)

    def give(self, name: str) -> None:
        give(self.pool, self.holding.pop(name))

    def join(self) -> None:
        for thread in self._threads:
            thread.join(WAIT_SECONDS)
            assert not thread.is_alive()

    def _take(self, name: str, op: Any) -> None:
        taken: list[TrackedConnection] = []
        self.pool.take(taken, op)
        with self._has_one:
            self.holding[name] = taken
            self.served.append(name)
            self._has_one.notify_all()


def give(pool: SyncPool, taken: list[TrackedConnection]) -> None:
    pool.free.extend(taken)
    if pool.waiting:
        pool.wake()


def test_waiters_are_served_in_their_order_and_deletions_before_all() -> None:
    pool = SyncPool(1, WAIT_SECONDS)
    first: list[TrackedConnection] = []
    pool.take(first, READ)
    callers = Callers(pool)
    for name, op in (("a", READ), ("b", READ), ("x", DELETE), ("c", READ), ("y", DELETE)):
        callers.wait(name, op)
    give(pool, first)
    for count, name in enumerate("xyabc", 1):
        callers.until(count)
        assert callers.served[-1] == name
        callers.give(name)
    callers.join()
    assert (len(pool.free), len(pool.waiting)) == (1, 0)


def test_a_newcomer_does_not_overtake_who_waits() -> None:
    pool = SyncPool(2, WAIT_SECONDS)
    held: list[TrackedConnection] = []
    pool.take(held, READ)
    pool.take(held, READ)
    callers = Callers(pool)
    callers.wait("early", READ)
    pool.free.extend(held)  # nobody was woken yet
    callers.wait("newcomer", READ)
    pool.wake()
    callers.until(2)
    assert callers.served == ["early", "newcomer"]
    callers.join()


def test_who_gets_none_in_time_is_told_so_and_the_server_is_not_blamed() -> None:
    pool = SyncPool(1, 0.01)
    pool.take([], READ)
    with pytest.raises(BackendTimeout) as caught:
        pool.take([], READ)
    assert (caught.value.code, caught.value.is_outage) == ("DC208", False)
    assert not pool.waiting


@pytest.mark.parametrize(
    ("op", "first"),
    [
        (DELETE, True),
        (Unlink((b"k",)), True),
        (Scan(0, "*", 10), True),
        (Batch((DELETE, Publish(None))), True),  # type: ignore[arg-type]
        (READ, False),
        (Batch((READ, READ)), False),
        (Ping(), False),
    ],
)
def test_deletions_are_urgent(op: Any, first: bool) -> None:
    assert is_urgent(op) is first
