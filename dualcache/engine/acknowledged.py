"""Deletions that a failover may lose: those that a master acknowledged in its last moments.

A master answers before its replicas have a write, and one that was demoted takes writes until it is
left. A caller whose invalidation was acknowledged would read the old value at the new master.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from dualcache.core.slots import slot_of
from dualcache.engine.health import PendingDeletion
from dualcache.errors import BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Acknowledged", "AcknowledgedByNodes", "merged", "other_master"]

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
        """Note that another server is the master; return the deletions to repeat there."""
        self.master += 1
        kept, self._kept = self._kept, deque(maxlen=MOST_KEPT)
        return [deletion for at_ms, deletion in kept if at_ms >= now_ms - OLDEST_MS]


class AcknowledgedByNodes:
    """The deletions that the primaries of a cluster acknowledged in their last moments.

    `changes` counts how often a node got slots that had none before: a replica that was promoted,
    or a new primary, which looks the same. What the node that lost them had acknowledged is
    repeated in both cases: it costs a miss. Between primaries that have slots, slots are moved with
    all that is in them.
    """

    __slots__ = ("_elapsed_ms", "_kept", "_window_ms", "changes")

    def __init__(self, max_staleness: float, elapsed_ms: Callable[[], int]) -> None:
        self.changes = 0
        self._elapsed_ms = elapsed_ms
        self._window_ms = round(max_staleness * 1_000) + LAG_MS
        self._kept: deque[_Noted] = deque(maxlen=MOST_KEPT)

    def note(self, deletion: PendingDeletion, names: Sequence[str], changes: int) -> bool:
        """Keep a deletion; return whether no node was replaced meanwhile.

        `names` are the nodes that had slots when it was sent, `changes` is the count of then.
        """
        kept, now_ms = self._kept, self._elapsed_ms()
        # Kept first, then compared: a change in between finds it here, or is seen here.
        kept.append(_Noted(now_ms, deletion, frozenset(names)))
        with suppress(IndexError):  # another thread has taken the last one
            while kept[0].at_ms < now_ms - self._window_ms:
                kept.popleft()
        return changes == self.changes

    def moved(
        self, before: Sequence[str], after: Sequence[str], unknown: str
    ) -> dict[str, PendingDeletion]:
        """Note that slots have other nodes; return the deletions to repeat, for each node.

        `unknown` stands for the node of a slot that has none.
        """
        owners = {*before}
        losers = {
            old
            for old, new in zip(before, after, strict=True)
            if old not in {new, unknown} and (new == unknown or new not in owners)
        }
        if not losers:
            return {}
        self.changes += 1
        # Slots become known one by one where commands are redirected. So all that the node had
        # acknowledged is repeated now: what is of its other slots follows them.
        places = {
            slot: new
            for slot, (old, new) in enumerate(zip(before, after, strict=True))
            if old in losers
        }
        oldest_ms = self._elapsed_ms() - OLDEST_MS
        found: dict[str, list[PendingDeletion]] = {}
        for noted in tuple(self._kept):
            if noted.at_ms >= oldest_ms:
                for node, deletion in noted.repeated(places):
                    found.setdefault(node, []).append(deletion)
        return {node: merged(deletions) for node, deletions in found.items()}


class _Noted:
    """A deletion that was acknowledged, and the nodes that have carried out its patterns."""

    __slots__ = ("at_ms", "deletion", "names")

    def __init__(self, at_ms: int, deletion: PendingDeletion, names: frozenset[str]) -> None:
        self.at_ms = at_ms
        self.deletion = deletion
        self.names = names

    def repeated(self, places: Mapping[int, str]) -> list[tuple[str, PendingDeletion]]:
        """Return the deletions of these slots to repeat, and at which node."""
        deletion = self.deletion
        pairs = [(places.get(slot_of(key)), key) for key in deletion.keys]
        found = [(node, PendingDeletion((key,))) for node, key in pairs if node is not None]
        if deletion.globs:
            # A node that had slots has searched them; a replica that is promoted had none.
            new = {*places.values()} - self.names
            self.names |= new
            found += [(node, deletion._replace(keys=(), held=())) for node in sorted(new)]
        return found


def merged(deletions: Sequence[PendingDeletion]) -> PendingDeletion:
    """Return one deletion that does the work of all of these, except for holds, which are lost."""
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
