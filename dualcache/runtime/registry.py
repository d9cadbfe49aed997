"""The decorated functions of one cache: held weakly, and counted after they have gone too."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import WeakSet, finalize

from dualcache.core.policy import Counters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache.front.of_function import FunctionFront
    from dualcache.front.store import FunctionEntries

__all__ = ["Registered", "Registry"]

MOST_LABELS: Final = 1_000
"""For how many labels the counters of functions that have gone are told apart."""
OTHERS: Final = "others"


class Registered(Protocol):
    """The record of a function that a cache has decorated."""

    counters: Counters
    front: FunctionFront | None

    @property
    def label(self) -> str: ...

    def forget_policy(self) -> None: ...


class Registry:
    """A function that nobody refers to any more goes, with all that was made for it.

    Only its counters stay. The collector may find that it has gone at any moment, in any thread and
    under any lock, so they are put aside then, and added up when somebody comes by.
    """

    def __init__(self) -> None:
        self._functions: WeakSet[Registered] = WeakSet()
        self._gone: deque[tuple[str, Counters, FunctionEntries | None]] = deque()
        self._totals: dict[str, Counters] = {}
        self._front_hits = 0

    def __iter__(self) -> Iterator[Registered]:
        return iter(list(self._functions))

    def add(self, cached: Registered) -> None:
        """Follow a function from now on."""
        self._add_up()
        owner = None if cached.front is None else cached.front.owner
        self._functions.add(cached)
        followed = finalize(cached, self._gone.append, (cached.label, cached.counters, owner))
        followed.atexit = False

    def count(self, by_label: dict[str, list[Counters]]) -> int:
        """Add the counters of all functions by their labels; return the hits of the front tier."""
        self._add_up()
        for label, counters in self._totals.items():
            by_label.setdefault(label, []).append(counters)
        hits = self._front_hits
        for cached in self:
            by_label.setdefault(cached.label, []).append(cached.counters)
            hits += 0 if cached.front is None else cached.front.hits
        return hits

    def _add_up(self) -> None:
        while self._gone:
            label, counters, owner = self._gone.popleft()
            if label not in self._totals and len(self._totals) >= MOST_LABELS:
                label = OTHERS
            self._totals.setdefault(label, Counters()).add(counters)
            if owner is not None:
                self._front_hits += _front_hits(owner)


def _front_hits(owner: FunctionEntries) -> int:
    """Return the hits of a function that has gone, of which nobody counts any more."""
    entries: list[Any] = list(owner.index.values())
    return int(owner.hits + sum(entry.hits for entry in entries))
