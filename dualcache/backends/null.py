"""The null store: every read is a miss, every write succeeds and stores nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.core.ops import (
    Batch,
    Claim,
    Commit,
    CommitReply,
    Delete,
    DropConnections,
    Look,
    LookAndLease,
    MakeTags,
    Ping,
    ProlongTag,
    Publish,
    RawRead,
    ReadTags,
    TryLease,
)
from dualcache.core.scans import ReadHeads, Scan, ScanPage, Unlink

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.ops import Op


__all__ = ["NullStore"]


class NullStore:
    """Performs backend ops for `null://`."""

    def perform(self, op: Op[Any]) -> Any:
        """Reply as a server on which nothing is ever stored."""
        return PERFORMERS[type(op)](op)

    def count(self, _: Callable[[bytes], bool]) -> int:
        """Nothing is here."""
        return 0

    def after_fork(self) -> None:
        """Go on in a forked child."""

    def drop(self, _: Callable[[str, bytes], bool]) -> None:
        """Nothing is here."""

    def close(self) -> None:
        """Nothing to close."""


def _ids(op: LookAndLease | Claim | MakeTags) -> tuple[bytes, ...]:
    """Reply the drawn _ids, as if each tag had just been made."""
    return tuple(tag.id for tag in op.tags)


PERFORMERS: Final[dict[type[Op[Any]], Callable[[Any], Any]]] = {
    Look: lambda op: RawRead(None, (None,) * len(op.tags)),
    LookAndLease: lambda op: RawRead(op.filling, _ids(op)),
    Claim: lambda op: RawRead(op.filling, _ids(op)),
    ReadTags: lambda op: (None,) * len(op.tags),
    MakeTags: _ids,
    ProlongTag: lambda _: None,
    TryLease: lambda _: True,
    Commit: lambda _: CommitReply.REFUSED,
    Delete: lambda _: 0,
    Unlink: lambda _: 0,
    ReadHeads: lambda op: (b"",) * len(op.keys),
    Scan: lambda _: ScanPage(0, ()),
    Publish: lambda _: None,
    Ping: lambda _: None,
    DropConnections: lambda _: None,
    Batch: lambda op: tuple(PERFORMERS[type(each)](each) for each in op.ops),
}
