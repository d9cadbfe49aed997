"""Whether the oldest command of a connection has waited too long, by the rule of `patience.py`.

It gets the time and the state of the connection, and keeps no timer.
"""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple

from dualcache.backends.redis.errors import too_slow
from dualcache.errors import BackendError, BackendTimeout

__all__ = ["GRACE_SECONDS", "Verdict", "Watchdog"]

GRACE_SECONDS: Final = 0.02
"""How long after its deadline a command that is late may still be answered."""


class Verdict(NamedTuple):
    """When to look again, or the error of a command that has waited too long."""

    next_look: float
    error: BackendError | None = None
    is_own: bool = False
    """The error is that of the oldest command alone: the server answers, but this takes long."""
    is_slow: bool = False
    """Its reply holds others up: it is late, and it comes."""


class Watchdog:
    """Looks at one connection; a loop that was busy sees a deadline before replies in its socket.

    So a command fails only if nothing at all has come for a while after the deadline.
    """

    def __init__(self, patience: float, longest: float) -> None:
        self._patience = patience
        self._longest = longest
        self._late_at: tuple[int, ...] | None = None
        self._wrote_at = 0.0
        self._unwritten: float = inf
        self._looked_at = -1
        self._moved_before = 0

    def look(
        self,
        *,
        now: float,
        answered: int,
        began: float,
        extra: float,
        heard_at: float,
        heard: int,
        unwritten: int,
    ) -> Verdict:
        """Judge the oldest command: `answered` came before it, and it was sent when it `began`.

        `heard` and `unwritten` are bytes received so far, and bytes that the socket has not taken.
        `extra` is what a large command may take beyond the patience.
        """
        if 0 < unwritten < self._unwritten:
            self._wrote_at = now
        self._unwritten = unwritten or inf
        moved_at = max(began, heard_at, self._wrote_at)
        if self._looked_at != answered:
            # The first look at this command: what moves from now on is its own.
            self._looked_at, self._moved_before = answered, heard - unwritten
        # On a busy connection something always comes; this command holds others up once it is late.
        is_slow = moved_at > began and now >= began + self._patience
        longest = began + self._longest
        deadline = min(moved_at + self._patience + extra, longest)
        if now < deadline:
            self._late_at = None
            return Verdict(deadline, is_slow=is_slow)
        # Beyond the longest wait only an answer counts, before it every byte.
        seen = (answered,) if longest <= now else (answered, heard, unwritten)
        if self._late_at != seen:
            self._late_at = seen
            return Verdict(now + GRACE_SECONDS, is_slow=is_slow)
        if longest <= now:
            error = too_slow(heard - unwritten - self._moved_before)
            return Verdict(now, error, is_own=True, is_slow=is_slow)
        return Verdict(now, BackendTimeout("the server gave no answer in time", code="DC201"))
