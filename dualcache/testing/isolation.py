"""Caches that live in memory for as long as a test runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dualcache import MovableClock, each_cache

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def isolated(url: str = "memory://") -> Generator[MovableClock]:
    """Move each cache of the process to `url` inside, empty and apart from all others.

    This includes caches made inside, and those that modules of the application made at import.
    Nothing is read, stored or connected in their real place. The clock that this gives is the clock
    of all of them.
    """
    clock = MovableClock()
    with each_cache(lambda cache: cache.override(url, clock=clock)):
        yield clock
