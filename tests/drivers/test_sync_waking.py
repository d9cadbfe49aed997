"""A thread that waits: woken, not woken, and disturbed by signals meanwhile."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from dualcache.backends.redis.sync_pool import SyncPool
from dualcache.core.ops import Ping
from dualcache.drivers.sync_waking import Waking
from dualcache.errors import BackendTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_SECONDS = 0.05
LATE_SECONDS = 10
"""When a wait is ended that has not ended by itself."""


@pytest.fixture
def handler_past_the_end() -> Iterator[None]:
    """Let a signal handler begin within a wait of `WAIT_SECONDS`, and end after it."""
    before = signal.signal(signal.SIGALRM, lambda *_: time.sleep(2 * WAIT_SECONDS))
    signal.setitimer(signal.ITIMER_REAL, WAIT_SECONDS / 2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_it_is_woken_before_or_while_it_waits() -> None:
    waking = Waking()
    waking.wake()
    waking.wake()
    assert waking.wait(0)
    assert not waking.wait(0)
    thread = threading.Thread(target=waking.wake)
    thread.start()
    assert waking.wait(LATE_SECONDS)
    thread.join()


@pytest.mark.usefixtures("handler_past_the_end")
def test_a_wait_ends_though_a_signal_handler_runs_past_its_end() -> None:
    waking = Waking()
    late = threading.Timer(LATE_SECONDS, waking.wake)
    late.start()
    try:
        assert not waking.wait(WAIT_SECONDS)
    finally:
        late.cancel()
        late.join()


@pytest.mark.usefixtures("handler_past_the_end")
def test_nobody_waits_longer_for_a_connection_either() -> None:
    pool = SyncPool(1, WAIT_SECONDS)
    taken = list(pool.free)
    pool.free.clear()

    def give_back() -> None:
        pool.free.extend(taken)
        pool.wake()

    late = threading.Timer(LATE_SECONDS, give_back)
    late.start()
    try:
        with pytest.raises(BackendTimeout):
            pool.take([], Ping())
    finally:
        late.cancel()
        late.join()
