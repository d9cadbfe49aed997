"""How long a poll pauses: full jitter, so that waiters of many processes do not march in step."""

from __future__ import annotations

from random import random
from typing import Final

LEAST_PAUSE_MS: Final = 2.0
MOST_PAUSE_MS: Final = 20.0
PUSHED_PAUSE_MS: Final = 250.0
"""How long a waiter relies on pushes before it looks all the same."""
FENCE_SECONDS: Final = 0.25
""" How long a fence waits for its proof."""


def poll_pause(wait_ms: float) -> float:
    """Return the pause before the next look, in seconds, never beyond `wait_ms`.

    Full jitter: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """
    pause_ms = LEAST_PAUSE_MS + (MOST_PAUSE_MS - LEAST_PAUSE_MS) * random()  # noqa: S311
    return min(pause_ms, wait_ms) / 1000


def push_pause(wait_ms: float) -> float:
    """Return how long to wait for a push before the next look, in seconds."""
    return min(PUSHED_PAUSE_MS, wait_ms) / 1000
