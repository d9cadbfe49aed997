"""What a step read and wrote: two steps that do not touch each other lead to the same state.

So it is enough to take them in one order (sleep sets: P. Godefroid, "Partial-Order Methods for the
Verification of Concurrent Systems", LNCS 1032, 1996).
"""

from __future__ import annotations

EVERYTHING = "*"


class Footprint:
    """What was touched since the last `clear`: keys, processes, queues, and what rules count on."""

    __slots__ = ("reads", "writes")

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.writes: set[str] = set()

    def clear(self) -> None:
        self.reads = set()
        self.writes = set()


def are_independent(one: Footprint, other: Footprint) -> bool:
    """Tell whether the order of two steps makes no difference."""
    if EVERYTHING in one.writes or EVERYTHING in other.writes:
        return False
    return (
        one.writes.isdisjoint(other.writes)
        and one.writes.isdisjoint(other.reads)
        and one.reads.isdisjoint(other.writes)
    )
