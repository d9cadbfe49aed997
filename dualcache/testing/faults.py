"""Backends that fail or are slow while a test runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache import BackendUnavailable, each_cache

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import timedelta


def fail_backend(error: object = BackendUnavailable) -> AbstractContextManager[None]:
    """Let each operation on a backend raise `error` inside, for each cache of the process.

    It is a `BackendError`, an `OSError` or an error of redis-py, or a type of these; `UsageError`
    for others. What is answered without the backend (a front tier, `null://`'s loads) goes on.
    """
    return each_cache(lambda cache: cache.inject_fault(error))


def slow_backend(delay: float | str | timedelta) -> AbstractContextManager[None]:
    """Let each operation on a backend wait for `delay` inside, for each cache of the process.

    Beyond the cache's `socket_timeout` (0.25 s) it is a `BackendTimeout` after as long as that.
    """
    return each_cache(lambda cache: cache.inject_fault(delay=delay))
