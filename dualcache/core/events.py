"""What happened, as values for observers. Labels are key templates, never keys or values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Tier: TypeAlias = Literal["front", "redis", "memory"]


@dataclass(frozen=True, slots=True)
class Event:
    """Root of all events; `template` is the key template or the function's name, or empty."""

    template: str = ""


@dataclass(frozen=True, slots=True)
class Hit(Event):
    """A fresh value was served from `tier`."""

    tier: Tier = "redis"


@dataclass(frozen=True, slots=True)
class StaleHit(Event):
    """A stale value was served: its load failed, or is under way elsewhere."""

    tier: Tier = "redis"


@dataclass(frozen=True, slots=True)
class Miss(Event):
    """Nothing usable was stored; `reason` says what was found instead."""

    reason: str = "absent"


@dataclass(frozen=True, slots=True)
class Loaded(Event):
    """The user's function ran for `load_ms`; `outcome` says what became of its result."""

    load_ms: float = 0.0
    outcome: Literal["stored", "refused", "not_stored", "unencodable", "backend_down"] = "stored"


@dataclass(frozen=True, slots=True)
class LoadFailed(Event):
    """The user's function raised; `error` is the name of the exception's type."""

    error: str = ""


@dataclass(frozen=True, slots=True)
class Coalesced(Event):
    """A caller got the result of a load that another caller of this process led."""


@dataclass(frozen=True, slots=True)
class WaitExpired(Event):
    """A caller waited its full bound for another's load, and then loaded without storing."""


@dataclass(frozen=True, slots=True)
class Unusable(Event):
    """What the backend held under a key was no value of ours; `reason` says why."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class NotStored(Event):
    """A value was returned but not stored; `help` is the line to write to mend it."""

    reason: str = ""
    help: str = ""


@dataclass(frozen=True, slots=True)
class Invalidated(Event):
    """The result of an invalidation, and its event.

    `keys`, `tags` and `patterns` count what was asked for, `removed` what the backend had of it.
    `pending` counts the deletions that could not be delivered yet; they are kept and replayed
    before this process next reads the backend. 0 means: no load that began before can be stored.
    """

    keys: int = 0
    tags: int = 0
    patterns: int = 0
    removed: int = 0
    pending: int = 0


@dataclass(frozen=True, slots=True)
class Replayed(Event):
    """Deletions kept during an outage were delivered."""

    delivered: int = 0


@dataclass(frozen=True, slots=True)
class PendingOverflowed(Event):
    """More deletions were kept than the queue holds; reads stay off until a `clear()` arrives."""

    dropped: int = 0


@dataclass(frozen=True, slots=True)
class BackendDown(Event):
    """The breaker opened: the backend is not asked for `retry_ms`.

    `is_configuration`: it will not mend itself, a person is needed.
    """

    reason: str = ""
    retry_ms: int = 0
    is_configuration: bool = False


@dataclass(frozen=True, slots=True)
class BackendUp(Event):
    """The backend answers again."""


@dataclass(frozen=True, slots=True)
class StoresStopped(Event):
    """The backend takes no writes (`OOM`, `READONLY`); reads and deletions go on."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class ObserverFailed(Event):
    """An observer raised; counted, and told to the other observers."""

    error: str = ""
