"""State of the current task or thread only."""

from __future__ import annotations

from contextvars import ContextVar
from itertools import count
from typing import Final

__all__ = ["LoadScope", "current_load", "next_moment", "switched_off"]

switched_off: Final[ContextVar[frozenset[int]]] = ContextVar(
    "dualcache_switched_off", default=frozenset()
)
"""The identities of the caches that this task or thread does not use for now."""
next_moment: Final = count(1).__next__
"""Number the moments of this process in order; two readings of a clock may be equal."""


class LoadScope:
    """One load, as the functions that it calls see it.

    `began` is the moment at which it began. `passed` counts the copies in the front tier that it
    was not served.
    """

    __slots__ = ("began", "passed")

    def __init__(self) -> None:
        self.began = next_moment()
        self.passed = 0


current_load: Final[ContextVar[LoadScope | None]] = ContextVar("dualcache_load", default=None)
"""The innermost load that this task or thread runs."""
