"""Ops that go through the key space, page by page, and what is done with a page."""

from __future__ import annotations

from typing import NamedTuple

from dualcache.core.ops import Op

__all__ = ["ReadHeads", "Scan", "ScanPage", "Unlink"]


class Unlink(Op[int]):
    """Delete scanned keys; replies how many were there.

    `is_blocking`: by DEL, where the server has no command that frees them in the background.
    """

    keys: tuple[bytes, ...]
    is_blocking: bool = False


class ReadHeads(Op["tuple[bytes, ...]"]):
    """Read the first bytes of scanned keys, which show whose they are. Empty: no string there."""

    keys: tuple[bytes, ...]


class ScanPage(NamedTuple):
    cursor: int
    keys: tuple[bytes, ...]


class Scan(Op[ScanPage]):
    """Read one page of the key space: the string keys that match; cursor 0 begins and ends it."""

    cursor: int
    pattern: str
    count: int
