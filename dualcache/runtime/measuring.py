"""The times of trips to the backend, measured only where somebody asked for it.

What performs operations is replaced by what measures, so that nothing is asked where nobody does.
"""

from __future__ import annotations

from itertools import cycle
from re import sub
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from dualcache.core.histogram import MS_BOUNDS, Histogram
from dualcache.core.ops import Look

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dualcache.core.ops import Op

    Record = Callable[[str, float], None]

__all__ = ["LOOKS", "OperationTimes"]

LOOKS: Final = 8
"""One look of so many is measured, and counts as all of them: a look is the whole trip of a hit."""


class OperationTimes:
    """Histograms of trips by kind of operation, for the backends of one cache."""

    def __init__(self) -> None:
        self._histograms: dict[str, Histogram] = {}
        self._names: dict[type[Any], str] = {}
        self._records: list[Record] = []

    def record_by(self, record: Record) -> None:
        """Have each measured trip given to `record` too, with its time in seconds."""
        self._records.append(record)

    def histograms(self) -> dict[str, Histogram]:
        """Return the measurements so far, by the name of the operation."""
        return self._histograms.copy()

    def timed(self, perform: Callable[[Op[Any]], Any]) -> Callable[[Op[Any]], Any]:
        """Return a function that performs and measures; failures are measured, too."""
        is_turn = cycle([*[False] * (LOOKS - 1), True]).__next__

        def performed(op: Op[Any]) -> Any:
            if type(op) is Look and not is_turn():
                return perform(op)
            began = perf_counter()
            try:
                return perform(op)
            finally:
                self._note(type(op), perf_counter() - began)

        return performed

    def atimed(
        self, perform: Callable[[Op[Any]], Awaitable[Any]]
    ) -> Callable[[Op[Any]], Awaitable[Any]]:
        """Return the same for coroutines."""
        is_turn = cycle([*[False] * (LOOKS - 1), True]).__next__

        def performed(op: Op[Any]) -> Awaitable[Any]:
            if type(op) is Look and not is_turn():
                return perform(op)
            return measured(op)

        async def measured(op: Op[Any]) -> Any:
            began = perf_counter()
            try:
                return await perform(op)
            finally:
                self._note(type(op), perf_counter() - began)

        return performed

    def _note(self, kind: type[Any], seconds: float) -> None:
        name = self._names.get(kind)
        if name is None:
            name = self._names[kind] = sub("(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
            self._histograms.setdefault(name, Histogram(MS_BOUNDS))
        self._histograms[name].add(seconds * 1000, LOOKS if kind is Look else 1)
        for record in self._records:
            record(name, seconds)
