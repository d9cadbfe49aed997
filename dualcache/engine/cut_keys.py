"""Keys at which the server hangs up: their value is over one of its limits.

`proto-max-bulk-len`, query and output buffers: the server closes the connection and says nothing.
Such a key is left alone for a while; nothing of this tells against the server.
"""

from __future__ import annotations

from typing import Final

from dualcache.errors import BackendUnavailable

__all__ = ["LARGE_BYTES", "LEFT_ALONE_MS", "MOST_KEYS", "CutKeys", "over_a_limit"]

LARGE_BYTES: Final = 65_536
"""No limit of a server is below this; a smaller value is not to blame for a cut."""
LEFT_ALONE_MS: Final = 60_000
MOST_KEYS: Final = 1_000


class CutKeys:
    """Remembers keys that cut the connection: read, or written with so many bytes.

    Threads may share it: each step is one of a dict, and a lost race costs one more cut.
    """

    __slots__ = ("reads", "suspect", "writes")

    def __init__(self) -> None:
        self.suspect: str | None = None
        """The key whose reading cut a connection, while nothing was answered since."""
        self.reads: dict[str, int] = {}
        """Until when a key is not read."""
        self.writes: dict[str, tuple[int, int]] = {}
        """From which size on a value is not sent, and until when."""

    def is_cut_again(self, key: str, now_ms: int) -> bool:
        """Note that the connection was cut while a key was read.

        The first time may be chance. A fresh connection that is cut at the same key, with no answer
        in between, is cut because of it: True, and it is not read for a while.
        """
        if self.suspect != key:
            self.suspect = key
            return False
        self.suspect = None
        _make_room(self.reads)
        self.reads[key] = now_ms + LEFT_ALONE_MS
        return True

    def note_write(self, key: str, size_bytes: int, now_ms: int) -> None:
        """Remember that a value of this size cut the connection."""
        _make_room(self.writes)
        self.writes[key] = (size_bytes, now_ms + LEFT_ALONE_MS)

    def may_read(self, key: str, now_ms: int) -> bool:
        """Whether a key may be read."""
        until_ms = self.reads.get(key)
        if until_ms is None:
            return True
        if now_ms < until_ms:
            return False
        self.reads.pop(key, None)
        return True

    def may_write(self, key: str, size_bytes: int, now_ms: int) -> bool:
        """Whether a value of this size may be sent."""
        least_bytes, until_ms = self.writes.get(key, (size_bytes + 1, now_ms))
        return size_bytes < least_bytes or until_ms <= now_ms


def _make_room(known: dict[str, int] | dict[str, tuple[int, int]]) -> None:
    """Forget the oldest of too many keys."""
    if len(known) >= MOST_KEYS:
        known.pop(next(iter(known)), None)


def over_a_limit() -> BackendUnavailable:
    """Return the error of a key whose value is over a limit of the server."""
    made = BackendUnavailable(
        "the server cuts the connection for a value of this size, or the link is too slow for it",
        code="DC217",
        help="store less under one key, or raise the server's limit (proto-max-bulk-len, buffers)",
    )
    made.is_outage = False
    return made
