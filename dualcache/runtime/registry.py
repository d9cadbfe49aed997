"""The decorated functions of one cache: held weakly, and counted after they have gone too."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import WeakSet, finalize

from dualcache.core.counters import Counters, Tally

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

    @property
    def name(self) -> str: ...

    @property
    def ttl(self) -> float | None: ...

    def forget_policy(self) -> None: ...


class Registry:
    """A function that nobody refers to any more goes, with all that was made for it.

    Only its counters stay. The collector may find that it has gone at any moment, in any thread and
    under any lock, so they are put aside then, and added up when somebody comes by.
    """

    def __init__(self) -> None:
        self._functions: WeakSet[Registered] = WeakSet()
        self._gone: deque[tuple[str, str, Counters, FunctionEntries | None]] = deque()
        self._totals: dict[str, Tally] = {}

    def __iter__(self) -> Iterator[Registered]:
        return iter(list(self._functions))

    def add(self, cached: Registered) -> None:
        """Follow a function from now on."""
        self._add_up()
        owner = None if cached.front is None else cached.front.owner
        self._functions.add(cached)
        followed = finalize(
            cached, self._gone.append, (cached.label, cached.name, cached.counters, owner)
        )
        followed.atexit = False

    def count(self) -> dict[str, Tally]:
        """Add up what all functions have counted, by their labels."""
        self._add_up()
        tallies: dict[str, Tally] = {}
        for label, gone in self._totals.items():
            _add(tallies, label, gone.function, gone.counters, gone.front_hits)
        for cached in self:
            hits = 0 if cached.front is None else cached.front.hits
            _add(tallies, cached.label, cached.name, cached.counters, hits)
            tallies[cached.label].ttl = cached.ttl
        return tallies

    def _add_up(self) -> None:
        while self._gone:
            label, name, counters, owner = self._gone.popleft()
            if label not in self._totals and len(self._totals) >= MOST_LABELS:
                label, name = OTHERS, ""
            hits = 0 if owner is None else _front_hits(owner)
            _add(self._totals, label, name, counters, hits)


def _add(
    tallies: dict[str, Tally], label: str, name: str, counters: Counters, front_hits: int
) -> None:
    tally = tallies.setdefault(label, Tally(Counters()))
    tally.counters.add(counters)
    tally.front_hits += front_hits
    tally.function = name


def _front_hits(owner: FunctionEntries) -> int:
    """Return the hits of a function that has gone, of which nobody counts any more."""
    entries: list[Any] = list(owner.index.values())
    return int(owner.hits + sum(entry.hits for entry in entries))
