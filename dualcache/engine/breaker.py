"""The circuit breaker: when the backend is asked, and when it is left alone.

Closed, it lets everything pass. After enough failures in a row it opens for a while; then one
caller tries, and its luck decides (M. Nygard, "Release It!", 2007).
"""

from __future__ import annotations

from typing import Final

FIRST_PAUSE_MS: Final = 500
LONGEST_PAUSE_MS: Final = 2_000
CONFIGURATION_PAUSE_MS: Final = 10_000
TIMEOUTS_TO_OPEN: Final = 2


class Breaker:
    """Counts failures; `is_closed` is all that a healthy caller reads.

    Times are of a clock that never goes back. Callers of several threads may share one: a lost race
    lets one more caller try, no more.
    """

    __slots__ = ("_pause_ms", "_retry_at_ms", "events", "failures", "is_closed")

    def __init__(self) -> None:
        self.is_closed = True
        self.failures = 0
        self.events = 0
        """How many failures were counted so far; an op notes it when it begins."""
        self._pause_ms = 0
        self._retry_at_ms = 0

    def may_try(self, now_ms: int) -> bool:
        """Let everybody pass while closed; after each pause, one caller.

        That caller need not come back: the next pause begins at once.
        """
        if self.is_closed:
            return True
        if now_ms < self._retry_at_ms:
            return False
        self._retry_at_ms = now_ms + self._pause_ms
        return True

    def succeeded(self) -> bool:
        """Note an answer; return whether the breaker was open until now."""
        was_open = not self.is_closed
        self.failures = 0
        self._pause_ms = 0
        self.is_closed = True
        return was_open

    def failed(
        self, now_ms: int, *, since: int, is_certain: bool, is_configuration: bool = False
    ) -> int:
        """Note a failure; return the pause in ms if the breaker opened by it, else 0.

        `since` is what `events` was when the op began. A failure that was counted meanwhile is the
        same event, seen by another caller: counted again, a hiccup that met five readers would look
        like five time-outs in a row.

        `is_certain`: nothing is listening there, so the first failure opens it; a time-out has to
        happen twice in a row. A wrong password is not tried again at full pace (accounts lock).
        """
        if since != self.events:
            return 0
        self.events += 1
        was_closed = self.is_closed
        self.failures += 1
        if was_closed and not is_certain and self.failures < TIMEOUTS_TO_OPEN:
            return 0
        self._pause_ms = (
            CONFIGURATION_PAUSE_MS
            if is_configuration
            else min(LONGEST_PAUSE_MS, max(FIRST_PAUSE_MS, 2 * self._pause_ms))
        )
        self._retry_at_ms = now_ms + self._pause_ms
        self.is_closed = False
        return self._pause_ms if was_closed else 0
