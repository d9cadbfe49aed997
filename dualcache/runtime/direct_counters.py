"""The counters of direct calls: those of all reads and writes, and those of each loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cachetools import LRUCache

from dualcache.core.counters import Counters

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DirectCounters"]

_MOST_KNOWN: Final = 1_024
"""How many loaders are remembered."""


class DirectCounters:
    """Counters of the direct calls of one cache."""

    def __init__(self) -> None:
        self.own = Counters()
        self._by_loader: LRUCache[str, Counters] = LRUCache(_MOST_KNOWN)

    def __iter__(self) -> Iterator[Counters]:
        return iter([self.own, *self._by_loader.values()])

    def of(self, loader: object) -> Counters:
        """Return the counters of a loader, by its name."""
        name = f"{getattr(loader, '__module__', '')}.{getattr(loader, '__qualname__', '')}"
        counters = self._by_loader.get(name)
        if counters is None:
            counters = self._by_loader[name] = Counters()
        return counters
