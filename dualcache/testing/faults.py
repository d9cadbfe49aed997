"""Backends that fail or are slow while a test runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache import BackendUnavailable, each_cache

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import timedelta


def fail_backend(error: object = BackendUnavailable) -> AbstractContextManager[None]:
    """Make each operation on a backend raise `error` inside, for each cache of the process.

    `error` is a `BackendError`, an `OSError` or an error of redis-py, or a type of these. Raises
    `UsageError` for others. Answers that need no backend (a front tier, loads of `null://`) go on.
    """
    return each_cache(lambda cache: cache.inject_fault(error))


def slow_backend(delay: float | str | timedelta) -> AbstractContextManager[None]:
    """Make each operation on a backend wait for `delay` inside, for each cache.

    A delay longer than the cache's `socket_timeout` (0.25 s) becomes a `BackendTimeout`.
    """
    return each_cache(lambda cache: cache.inject_fault(delay=delay))
