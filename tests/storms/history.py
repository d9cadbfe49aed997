"""The checker: what a read may have seen, given everything that all processes did."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Step(NamedTuple):
    """One operation; times are of the machine's one steady clock."""

    process: int
    kind: str
    key: int
    start: float
    end: float
    version: int
    is_certain: bool
    """A write's invalidation was acknowledged; a read is always certain."""


class Writes:
    """The writes of one key by the end of their invalidation."""

    def __init__(self, steps: Iterable[Step]) -> None:
        ordered = sorted(steps, key=lambda step: step.end)
        self._ends = [step.end for step in ordered]
        self._versions = list(accumulate((step.version for step in ordered), max))

    def newest_before(self, moment: float) -> int:
        """Return the newest version whose invalidation had ended by then."""
        index = bisect_left(self._ends, moment)
        return self._versions[index - 1] if index else 0


def stale_reads(steps: Iterable[Step]) -> list[tuple[Step, int]]:
    """Return each read that saw less than it had to, with the version that it had to see.

    A read has to see every version whose invalidation was acknowledged before the read began, and
    every one that its own process had invalidated, acknowledged or kept for the replay. That holds
    for a process that is cut off too: it shares no load that began before the caller came.
    """
    reads = [step for step in steps if step.kind == "read"]
    by_key: dict[object, list[Step]] = defaultdict(list)
    for step in steps:
        if step.kind == "write":
            by_key[step.process, step.key].append(step)
            if step.is_certain:
                by_key[step.key].append(step)
    writes = {name: Writes(each) for name, each in by_key.items()}
    found = []
    for read in reads:
        names = ((read.process, read.key), read.key)
        known = (writes[name] for name in names if name in writes)
        due = max((each.newest_before(read.start) for each in known), default=0)
        if read.version < due:
            found.append((read, due))
    return found
