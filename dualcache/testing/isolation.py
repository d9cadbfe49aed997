"""Caches that live in memory for as long as a test runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dualcache import MovableClock, each_cache

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def isolated(url: str = "memory://") -> Generator[MovableClock]:
    """Let each cache of the process live at `url` inside, empty and apart from all others.

    Also those made inside, and those that modules of the application made at their import. In their
    own place nothing is read, stored or connected meanwhile. The clock that this gives is that of
    all of them.
    """
    clock = MovableClock()
    with each_cache(lambda cache: cache.override(url, clock=clock)):
        yield clock
