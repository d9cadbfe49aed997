"""Time-outs of a function: how long its callers wait for a load, and what they get then.

A time-out ends a caller's wait, never the load: that runs in the background from its start, keeps
its lease, stores, and lands for the others.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from msgspec import Struct

from dualcache.core.flight import Outcome, failure_of
from dualcache.engine.freshness import is_within
from dualcache.engine.read import served_stale
from dualcache.errors import LoaderTimeout

if TYPE_CHECKING:
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult

__all__ = ["Wait", "wait_of"]


class Wait(Struct):
    """How long one caller waits for a load, by the clock that never goes back.

    From `soft_ms` on it is served the `stale` value that it has read, from `hard_ms` on it gets an
    error.
    """

    call: Call
    soft_ms: float
    hard_ms: float
    stale: ReadResult | None = None

    @property
    def is_timed(self) -> bool:
        """Whether it may end before the load."""
        return self.soft_ms < inf or self.hard_ms < inf

    def note(self, read: ReadResult) -> None:
        """Note what this caller has read by now: only that may be served to it."""
        # What was read before the caller began may have been invalidated when it did.
        is_kept = is_within(read, self.call.policy.stale_ms)
        self.stale = read if is_kept else None

    def left_ms(self, now_ms: int) -> float:
        """Return how long the caller waits from now."""
        ends_ms = self.hard_ms if self.stale is None else min(self.soft_ms, self.hard_ms)
        return max(0.0, ends_ms - now_ms)

    def passed(self, env: Env) -> Outcome:
        """Return the stale value, or the time-out, for a caller whose wait is over."""
        call = self.call
        if self.stale is not None and self.soft_ms <= self.hard_ms:
            return served_stale(call, self.stale, env, "timeout")
        error = LoaderTimeout(
            f"{call.policy.label} took longer than {call.policy.hard_timeout_ms} ms",
            code="DC415",
            help="the load goes on, and its result is stored: ask again later, or raise "
            "hard_timeout",
        )
        return failure_of(error, env.sequence())


def wait_of(call: Call, read: ReadResult | None, env: Env) -> Wait:
    """Return how long a caller waits that begins now, having read this."""
    soft_ms, hard_ms = call.policy.timeout_ms, call.policy.hard_timeout_ms
    if soft_ms is None and hard_ms is None:
        return Wait(call, inf, inf)
    now_ms = env.elapsed_ms()
    wait = Wait(
        call,
        inf if soft_ms is None else now_ms + soft_ms,
        inf if hard_ms is None else now_ms + hard_ms,
    )
    if read is not None:
        wait.note(read)
    return wait
