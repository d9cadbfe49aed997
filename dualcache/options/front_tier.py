"""The options of the front tier, checked."""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

from msgspec import Struct

from dualcache.errors import UsageError
from dualcache.options.checks import to_int
from dualcache.options.durations import to_ms

__all__ = ["POLICIES", "TRANSPORTS", "FrontTier", "Policy", "Transport", "to_front", "to_own_front"]

Transport = Literal["auto", "tracking", "broadcast", "pubsub", "ttl"]
TRANSPORTS: Final[tuple[str, ...]] = get_args(Transport)

Policy = Literal["lru", "sieve"]
POLICIES: Final[tuple[str, ...]] = get_args(Policy)


class FrontTier(Struct, frozen=True):
    """The in-process tier: how much it keeps, and for how long.

    It keeps at most `max_entries`, and at most `max_bytes` of keys and encoded values if you set
    that. No copy is older than `max_age` seconds; with `None` it can be as old as its entry in the
    backend. `transport` is how it hears of changes by other processes: `"tracking"`, `"broadcast"`,
    `"pubsub"` (they publish them), `"ttl"` (not at all), or `"auto"`, which takes the first that
    works. `policy` is how it makes room: `"lru"`, or `"sieve"`, which keeps entries that are used
    often.
    """

    max_entries: int = 10_000
    max_bytes: int | None = None
    max_age: Any = 60
    transport: Transport = "auto"
    policy: Policy = "lru"

    def __post_init__(self) -> None:
        to_int(self.max_entries, "max_entries", owner="FrontTier()", minimum=1)
        if self.max_bytes is not None:
            to_int(self.max_bytes, "max_bytes", owner="FrontTier()", minimum=1)
        to_ms(self.max_age, option="max_age", owner="FrontTier()", allow_none=True)
        _to_one_of(TRANSPORTS, self.transport, "transport")
        _to_one_of(POLICIES, self.policy, "policy")


def _to_one_of(known: tuple[str, ...], chosen: Any, option: str) -> None:
    if chosen not in known:
        raise UsageError(
            f"FrontTier() has no {option} {chosen}",
            code="DC164",
            help=f"one of {', '.join(known)}",
        )


def to_front(
    front: FrontTier | int | None, option: str = "front", *, owner: str = "Cache()"
) -> FrontTier | None:
    """Return the tier that `front=` asks for; a number is its number of entries."""
    if front is None or front is False:
        return None
    if isinstance(front, FrontTier):
        return front
    return FrontTier(max_entries=to_int(front, option, owner=owner, minimum=1))


def to_own_front(front: FrontTier | int | bool, owner: str) -> FrontTier | None:
    """Return the limits that one function asks for; `None` if it shares the cache's.

    Raises `UsageError` for a transport: the whole cache hears changes in one way.
    """
    own = None if isinstance(front, bool) else to_front(front)
    if own is not None and own.transport != "auto":
        raise UsageError(
            f"the front tier of {owner} names a transport",
            code="DC167",
            details=(("transport", own.transport),),
            help="say it for the whole cache: Cache(…, front=FrontTier(transport=…))",
        )
    return own
