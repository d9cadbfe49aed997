"""The loggers: `dualcache`, and beneath it those for the server, the front tier and HTTP mode."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from dualcache.options.time_travel import time_traveller

if TYPE_CHECKING:
    from collections.abc import Mapping
    from logging import Logger

__all__ = ["FRONT", "HTTP", "LOGGER", "REDIS", "log", "was_told_of_time_travel"]

LOGGER: Final = "dualcache"
REDIS: Final = "dualcache.redis"
FRONT: Final = "dualcache.front"
HTTP: Final = "dualcache.http"


def log(
    level: str,
    text: str,
    *arguments: object,
    logger: str = LOGGER,
    fields: Mapping[str, Any] | None = None,
) -> None:
    """Write one line; its record has the same as data, `fields`, in the attribute `dualcache`.

    The line names the library itself: where a program has not set up logging, Python prints
    warnings without the name of their logger.
    """
    import logging

    line, extra = f"dualcache: {text}", {LOGGER: dict(fields or {})}
    _logger(logger).log(getattr(logging, level), line, *arguments, extra=extra)


@cache
def _logger(name: str) -> Logger:
    """Return a logger of this name, kept for the life of the process.

    Before Python 3.13 an interrupt within `getLogger` may leave the lock of logging locked, and
    then every thread stands still that asks for a logger. So it is not asked for with each line.
    """
    import logging

    return logging.getLogger(name)


def was_told_of_time_travel() -> bool:
    """Log that a library moves the time of a test, if one does; return whether it was logged."""
    library = time_traveller(sys.modules)
    if library is not None:
        log(
            "WARNING",
            "%s moves the time, and the cache does not follow it: entries do not expire; make the "
            'cache with Cache("memory://", clock=lambda: time.time())',
            library,
        )
    return library is not None
