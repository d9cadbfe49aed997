"""Ops that go through the key space, page by page, and what is done with a page."""

from __future__ import annotations

from typing import NamedTuple

from dualcache.core.ops import Op

__all__ = ["ReadHeads", "Scan", "ScanPage", "Unlink"]


class Unlink(Op[int]):
    """Delete scanned keys without blocking the server; replies how many were there."""

    keys: tuple[bytes, ...]


class ReadHeads(Op["tuple[bytes, ...]"]):
    """Read the first bytes of scanned keys: what tells whose they are. Empty: no string there."""

    keys: tuple[bytes, ...]


class ScanPage(NamedTuple):
    cursor: int
    keys: tuple[bytes, ...]


class Scan(Op[ScanPage]):
    """Read one page of the key space: the string keys that match; cursor 0 begins and ends it."""

    cursor: int
    pattern: str
    count: int
