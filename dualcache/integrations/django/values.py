"""The exceptions of Django's cache API for values, and the calls of its defaults."""

from __future__ import annotations

from pickle import PicklingError
from typing import TYPE_CHECKING, Any, Final

from dualcache import UnencodableValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import UsageError

__all__ = ["Existing", "NotPicklable", "is_no_number", "loader_of", "not_picklable"]

_NO_NUMBER: Final = frozenset({"DC181", "DC182"})


class NotPicklable(UnencodableValue, PicklingError):
    """A value that pickle cannot encode; nothing was stored."""


def not_picklable(error: UnencodableValue) -> NotPicklable:
    """Return the error that callers of Django's cache API expect."""
    return NotPicklable(error.what, code=error.code, details=error.details, help=error.help)


def loader_of(default: Any) -> Callable[[], Any]:
    """Return the loader of `get_or_set()`, whose default is a value or a function."""
    if not callable(default):
        return lambda: default
    made: Callable[[], Any] = default
    return made


class Existing:
    """The ttl of an `incr` that changes only an existing counter.

    It is called for the ttl of a new entry only. Then it stores none, and remembers that it was
    called.
    """

    def __init__(self) -> None:
        self.is_missing = False

    def __call__(self, _: int) -> int:
        self.is_missing = True
        return 0

    def checked(self, total: int | None, key: Any) -> int:
        """Return the new count; raise `ValueError` if there is no counter."""
        # A server that fails counts nothing and returns None: like any read then, it is a miss.
        if self.is_missing or total is None:
            raise ValueError(f"Key {key!r} not found")
        return total


def is_no_number(error: UsageError) -> bool:
    """Return whether a counter holds, or was to change by, something but a whole number."""
    return error.code in _NO_NUMBER
