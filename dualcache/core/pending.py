"""A call that has come to its load, and whose caller runs the function."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Held", "PendingLoad"]


class Held(Protocol):
    """The rest of a call that a driver leaves with the caller, who runs the function."""

    def begin(self) -> None:
        """Say that the function runs now."""

    def finish(self, value: Any, error: BaseException | None, pending: PendingLoad) -> Any:
        """Go on with what the function gave; clear `pending` when nothing is to be given back."""

    def give_back(self) -> None:
        """Give back what a call holds that was interrupted."""


class PendingLoad(list[Held]):
    """Where a run leaves what it holds when it comes to its load; empty while there is nothing.

    The wrapper then calls the function in its own frame, with nothing of the cache between them: so
    recursion through a cached function goes as deep as through `functools.lru_cache`. A list that
    the caller gives, and not a result: an interrupt cannot come between holding and returning it.
    """

    __slots__ = ("error", "result")

    def begin(self) -> None:
        """Say that the function runs now; `result` or `error` is to be set by its caller."""
        self.result: Any = None
        self.error: BaseException | None = None
        self[0].begin()

    def finish(self) -> Any:
        """Store what the function gave, and return the value or raise what it raised."""
        value, error = self.result, self.error
        self.result = self.error = None
        try:
            return self[0].finish(value, error, self)
        finally:
            del value, error  # the user's frame leads back to this one: no cycle

    def close(self) -> None:
        """Give back what a call holds that was interrupted before its end."""
        try:
            self.result = self.error = None
            self[0].give_back()
        finally:
            self.clear()
