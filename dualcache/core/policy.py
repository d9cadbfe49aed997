"""A function's policy, its counters, and one call of it: values that engine and faces share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct, field

from dualcache.core.entry import NO_OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualcache.core.entry import Tag, ValueCodec
    from dualcache.core.front_ports import Read

__all__ = [
    "BATCH_WEIGHT",
    "DYNAMIC_TTL_MS",
    "READ_WEIGHT",
    "Call",
    "Counters",
    "FunctionPort",
    "Policy",
    "no_loader",
]

DYNAMIC_TTL_MS: Final = 86_400_000
"""The assumed lifetime of an entry before its ttl is known from its value."""
READ_WEIGHT: Final = 1 / 16
"""How much one read moves the running share of hits."""
BATCH_WEIGHT: Final = 1 / 8
"""How much one batch of keys moves the running share of batches without a miss."""


class Counters:
    """Counters of one function; each is only ever added to, so a lost race costs one count."""

    __slots__ = (
        "coalesced",
        "hits",
        "load_ms",
        "loads",
        "misses",
        "negative_hits",
        "recent_hits",
        "refused",
        "stale_hits",
        "unread",
        "unstored",
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
        self.unstored = 0
        self.unread = 0
        self.refused = 0
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
        self.unstored += other.unstored
        self.unread += other.unread
        self.refused += other.refused
        self.load_ms = self.load_ms if other.load_ms is None else other.load_ms

    def count_miss(self) -> None:
        """Count a caller who has to load."""
        self.misses += 1
        self.recent_hits -= self.recent_hits * READ_WEIGHT

    def count_batch(self, *, is_whole: bool) -> None:
        """Count a batch of keys: whether each of them was a hit."""
        self.whole_batches += (is_whole - self.whole_batches) * BATCH_WEIGHT

    def count_load(self, load_ms: float) -> None:
        """Let `load_ms` enter the running mean of load times."""
        self.loads += 1
        known = self.load_ms
        self.load_ms = load_ms if known is None else known + (load_ms - known) / 4


class FunctionPort(Protocol):
    """One function's part of the front tier."""

    def find(self, call: Call) -> Any:
        """Return the caller's own value, or MISSING."""

    def holds(self, call: Call) -> bool:
        """Tell whether a call would be answered from here."""
        ...

    def begin_read(self, names: Iterable[str]) -> Any:
        """Return a ticket for names that are about to be read."""

    def install(self, call: Call, value: Any, read: Read) -> None:
        """Keep what was read, if nothing of it can have changed since its tickets."""


class Policy(Struct, frozen=True):
    """How the values of one function are stored and served.

    `ttl_ms=None` stores for ever, 0 does not store. The callables take the result and then the
    call's arguments. `label` is the key template or the function's name, for events.
    """

    label: str
    value_codec: ValueCodec
    ttl_ms: int | None
    ttl_of: Callable[..., int | None] | None = None
    tags_of: Callable[..., tuple[str, ...]] | None = None
    condition: Callable[..., object] | None = None
    stale_if_error_ms: int = 0
    stale_while_revalidate_ms: int = 0
    timeout_ms: int | None = None
    hard_timeout_ms: int | None = None
    early: float = 0.0
    """How many load times before it goes stale an entry is loaded anew, on average; 0: never."""
    verify: float = 0.0
    """The share of hits after which the function is run again, and the values are compared."""
    stale_on: tuple[type[Exception], ...] | Callable[[Exception], object] | None = None
    """Which exceptions a stale value may stand in for: types, or what is asked; `None`: outages."""
    refresh_from: Callable[..., Any] | None = None
    """Loads in the place of the function where its old entry is there, which it takes first."""
    negative_ttl_ms: int | None = None
    """For how long an exception is remembered that the codec lists; `None`: none is."""
    jitter: float = 0.0
    counters: Counters = field(default_factory=Counters)
    owner: bytes = NO_OWNER
    """The mark in entries and markers of this function; direct calls have none."""
    front: FunctionPort | None = None
    """Where this function's values are kept in process; `None`: nowhere."""

    @property
    def stale_ms(self) -> int:
        """For how long an entry stays in the backend after it has gone stale."""
        revalidate_ms = self.stale_while_revalidate_ms
        return (
            max(self.stale_if_error_ms, revalidate_ms) if revalidate_ms else self.stale_if_error_ms
        )


def no_loader() -> None:
    """Stand for the loader of a call that never loads."""


class Call(Struct, frozen=True):
    """One call of one function: its key and tags in full, its arguments and what loads it.

    `may_lack`: the function returns MISSING where there is no such value. `beside`: what this call
    stores lies beside entries of other shapes, and is valid while those are there; see
    `engine/beside.py`.
    """

    key: str
    policy: Policy
    tags: tuple[str, ...] = ()
    function: Callable[..., Any] = no_loader
    args: tuple[Any, ...] = ()
    may_lack: bool = False
    beside: tuple[Tag, ...] = ()
