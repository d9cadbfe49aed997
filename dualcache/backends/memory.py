"""The memory store: the same ops with the same meaning as a server, in this process.

It is the embedded default, the double in tests and the model in the simulation. Leases, tags,
expiry and patterns behave as on Redis; a bound on entries and bytes evicts the least recently used.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from cachetools import LRUCache
from msgspec import Struct

from dualcache.core.entry import OWNED_HEADER_BYTES
from dualcache.core.ops import (
    FOR_EVER,
    Batch,
    Claim,
    Commit,
    CommitReply,
    Delete,
    DropConnections,
    Look,
    LookAndLease,
    MakeTag,
    MakeTags,
    Ping,
    ProlongTag,
    Publish,
    RawRead,
    ReadTags,
    TryLease,
)
from dualcache.core.scans import ReadHeads, Scan, ScanPage, Unlink
from dualcache.keys.globs import compile_glob

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.core.ops import NewTag, Op

__all__ = ["PERFORMERS", "Cell", "MemoryStore"]

GONE_AT_ONCE_MS: Final = 1


class Cell(Struct, frozen=True):
    """The content of a key and its end; `ends_ms=None` never ends."""

    content: bytes
    ends_ms: float | None


class _Cells(LRUCache[str, Cell]):
    """The least recently used cells go first; a bound on bytes counts key and content."""

    def __init__(self, max_entries: int, max_bytes: int | None) -> None:
        super().__init__(max_entries)
        self._max_bytes = max_bytes
        self._bytes = 0

    def __setitem__(self, key: str, cell: Cell, *arguments: Any) -> None:
        if self._max_bytes is not None:
            # Taken out first: a key that is set again would count twice.
            self.pop(key, None)
            self._bytes += _weight(key, cell)
        super().__setitem__(key, cell, *arguments)
        while self._max_bytes is not None and self._bytes > self._max_bytes:
            self.popitem()

    def rebuilt(self) -> _Cells:
        """Return the same cells, counted anew; the order in which they were used is not kept."""
        made = _Cells(int(self.maxsize), self._max_bytes)
        for key in list(self):
            made[key] = self[key]
        return made

    def __delitem__(self, key: str, *arguments: Any) -> None:
        if self._max_bytes is not None:
            self._bytes -= _weight(key, LRUCache.__getitem__(self, key))
        super().__delitem__(key, *arguments)


def _weight(key: str, cell: Cell) -> int:
    """Return the bytes that a cell counts for."""
    return len(key) + len(cell.content)


class MemoryStore:
    """Performs backend ops on a dictionary; safe to share between threads.

    `now_ms` is the clock that expiry follows.
    """

    def __init__(
        self, now_ms: Callable[[], float], max_entries: int = 100_000, max_bytes: int | None = None
    ) -> None:
        self._now_ms = now_ms
        self._cells = _Cells(max_entries, max_bytes)
        self._lock = Lock()

    def perform(self, op: Op[Any]) -> Any:
        """Perform one backend op and return its reply."""
        with self._lock:
            try:
                return PERFORMERS[type(op)](self, op)
            except BaseException:
                # A signal handler may have raised half-way through the bookkeeping of the bounds.
                self._cells = self._cells.rebuilt()
                raise

    def count(self, is_counted: Callable[[bytes], bool]) -> int:
        """Count the keys whose content satisfies a predicate, without those that have expired."""
        with self._lock:
            live = [cell for key in list(self._cells) if (cell := self._cell(key)) is not None]
        return sum(is_counted(cell.content) for cell in live)

    def after_fork(self) -> None:
        """Go on in a forked child, with the entries of the parent."""
        self._lock = Lock()

    def drop(self, is_dropped: Callable[[str, bytes], bool]) -> None:
        """Remove the keys that satisfy a predicate of name and content."""
        with self._lock:
            for key in list(self._cells):
                content = self._read(key)
                if content is not None and is_dropped(key, content):
                    self._remove(key)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._cells.clear()

    def _cell(self, key: str) -> Cell | None:
        cells = self._cells
        cell = cells[key] if key in cells else None  # noqa: SIM401  `get` is one call more
        if cell is not None and cell.ends_ms is not None and cell.ends_ms <= self._now_ms():
            del self._cells[key]
            return None
        return cell

    def _read(self, key: str) -> bytes | None:
        cell = self._cell(key)
        return None if cell is None else cell.content

    def _put(self, key: str, content: bytes, life_ms: float | None) -> None:
        self._cells[key] = Cell(content, None if life_ms is None else self._now_ms() + life_ms)

    def _put_absent(self, key: str, content: bytes, life_ms: float | None) -> bool:
        if self._cell(key) is not None:
            return False
        self._put(key, content, life_ms)
        return True

    def _left_ms(self, key: str) -> int | None:
        cell = self._cell(key)
        return None if cell is None else self._left_of(cell)

    def _left_of(self, cell: Cell) -> int | None:
        return None if cell.ends_ms is None else max(1, round(cell.ends_ms - self._now_ms()))

    def _make(self, tags: Sequence[NewTag]) -> tuple[bytes | None, ...]:
        if not tags:
            return ()
        for tag in tags:
            self._put_absent(tag.key, tag.id, tag.life_ms)
        return tuple(self._read(tag.key) for tag in tags)

    def _tags_left(self, tags: Sequence[NewTag]) -> tuple[int, ...]:
        if not tags:
            return ()
        left = (self._left_ms(tag.key) for tag in tags)
        return tuple(FOR_EVER if each is None else each for each in left)

    def look(self, op: Look) -> RawRead:
        ids = tuple([self._read(tag) for tag in op.tags])
        return RawRead(self._read(op.key), ids, self._left_ms(op.key) if op.with_ttl else None)

    def lease(self, op: LookAndLease) -> RawRead:
        # As on a server: what is there afterwards decides, not whether it was put.
        self._put_absent(op.key, op.filling, op.lease_ms)
        cell = self._cell(op.key)
        raw = None if cell is None else cell.content
        left_ms = None if cell is None else self._left_of(cell)
        ids = self._make(op.tags)
        return RawRead(raw, ids, FOR_EVER if left_ms is None else left_ms, self._tags_left(op.tags))

    def claim(self, op: Claim) -> RawRead:
        self._put(op.key, op.filling, op.lease_ms)
        return RawRead(op.filling, self._make(op.tags), None, self._tags_left(op.tags))

    def read_tags(self, op: ReadTags) -> tuple[bytes | None, ...]:
        return tuple(self._read(tag) for tag in op.tags)

    def make_tags(self, op: MakeTags) -> tuple[bytes | None, ...]:
        return self._make(op.tags)

    def make_tag(self, op: MakeTag) -> tuple[bytes | None, int]:
        return self._make((op.tag,))[0], self._tags_left((op.tag,))[0]

    def prolong(self, op: ProlongTag) -> None:
        content = self._read(op.key)
        if content is not None:
            self._put(op.key, content, op.life_ms)

    def try_lease(self, op: TryLease) -> bool:
        return self._put_absent(op.key, op.token, op.lease_ms)

    def commit(self, op: Commit) -> CommitReply:
        if self._read(op.key) != op.expected:
            return CommitReply.REFUSED
        if op.ttl_ms is not None and op.ttl_ms <= GONE_AT_ONCE_MS:
            # A marker given back: under a clock that is moved by hand it would never expire.
            self._remove(op.key)
            return CommitReply.STORED
        self._put(op.key, op.blob, op.ttl_ms)
        return CommitReply.STORED

    def delete(self, op: Delete | Unlink) -> int:
        names = (key if isinstance(key, str) else key.decode() for key in op.keys)
        return sum(self._remove(name) for name in names)

    def _remove(self, key: str) -> bool:
        was_there = self._cell(key) is not None
        self._cells.pop(key, None)
        return was_there

    def read_heads(self, op: ReadHeads) -> tuple[bytes, ...]:
        found = [self._read(key.decode()) for key in op.keys]
        return tuple([b"" if each is None else each[:OWNED_HEADER_BYTES] for each in found])

    def scan(self, op: Scan) -> ScanPage:
        matches = compile_glob(op.pattern)
        names = [key for key in list(self._cells) if self._cell(key) is not None]
        return ScanPage(0, tuple(name for key in names if matches(name := key.encode())))

    def nothing(self, _: Ping | DropConnections | Publish) -> None:
        """There is no connection that could fail, and no other process to notify."""

    def batch(self, op: Batch) -> tuple[Any, ...]:
        return tuple(PERFORMERS[type(each)](self, each) for each in op.ops)


PERFORMERS: Final[dict[type[Op[Any]], Callable[[MemoryStore, Any], Any]]] = {
    Look: MemoryStore.look,
    LookAndLease: MemoryStore.lease,
    Claim: MemoryStore.claim,
    ReadTags: MemoryStore.read_tags,
    MakeTag: MemoryStore.make_tag,
    MakeTags: MemoryStore.make_tags,
    ProlongTag: MemoryStore.prolong,
    TryLease: MemoryStore.try_lease,
    Commit: MemoryStore.commit,
    Delete: MemoryStore.delete,
    Unlink: MemoryStore.delete,
    ReadHeads: MemoryStore.read_heads,
    Scan: MemoryStore.scan,
    Publish: MemoryStore.nothing,
    Ping: MemoryStore.nothing,
    DropConnections: MemoryStore.nothing,
    Batch: MemoryStore.batch,
}
