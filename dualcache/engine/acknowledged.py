"""Deletions that a failover may lose: those that a master acknowledged in its last moments.

A master answers before its replicas have a write, and one that was demoted takes writes until it is
left. Those who were told that an invalidation is done would read the old value at the new master.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from dualcache.engine.health import PendingDeletion
from dualcache.errors import BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Acknowledged", "merged", "other_master"]

MOST_KEPT: Final = 10_000
LAG_MS: Final = 1_000
"""How far behind a replica may be that is promoted; beyond the bound on staleness."""
OLDEST_MS: Final = 120_000
"""Beyond this age nothing is repeated, however long nothing else was deleted."""


class Acknowledged:
    """The deletions that a master acknowledged in its last moments.

    `master` counts the servers that were the master so far. The moments end with the latest
    deletion and not with the failover: that may take longer than any bound, and meanwhile nothing
    is acknowledged.
    """

    __slots__ = ("_kept", "_window_ms", "master")

    def __init__(self, max_staleness: float) -> None:
        self.master = 0
        self._window_ms = round(max_staleness * 1_000) + LAG_MS
        self._kept: deque[tuple[int, PendingDeletion]] = deque(maxlen=MOST_KEPT)

    def note(self, deletion: PendingDeletion, master: int, now_ms: int) -> bool:
        """Keep a deletion; return whether the server that took it is the master still.

        `master` is what it was when the deletion was sent.
        """
        kept = self._kept
        # Kept first, then compared: a change in between finds it here, or is seen here.
        kept.append((now_ms, deletion))
        with suppress(IndexError):  # another thread has taken the last one
            while kept[0][0] < now_ms - self._window_ms:
                kept.popleft()
        return master == self.master

    def changed(self, now_ms: int) -> list[PendingDeletion]:
        """Note that another server is the master; return what is to be repeated there."""
        self.master += 1
        kept, self._kept = self._kept, deque(maxlen=MOST_KEPT)
        return [deletion for at_ms, deletion in kept if at_ms >= now_ms - OLDEST_MS]


def merged(deletions: Sequence[PendingDeletion]) -> PendingDeletion:
    """Return one deletion that does what all of these did, but for holds, which are lost."""
    return PendingDeletion(
        tuple(dict.fromkeys(key for each in deletions for key in each.keys)),
        tuple(dict.fromkeys(pattern for each in deletions for pattern in each.patterns)),
        tuple(dict.fromkeys(owned for each in deletions for owned in each.functions)),
    )


def other_master() -> BackendUnavailable:
    """Return the error of an op that another server than the master of before may have answered."""
    made = BackendUnavailable(
        "another server became the master while this one was asked",
        code="DC324",
        details=(("cause", "another server became the master"),),
    )
    made.was_connected = True
    return made
