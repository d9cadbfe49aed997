"""How long the oldest command of a shared connection may wait."""

from __future__ import annotations

from typing import Any

import pytest

from dualcache.backends.redis.watchdog import GRACE_SECONDS, Verdict, Watchdog
from dualcache.errors import BackendTimeout

PATIENCE, LONGEST = 1.0, 4.0
AT_ONCE: dict[str, Any] = {
    "answered": 0, "began": 0.0, "extra": 0.0, "heard_at": 0.0, "heard": 0, "unwritten": 0,
}  # fmt: skip


def look(watchdog: Watchdog, now: float, **seen: Any) -> Verdict:
    return watchdog.look(now=now, **(AT_ONCE | seen))


def test_silence_ends_it_after_a_moment_of_grace() -> None:
    watchdog = Watchdog(PATIENCE, LONGEST)
    assert look(watchdog, 0.5).next_look == 1.0
    assert look(watchdog, 1.0).next_look == 1.0 + GRACE_SECONDS
    verdict = look(watchdog, 1.0 + GRACE_SECONDS)
    assert isinstance(verdict.error, BackendTimeout)
    assert (verdict.error.code, verdict.is_own, verdict.error.is_outage) == ("DC201", False, True)


def test_a_busy_loop_is_not_taken_for_silence() -> None:
    watchdog = Watchdog(PATIENCE, LONGEST)
    assert look(watchdog, 3.0).error is None
    assert look(watchdog, 3.1, heard=5, heard_at=3.05).next_look == 4.0


@pytest.mark.parametrize("heard", [10, 1_000_000])
def test_bytes_that_come_prolong_the_wait_up_to_the_longest_call(heard: int) -> None:
    watchdog = Watchdog(PATIENCE, LONGEST)
    first = look(watchdog, 1.0, heard_at=0.9, heard=1)
    assert (first.next_look, first.is_slow) == (1.9, True)
    assert look(watchdog, 3.9, heard_at=3.9, heard=heard).next_look == LONGEST
    assert look(watchdog, 4.0, heard_at=4.0, heard=heard).error is None
    verdict = look(watchdog, 4.1, heard_at=4.1, heard=2 * heard)
    assert verdict.error is not None
    assert (verdict.error.code, verdict.is_own) == ("DC215", True)
    assert verdict.error.is_outage is (heard == 10)


def test_a_command_on_a_busy_connection_is_not_slow_before_it_is_late() -> None:
    watchdog = Watchdog(PATIENCE, LONGEST)
    assert not look(watchdog, 0.5, began=0.4, heard_at=0.45, heard=1_000).is_slow
    assert look(watchdog, 1.4, began=0.4, heard_at=1.3, heard=2_000).is_slow


def test_bytes_that_go_prolong_the_wait() -> None:
    watchdog = Watchdog(PATIENCE, LONGEST)
    assert look(watchdog, 1.0, unwritten=500).next_look == 2.0
    assert look(watchdog, 2.0, unwritten=400).next_look == 3.0
    assert look(watchdog, 3.0, unwritten=400).error is None
    assert look(watchdog, 3.1, unwritten=400).error is not None


def test_a_large_command_may_take_longer() -> None:
    watchdog = Watchdog(PATIENCE, LONGEST)
    assert look(watchdog, 1.5, extra=2.0).next_look == 3.0


def test_an_answer_begins_the_wait_of_the_next_command() -> None:
    watchdog = Watchdog(PATIENCE, LONGEST)
    look(watchdog, 1.0)
    assert look(watchdog, 1.1, answered=1, began=1.0).next_look == 2.0
