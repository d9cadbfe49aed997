"""What a failure of the listener's connection means for the front tier. Pure."""

from __future__ import annotations

from typing import Final

from dualcache.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable

__all__ = ["Pauses", "is_about_role", "is_passing"]

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
FIRST_LONG_PAUSE: Final = 1.0
LONGEST_LONG_PAUSE: Final = 30.0
PASSING: Final = frozenset(
    (
        *("ASK", "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MOVED", "TRYAGAIN"),
        *("MISCONF", "NOREPLICAS", "OOM", "READONLY"),
    )
)
"""Refusals that say nothing about the transport: the same one is tried again."""


class Pauses:
    """The pauses between attempts, in seconds: each is twice the one before."""

    def __init__(self) -> None:
        self._next = 0.0

    def next(self, *, is_long: bool) -> float:
        """Return the next one.

        `is_long`: the server is there and pushes nothing, or refuses this program; it may change
        its mind, but accounts lock at a wrong password.
        """
        first, longest = FIRST_PAUSE, LONGEST_PAUSE
        if is_long:
            first, longest = FIRST_LONG_PAUSE, LONGEST_LONG_PAUSE
        seconds = max(first, min(longest, self._next))
        self._next = 2 * seconds
        return seconds


def is_about_role(error: BackendError) -> bool:
    """Tell whether the server that answers is not the master, or not any more."""
    return error.code == "DC220" or (
        isinstance(error, BackendRefused) and error.prefix in {"MASTERDOWN", "READONLY"}
    )


def is_passing(error: BackendError, *, is_open: bool) -> bool:
    """Tell whether the server is away or busy, rather than one that does not push.

    `is_open`: its handshake went well.
    """
    if isinstance(error, BackendRefused):
        # A wrong password says nothing of pushes; sent for each transport, it would lock accounts.
        return error.prefix in (PASSING if is_open else PASSING | {"NOAUTH", "WRONGPASS"})
    return isinstance(error, BackendUnavailable | BackendTimeout) and not is_open
