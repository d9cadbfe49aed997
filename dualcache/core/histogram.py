"""A histogram with fixed buckets, for the times of loads and the sizes of values."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BYTES_BOUNDS", "MS_BOUNDS", "Histogram", "percentile"]

_STEPS: Final = (1, 1.5, 2, 3, 5, 7)
MS_BOUNDS: Final = tuple(
    [round(step * 10.0**power, 3) for power in range(-2, 5) for step in _STEPS] + [100_000.0]
)
"""Upper bounds of times in milliseconds: from 0.01 ms to 100 s, six a decade."""
BYTES_BOUNDS: Final = tuple([float(64 << power) for power in range(21)])
"""Upper bounds of sizes in bytes: from 64 bytes to 64 MiB, each twice the one before."""


class Histogram(Struct):
    """Counts values by buckets: each holds the values up to its bound, the last one all larger."""

    bounds: tuple[float, ...]
    counts: list[int] = []
    total: float = 0.0

    def __post_init__(self) -> None:
        if not self.counts:
            self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float, times: int = 1) -> None:
        """Count a value, once or as often as it stands for."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def merge(self, other: Histogram) -> None:
        """Add what another histogram of the same buckets counted."""
        self.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    def sparse(self) -> dict[int, int]:
        """Return the buckets that hold anything, by their places."""
        return {at: count for at, count in enumerate(self.counts) if count}

    def fill(self, counts: Mapping[int, int], total: float) -> None:
        """Add what `sparse` returned elsewhere; places that do not exist count as the last."""
        for at, count in counts.items():
            self.counts[min(at, len(self.bounds))] += count
        self.total += total


def percentile(share: float, bounds: Sequence[float], counts: Sequence[int]) -> float | None:
    """Return the value below which a share of all values lies; `None` where there are none.

    Within a bucket values are taken as spread evenly. Those beyond the last bound count as it.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    below, lower = 0, 0.0
    for count, upper in zip(counts, bounds, strict=False):
        if count and below + count >= wanted:
            return lower + (upper - lower) * (wanted - below) / count
        below, lower = below + count, upper
    return lower
