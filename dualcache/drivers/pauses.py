"""How long a waiter pauses before it looks again."""

from __future__ import annotations

from random import random
from typing import Final

__all__ = [
    "FENCE_SECONDS",
    "LEAST_PAUSE_MS",
    "MOST_PAUSE_MS",
    "PAUSED_SHARE",
    "PUSHED_PAUSE_MS",
    "poll_pause",
    "push_pause",
]

LEAST_PAUSE_MS: Final = 2.0
MOST_PAUSE_MS: Final = 20.0
PAUSED_SHARE: Final = 0.125
"""The longest pause, as a share of the wait so far: by so much a waiter is late at most. The least
and the most bound that pause, of which jitter takes up to half.
"""
PUSHED_PAUSE_MS: Final = 250.0
"""How long a waiter relies on pushes before it looks all the same."""
FENCE_SECONDS: Final = 0.25
"""How long a fence waits for its proof."""


def poll_pause(waited_ms: float, wait_ms: float) -> float:
    """Return the pause before the next look, in seconds, never beyond `wait_ms`.

    It grows with the wait: the end of a load of 20 ms is found within 2.5 ms, and a long load is
    not asked for all the time. Half of it is jitter, so that the waiters of many processes do not
    march in step: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """
    longest_ms = min(max(LEAST_PAUSE_MS, PAUSED_SHARE * waited_ms), MOST_PAUSE_MS)
    return min(longest_ms * (1 - random() / 2), wait_ms) / 1000  # noqa: S311


def push_pause(wait_ms: float) -> float:
    """Return how long to wait for a push before the next look, in seconds."""
    return min(PUSHED_PAUSE_MS, wait_ms) / 1000
