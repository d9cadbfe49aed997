"""State of the current task or thread only."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

__all__ = ["switched_off"]

switched_off: Final[ContextVar[frozenset[int]]] = ContextVar(
    "dualcache_switched_off", default=frozenset()
)
"""The identities of the caches that this task or thread does not use for now."""
