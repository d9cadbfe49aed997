"""The caches of this process, those that are there and those still to be made: for tests."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

__all__ = ["changed", "made"]

_LIVING: Final[WeakSet[Any]] = WeakSet()
_CHANGES: Final[list[_Change]] = []


def made(cache: Any) -> None:
    """Count a cache among those that are there; it undergoes the changes that hold now."""
    _LIVING.add(cache)
    for change in _CHANGES:
        change.enter(cache)


@contextmanager
def changed(enter: Callable[[Any], AbstractContextManager[object]]) -> Generator[None]:
    """Enter `enter(cache)` for each cache that is there or is made inside; leave all at the end."""
    with ExitStack() as entered:
        change = _Change(enter, entered)
        # First the change, then the caches that it finds; `made` does it the other way round. So
        # one of the two sees the other, without a lock that each new cache would have to take.
        _CHANGES.append(change)
        try:
            for cache in list(_LIVING):
                change.enter(cache)
            yield
        finally:
            _CHANGES.remove(change)


class _Change:
    """What happens to each cache once, and is undone with `entered`."""

    def __init__(
        self, enter: Callable[[Any], AbstractContextManager[object]], entered: ExitStack
    ) -> None:
        self._enter = enter
        self._entered = entered
        self._known: WeakSet[Any] = WeakSet()
        self._lock = Lock()

    def enter(self, cache: Any) -> None:
        """Change a cache, unless another thread has done it."""
        with self._lock:
            if cache not in self._known:
                self._known.add(cache)
                self._entered.enter_context(self._enter(cache))
