"""A soft time limit, as Celery's: an `Exception` that a signal handler raises wherever it lands."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class SoftLimit(Exception):
    """The time is up."""


@contextmanager
def soft_limit() -> Generator[Callable[[], None]]:
    """Set a limit; the function that is given reaches it, in the midst of whatever calls it."""
    before = signal.signal(signal.SIGUSR1, _reached)
    try:
        yield lambda: signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


def _reached(*_: object) -> NoReturn:
    raise SoftLimit
