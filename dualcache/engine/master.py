"""Whether the server that is connected may still be taken for the master of its service.

A demoted master goes on answering, reads and pings alike, for ten seconds and more. Only Sentinels
know; so their answers may be trusted for a bounded time.

They are asked, and not listened to: they publish `+switch-master` to the clients that are connected
just then, and a message that was lost says nothing. So the bound on staleness needs the questions
anyway, and a subscription would only leave an old master sooner than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["NEVER", "Master"]

NEVER: Final = float("-inf")
QUESTIONS: Final = 3
"""How often Sentinels are asked within the bound on staleness."""


class Master:
    """The address of a master, and until when it may be trusted.

    Times are of the steady clock, in seconds. An answer counts from when it was asked for: another
    server may have been promoted while it was on its way. One thread calls `told`.
    """

    __slots__ = (
        "_is_doubted",
        "_left_at",
        "address",
        "confirmed_at",
        "max_staleness",
        "trusted_until",
    )

    def __init__(self, max_staleness: float) -> None:
        self.max_staleness = max_staleness
        self.address: Hashable = None
        self.confirmed_at = NEVER
        """When the answer that counts was asked for."""
        self.trusted_until = NEVER
        self._left_at = NEVER
        self._is_doubted = False

    @property
    def interval(self) -> float:
        """How long after an answer Sentinels are asked again, in seconds."""
        return self.max_staleness / QUESTIONS

    def told(self, address: Hashable, asked_at: float) -> bool:
        """Note what a Sentinel told; return whether the server of before is to be left."""
        is_other = self.address is not None and self.address != address
        self.address = address
        self.confirmed_at = asked_at
        self.trusted_until = asked_at + self.max_staleness
        return is_other

    def doubt(self, address: Hashable) -> None:
        """Note that the server at an address could not be used as the master."""
        if address == self.address:
            self._is_doubted = True

    def take_doubt(self) -> bool:
        """Return whether another Sentinel is to be asked first; true once for each doubt.

        A Sentinel that led a failover goes on naming the server that it promoted, until that has
        come back, although the others have promoted another one since.
        """
        is_doubted, self._is_doubted = self._is_doubted, False
        return is_doubted

    def is_overdue(self, now: float) -> bool:
        """Return whether the server is to be left because no Sentinel confirms it any more.

        It is left once for each answer: the next connection needs another answer anyway.
        """
        until = self.trusted_until
        if now < until or self._left_at == until:
            return False
        self._left_at = until
        return True
