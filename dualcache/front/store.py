"""The front tier's store: a bounded dictionary of entries, and the indexes that point to them.

Limits hold exactly. A hit takes no lock: it reads an index and one entry. Whether an entry may be
installed or served is decided elsewhere.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from cachetools import Cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "ENTRY_BYTES",
    "FrontEntry",
    "FrontStore",
    "FunctionEntries",
    "TagCell",
    "TaggedEntry",
    "Tags",
    "WeighedStore",
    "index_key",
    "make_store",
]

DEAD: Final = 0.0
ENTRY_BYTES: Final = 180
"""Bytes of an entry beside its key and content, measured on CPython 3.11."""
SAFE_TYPES: Final = frozenset({int, str, bytes, bool, type(None)})
"""Types whose values are equal only if their keys are: only such arguments are indexed."""


class TagCell:
    """Whether a tag still has the id that entries were read with; shared by all of them."""

    __slots__ = ("__weakref__", "is_alive")

    def __init__(self) -> None:
        self.is_alive = True


class FunctionEntries:
    """The entries of one function, by their calls, and the hits of those that are gone."""

    __slots__ = ("hits", "index")

    def __init__(self) -> None:
        self.index: dict[Any, FrontEntry] = {}
        self.hits = 0.0


class FrontEntry:
    """One kept value.

    It is served before `fresh_until`, which is the end of its life, `ends_at`, or of the time for
    which the stream of pushes is proved, so that a hit compares once. `copy_out` makes the caller's
    own copy of `value`; `None` if it can be shared. `hits` counts since the last look of the
    eviction, in floats: CPython makes them faster than ints.
    """

    __slots__ = ("copy_out", "ends_at", "fresh_until", "hits", "key", "linked", "owner", "value")
    cells: tuple[TagCell, ...] = ()

    def __init__(
        self,
        key: str,
        value: Any,
        copy_out: Callable[[Any], Any] | None,
        ends_at: float,
        owner: FunctionEntries,
    ) -> None:
        self.key = key
        self.value = value
        self.copy_out = copy_out
        self.ends_at = self.fresh_until = ends_at
        self.owner = owner
        self.hits = 0.0
        self.linked: Any = None

    def prove(self, until: float) -> None:
        """Let it be served `until` a moment, as far as it lives; one that is dead stays so."""
        if self.fresh_until != DEAD:
            self.fresh_until = min(self.ends_at, until)

    @property
    def is_alive(self) -> bool:
        """Whether it is still kept, and all its tags are alive."""
        return self.fresh_until != DEAD and all(cell.is_alive for cell in self.cells)


class TaggedEntry(FrontEntry):
    """A kept value that is served only while all its tags are alive."""

    __slots__ = ("cells",)
    cells: tuple[TagCell, ...]


class FrontStore(Cache[str, FrontEntry]):
    """Entries by key, at most `max_entries` and `max_bytes` of them.

    What to evict is looked for in a line, from the oldest entry on: one that was hit since the last
    look is spared. It goes to the end of the line (second chance, which approximates least recently
    used: F. Corbató, "A Paging Experiment with the Multics System", 1968), or with `is_sieve` keeps
    its place, so that the look goes on behind it and reaches new entries soon (Zhang et al., "SIEVE
    is Simpler than LRU", NSDI 2024). A hit reorders nothing: its counter is what a look asks for.
    The caller holds a lock.
    """

    def __init__(
        self, max_entries: int, max_bytes: int | None = None, *, is_sieve: bool = False
    ) -> None:
        super().__init__(max_entries)
        self.max_bytes = max_bytes
        self.used_bytes = self.evictions = 0
        self._line: deque[FrontEntry] = deque()
        self._is_sieve = is_sieve
        self._passed: deque[FrontEntry] = deque()  # spared by the look that is under way

    __eq__ = object.__eq__

    def __hash__(self) -> int:
        return id(self)  # a store is itself, whatever it holds: the tier has a set of them

    def find(self, key: str) -> FrontEntry | None:
        """Return the entry of a key. Needs no lock, unlike `get`, which looks twice."""
        try:
            return self[key]
        except KeyError:
            return None

    def put(self, entry: FrontEntry, size_bytes: int, linked: Any) -> None:
        """Keep an entry, replacing an older one of this key; evict others beyond the limits.

        `linked` is under what its owner's index has it; the entry itself where no call finds it.
        """
        if self.max_bytes is not None and size_bytes + ENTRY_BYTES > self.max_bytes:
            self.drop(entry.key)
            return
        self.drop(entry.key)
        self[entry.key] = entry
        self._line.append(entry)
        self._count(entry, size_bytes)
        entry.linked = linked
        entry.owner.index[linked] = entry
        while self.max_bytes is not None and self.used_bytes > self.max_bytes:
            self.popitem()

    def drop(self, key: str) -> bool:
        """Kill the entry of a key; return whether there was one."""
        entry = self.find(key)
        if entry is None:
            return False
        self._kill(entry)
        del self[key]
        if self._is_worn():
            self._line = deque(each for each in self._line if each.fresh_until)
            self._passed = deque(each for each in self._passed if each.fresh_until)
        return True

    def drop_all(self) -> int:
        """Kill every entry; return how many there were."""
        entries = list(self.values())
        for entry in entries:
            self._kill(entry)
        self.clear()
        self._line.clear()
        self._passed.clear()
        self.used_bytes = 0
        return len(entries)

    def clear(self) -> None:
        """Forget every entry at once: cachetools before 8 evicts them one by one instead."""
        if "clear" in vars(Cache):
            super().clear()
        else:
            for key in tuple(self):
                del self[key]

    def popitem(self) -> tuple[str, FrontEntry]:
        """Evict the oldest entry that was not hit since it was last looked at."""
        while True:
            if not self._line:  # an interrupted `put` left an entry that is in no line
                self._line.extend(self.values())
            entry = self._line.popleft()
            is_spared = entry.hits and entry.fresh_until
            if is_spared:
                entry.owner.hits += entry.hits
                entry.hits = 0.0
                (self._passed if self._is_sieve else self._line).append(entry)
            if not self._line:
                # The look has come to the newest. It goes on at the oldest at once: behind what is
                # put next it would stay with the newest for ever, and nothing old would go.
                self._line, self._passed = self._passed, self._line
            if entry.fresh_until and not is_spared:
                self._kill(entry)
                self.evictions += 1
                del self[entry.key]
                return entry.key, entry

    def _kill(self, entry: FrontEntry) -> None:
        # First: a thread that has found the entry in an index already takes no lock, and this is
        # all that it looks at.
        entry.fresh_until = DEAD
        owner = entry.owner
        owner.hits += entry.hits
        entry.hits = 0.0
        if owner.index.get(entry.linked) is entry:
            del owner.index[entry.linked]
        entry.linked = None  # it may be the entry itself, and a circle waits for the collector
        self._uncount(entry)

    def _is_worn(self) -> bool:
        """Tell whether the line holds so many dead entries that it is to be made anew."""
        return 4 * (len(self._line) + len(self._passed) - 16) > 5 * len(self)

    def _count(self, entry: FrontEntry, size_bytes: int) -> None:
        """Overridden where bytes are counted."""

    def _uncount(self, entry: FrontEntry) -> None:
        """Overridden where bytes are counted."""


class WeighedStore(FrontStore):
    """A store that counts bytes too; that costs one more number for each entry."""

    def __init__(self, max_entries: int, max_bytes: int, *, is_sieve: bool = False) -> None:
        super().__init__(max_entries, max_bytes, is_sieve=is_sieve)
        self._sizes: dict[str, int] = {}
        self._limit, self._dead_bytes = max_bytes, 0

    def _count(self, entry: FrontEntry, size_bytes: int) -> None:
        self._sizes[entry.key] = size_bytes + ENTRY_BYTES
        self.used_bytes += size_bytes + ENTRY_BYTES

    def _uncount(self, entry: FrontEntry) -> None:
        size_bytes = self._sizes.pop(entry.key, 0)
        self.used_bytes -= size_bytes
        self._dead_bytes += size_bytes

    def _is_worn(self) -> bool:
        if super()._is_worn() or 8 * self._dead_bytes > self._limit:
            self._dead_bytes = 0
            return True
        return False


def make_store(max_entries: int, max_bytes: int | None, *, is_sieve: bool = False) -> FrontStore:
    """Return a store with these limits."""
    if max_bytes is None:
        return FrontStore(max_entries, is_sieve=is_sieve)
    return WeighedStore(max_entries, max_bytes, is_sieve=is_sieve)


class Tags:
    """The cells of all tags that kept entries carry; a cell goes with the last of them."""

    def __init__(self) -> None:
        self._cells: WeakValueDictionary[str, TagCell] = WeakValueDictionary()

    def cells(self, names: Iterable[str]) -> tuple[TagCell, ...]:
        """Return the cell of each tag."""
        found = []
        for name in names:
            cell = self._cells.get(name)
            if cell is None:
                cell = self._cells[name] = TagCell()
            found.append(cell)
        return tuple(found)

    def names(self) -> list[str]:
        """Return the tags that have a cell."""
        return list(self._cells)

    def kill(self, names: Iterable[str]) -> None:
        """Let every entry with one of these tags die, in one step for each tag."""
        for name in names:
            cell = self._cells.pop(name, None)
            if cell is not None:
                cell.is_alive = False


def index_key(values: Sequence[Any], types: Sequence[type | None]) -> Any:
    """Return the key of a call in its index, or `None` where equal arguments may have other keys.

    Where `types` names one, a value must be of just that type; else its type is part of the index.
    One part stands for itself, several are a tuple.
    """
    parts = list(values)
    for value, wanted in zip(values, types, strict=True):
        kind = type(value)
        if kind not in SAFE_TYPES or (wanted is not None and kind is not wanted):
            return None
        if wanted is None:
            parts.append(kind)
    return parts[0] if len(parts) == 1 else tuple(parts)
