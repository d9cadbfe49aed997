"""What a run found, as it is printed, written as JSON and drawn."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Row(msgspec.Struct, frozen=True):
    """One subject in one case: a value for each round, the median of which counts.

    `cpu` is the processor time of this process for the same work, where one caller was measured.
    `x` is what a plot is drawn over, as in the number of callers.
    """

    case: str
    subject: str
    unit: str
    rounds: tuple[float, ...]
    cpu: tuple[float, ...] = ()
    x: float | None = None

    @property
    def value(self) -> float:
        return statistics.median(self.rounds)

    @property
    def cpu_value(self) -> float | None:
        return statistics.median(self.cpu) if self.cpu else None


class Reached(msgspec.Struct, frozen=True):
    """A target beside what was reached; `None`: this run could not measure it.

    `by_processor` is the same ratio by processor time, which a busy machine hardly changes.
    """

    promise: str
    compared: str
    limit: str
    reached: float | None
    is_met: bool | None
    by_processor: float | None = None


class Topic(msgspec.Struct, frozen=True):
    """The rows of one topic, what it was held to, and what was left out and why."""

    rows: list[Row]
    targets: list[Reached]
    notes: list[str]


class Results(msgspec.Struct, frozen=True):
    """One run: where, with which versions, and what was found."""

    machine: dict[str, str]
    is_quick: bool
    topics: dict[str, Topic]


def ratio(of: Row, to: Row) -> float:
    """Return how many times as much `of` takes, as the median over rounds taken side by side."""
    return median_ratio(of.rounds, to.rounds)


def cpu_ratio(of: Row, to: Row) -> float | None:
    """Return the same by processor time; `None` where that was not measured."""
    return median_ratio(of.cpu, to.cpu) if of.cpu and any(to.cpu) else None


def median_ratio(left: Sequence[float], right: Sequence[float]) -> float:
    if len(left) == len(right) and all(right):
        return statistics.median(one / other for one, other in zip(left, right, strict=True))
    return statistics.median(left) / statistics.median(right)


def write_results(results: Results, path: Path) -> None:
    """Write a run as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))


def read_results(path: Path) -> Results:
    """Read what `write_results` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Results)
