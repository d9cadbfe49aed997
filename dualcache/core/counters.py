"""The counters of one function, which its flows add to and `stats()` reads."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from dualcache.core.histogram import BYTES_BOUNDS, MS_BOUNDS, Histogram

__all__ = [
    "BATCH_WEIGHT",
    "DIRECT",
    "MOST_REASONS",
    "OTHER_REASONS",
    "READ_WEIGHT",
    "Counters",
    "Tally",
]

DIRECT: Final = "direct"
"""The label of direct calls, in events and statistics."""
READ_WEIGHT: Final = 1 / 16
"""How much one read moves the running share of hits."""
BATCH_WEIGHT: Final = 1 / 8
"""How much one batch of keys moves the running share of batches without a miss."""
MOST_REASONS: Final = 16
"""How many reasons one function tells apart; a reason may name a place in a value."""
OTHER_REASONS: Final = "others"


class Counters:
    """Counters of one function; each is only ever added to, so a lost race costs one count.

    What only a miss or a load adds to is made at the first: a function that always hits has none.
    """

    __slots__ = (
        "coalesced",
        "differed",
        "hits",
        "load_failures",
        "load_ms",
        "load_times",
        "loads",
        "miss_reasons",
        "misses",
        "negative_hits",
        "not_stored",
        "oldest_differed",
        "recent_hits",
        "refused",
        "stale_hits",
        "stored_bytes",
        "unread",
        "unstored",
        "verified",
        "whole_batches",
    )

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin counting anew."""
        self.hits = 0
        self.misses = 0
        self.stale_hits = 0
        self.negative_hits = 0
        self.coalesced = 0
        self.loads = 0
        self.load_failures = 0
        self.unstored = 0
        self.unread = 0
        self.refused = 0
        self.verified = 0
        self.differed = 0
        self.oldest_differed = 0.0
        """Age in seconds of the oldest entry that differed."""
        self.miss_reasons: dict[str, int] = {}
        self.not_stored: dict[str, int] = {}
        self.load_times: Histogram | None = None
        self.stored_bytes: Histogram | None = None
        self.load_ms: float | None = None
        self.recent_hits = 1.0
        """Share of hits among recent reads, as a running mean."""
        self.whole_batches = 0.0
        """Share of recent batches of keys of which each was a hit, as a running mean."""

    def add(self, other: Counters) -> None:
        """Add what another function counted; the load time is that of the last one measured."""
        self.hits += other.hits
        self.misses += other.misses
        self.stale_hits += other.stale_hits
        self.negative_hits += other.negative_hits
        self.coalesced += other.coalesced
        self.loads += other.loads
        self.load_failures += other.load_failures
        self.unstored += other.unstored
        self.unread += other.unread
        self.refused += other.refused
        self.verified += other.verified
        self.differed += other.differed
        self.oldest_differed = max(self.oldest_differed, other.oldest_differed)
        # A copy of each: another thread may add a reason meanwhile.
        _add_reasons(self.miss_reasons, other.miss_reasons.copy())
        _add_reasons(self.not_stored, other.not_stored.copy())
        self.load_times = _merged(self.load_times, other.load_times)
        self.stored_bytes = _merged(self.stored_bytes, other.stored_bytes)
        self.load_ms = self.load_ms if other.load_ms is None else other.load_ms

    def count_miss(self, reason: str = "absent") -> None:
        """Count a caller who has to load, and why."""
        self.misses += 1
        self.recent_hits -= self.recent_hits * READ_WEIGHT
        if reason in self.miss_reasons:
            self.miss_reasons[reason] += 1
        else:
            _add_reasons(self.miss_reasons, {reason: 1})

    def count_batch(self, *, is_whole: bool) -> None:
        """Count a batch of keys: whether each of them was a hit."""
        self.whole_batches += (is_whole - self.whole_batches) * BATCH_WEIGHT

    def count_load(self, load_ms: float) -> None:
        """Let `load_ms` enter the running mean of load times."""
        self.loads += 1
        known = self.load_ms
        self.load_ms = load_ms if known is None else known + (load_ms - known) / 4
        if self.load_times is None:
            self.load_times = Histogram(MS_BOUNDS)
        self.load_times.add(load_ms)

    def count_stored(self, size_bytes: int) -> None:
        """Count a value that was stored, by its size."""
        if self.stored_bytes is None:
            self.stored_bytes = Histogram(BYTES_BOUNDS)
        self.stored_bytes.add(size_bytes)

    def count_unstored(self, reason: str) -> None:
        """Count a value that was loaded and not stored, and why."""
        _add_reasons(self.not_stored, {reason: 1})

    def count_differed(self, age: float) -> None:
        """Count a hit that `verify` found to be another value than the function returns now."""
        self.differed += 1
        self.oldest_differed = max(self.oldest_differed, age)


class Tally(Struct):
    """What all functions of one label counted, those that have gone included.

    `function` is the name of one of them, `front_hits` are hits of the front tier: each entry there
    counts its own.
    """

    counters: Counters
    front_hits: int = 0
    function: str = ""
    ttl: float | None = None
    invalidations: int = 0
    invalidated_at: float | None = None


def _add_reasons(reasons: dict[str, int], more: dict[str, int]) -> None:
    for reason, count in more.items():
        is_known = reason in reasons or len(reasons) < MOST_REASONS
        name = reason if is_known else OTHER_REASONS
        reasons[name] = reasons.get(name, 0) + count


def _merged(own: Histogram | None, other: Histogram | None) -> Histogram | None:
    if other is None:
        return own
    if own is None:
        own = Histogram(other.bounds)
    own.merge(other)
    return own
