"""`Cache-Status` (RFC 9211): what the cache did for one answer."""

from __future__ import annotations

from enum import Enum
from typing import Final

from msgspec import Struct

__all__ = ["CacheStatus", "Forward"]

NAME: Final = "dualcache"
LARGEST: Final = 999_999_999_999_999
"""The largest integer of a structured field (RFC 9651 §3.3.1)."""


class Forward(Enum):
    """Why a request went on to the endpoint."""

    BYPASS = "bypass"
    METHOD = "method"
    MISS = "uri-miss"
    REQUEST = "request"
    """The client asked for it: `no-cache`, where the option `honor_request` is on."""


class CacheStatus(Struct, frozen=True):
    """What became of one request: a hit (`forward` is `None`), or why it was none.

    `ttl` is the seconds that a hit has left, negative for a stale one; `None`: it never expires.
    `detail` names the reason why a request was passed on or its response not stored.
    """

    forward: Forward | None = None
    ttl: int | None = None
    is_stored: bool = False
    is_collapsed: bool = False
    detail: str = ""

    def written(self) -> bytes:
        """Return the member of the list that stands for this cache."""
        parts = [NAME]
        if self.forward is None:
            parts.append("hit")
            if self.ttl is not None:
                parts.append(f"ttl={max(-LARGEST, min(self.ttl, LARGEST))}")
        else:
            parts.append(f"fwd={self.forward.value}")
            parts += ["stored"] * self.is_stored + ["collapsed"] * self.is_collapsed
        if self.detail:
            parts.append(f"detail={self.detail}")
        return "; ".join(parts).encode()
