"""Waiting for a state of servers: their own answer is asked for again, up to a deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

import redis

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

STATE_SECONDS: Final = 30.0
"""How long servers may take to agree; several times what they need on a quiet machine."""


def until(ask: Callable[[], T | None], what: str, *, seconds: float = STATE_SECONDS) -> T:
    """Return the first true answer of `ask`; a server that does not answer yet is no answer."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = ask()
        except redis.RedisError:
            answer = None
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"the servers did not come to this within {seconds} s: {what}")
        time.sleep(0.01)
