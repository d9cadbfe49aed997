"""The times of trips to the backend, measured only where somebody asked for it.

What performs operations is replaced by what measures, so that nothing is asked where nobody does.
"""

from __future__ import annotations

from itertools import chain, cycle, repeat
from re import sub
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from dualcache.core.histogram import MS_BOUNDS, Histogram
from dualcache.core.ops import Look

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from dualcache.core.ops import Op

    Record = Callable[[str, float], None]

__all__ = ["LOOKS", "OperationTimes"]

LOOKS: Final = 64
"""The first so many looks are measured, then one of so many, which counts as all of them.

A look is the whole trip of a hit, so each measurement is a part of what a hit costs.
"""


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
        next_weight = _weights().__next__

        def performed(op: Op[Any]) -> Any:
            weight = next_weight() if type(op) is Look else 1
            if not weight:
                return perform(op)
            began = perf_counter()
            try:
                return perform(op)
            finally:
                self._note(type(op), perf_counter() - began, weight)

        return performed

    def atimed(
        self, perform: Callable[[Op[Any]], Awaitable[Any]]
    ) -> Callable[[Op[Any]], Awaitable[Any]]:
        """Return the same for coroutines."""
        next_weight = _weights().__next__

        def performed(op: Op[Any]) -> Awaitable[Any]:
            weight = next_weight() if type(op) is Look else 1
            return measured(op, weight) if weight else perform(op)

        async def measured(op: Op[Any], weight: int) -> Any:
            began = perf_counter()
            try:
                return await perform(op)
            finally:
                self._note(type(op), perf_counter() - began, weight)

        return performed

    def _note(self, kind: type[Any], seconds: float, weight: int) -> None:
        name = self._names.get(kind)
        if name is None:
            name = self._names[kind] = sub("(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
            self._histograms.setdefault(name, Histogram(MS_BOUNDS))
        self._histograms[name].add(seconds * 1000, weight)
        for record in self._records:
            record(name, seconds)


def _weights() -> Iterator[int]:
    """Yield for each look how many it counts as; 0: it is not measured."""
    # An iterator in C: threads that share it lose no turn, and it is quicker than a counter.
    return chain(repeat(1, LOOKS), cycle([*[0] * (LOOKS - 1), LOOKS]))
