"""How long a waiter for another process's load pauses between its looks."""

from __future__ import annotations

import random

import pytest

from dualcache.drivers import pauses
from dualcache.drivers.pauses import LEAST_PAUSE_MS, MOST_PAUSE_MS, PAUSED_SHARE, poll_pause


def looks(load_ms: float) -> tuple[int, float]:
    """Return how often a waiter looks at a load of this length, and how late it is."""
    waited_ms, count = 0.0, 0
    while waited_ms < load_ms:
        waited_ms += 1000 * poll_pause(waited_ms, 30_000)
        count += 1
    return count, waited_ms - load_ms


@pytest.mark.parametrize(
    ("load_ms", "most_looks"), [(1, 1), (5, 4), (20, 14), (50, 24), (200, 41), (2_000, 165)]
)
def test_a_waiter_is_late_by_a_share_of_the_load_and_looks_seldom(
    monkeypatch: pytest.MonkeyPatch, load_ms: float, most_looks: int
) -> None:
    monkeypatch.setattr(pauses, "random", random.Random(load_ms).random)
    found = [looks(load_ms) for _ in range(300)]
    latest_ms = min(max(LEAST_PAUSE_MS, PAUSED_SHARE * load_ms), MOST_PAUSE_MS)
    # The last pause begins before the end, so its share is of less than the load.
    assert max(late_ms for _, late_ms in found) <= latest_ms
    assert sum(count for count, _ in found) / len(found) <= most_looks


def test_waiters_do_not_march_in_step() -> None:
    assert len({poll_pause(20, 1_000) for _ in range(50)}) > 40
    assert all(0.00125 <= poll_pause(20, 1_000) <= 0.0025 for _ in range(50))


def test_no_pause_outlasts_the_wait() -> None:
    assert poll_pause(2_000, 0.5) == 0.0005
