"""Events, as values for observers. Labels are key templates, never keys or values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import astuple

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = [
    "BackendDown",
    "BackendUp",
    "Cleared",
    "Coalesced",
    "Differed",
    "Event",
    "Hit",
    "Invalidated",
    "LoadFailed",
    "Loaded",
    "MasterChanged",
    "Miss",
    "NotRead",
    "NotStored",
    "ObserverFailed",
    "PendingOverflowed",
    "RefreshRefused",
    "Replayed",
    "RightMissing",
    "ScansRefused",
    "StaleHit",
    "StoresStopped",
    "Tier",
    "Unusable",
    "WaitExpired",
]

Tier: TypeAlias = Literal["front", "redis", "memory"]


class Event(Struct, frozen=True):
    """Root of all events; `template` is the key template or the function's name, or empty.

    Events about one key have a field `key`. It is empty unless an observer asked for keys: they may
    identify people.
    """

    template: str = ""


class Hit(Event, frozen=True):
    """A fresh value was served from `tier`; `negative`: it was an exception, and was raised.

    `age` is how old the entry is in seconds, and `size_bytes` its size; of a copy in the front tier
    neither is known: `None` and 0.
    """

    tier: Tier = "redis"
    negative: bool = False
    age: float | None = None
    size_bytes: int = 0
    key: str = ""


class StaleHit(Event, frozen=True):
    """A stale value was served; `age` is how old its entry is, in seconds.

    `reason`: it is loaded anew in the background (`revalidate`), its load failed (`error`) or took
    too long (`timeout`), or has just failed elsewhere (`paused`).
    """

    tier: Tier = "redis"
    reason: str = ""
    age: float | None = None
    key: str = ""


class Miss(Event, frozen=True):
    """No usable entry was found; `reason` says why."""

    reason: str = "absent"
    key: str = ""


class Loaded(Event, frozen=True):
    """The user's function ran for `load_ms`; `outcome` tells whether its result was stored.

    `size_bytes` is the size of what was stored, 0 where nothing was.
    """

    load_ms: float = 0.0
    outcome: Literal["stored", "refused", "late", "not_stored", "unencodable", "backend_down"] = (
        "stored"
    )
    size_bytes: int = 0
    key: str = ""


class LoadFailed(Event, frozen=True):
    """The user's function raised; `error` is the name of the exception's type.

    `negative`: it is one of `cache_exceptions`, so an answer. Each load is told by this or by a
    `Loaded`, never by both. It ran for `load_ms`.
    """

    error: str = ""
    negative: bool = False
    load_ms: float = 0.0
    key: str = ""


class RefreshRefused(Event, frozen=True):
    """A load in the background was due and not started: as many ran as may."""


class Differed(Event, frozen=True):
    """A hit was another value than the function returns now, though nothing invalidated it.

    `age` is how old the entry is, in seconds.
    """

    age: float = 0.0
    tier: Tier = "redis"
    key: str = ""


class Coalesced(Event, frozen=True):
    """A caller got the result of a load that another caller of this process led.

    `waited_ms` is how long it waited. `trace` is the trace context of that load in the form of W3C
    Trace Context (`traceparent`), where the load was traced.
    """

    waited_ms: float = 0.0
    trace: str = ""
    key: str = ""


class WaitExpired(Event, frozen=True):
    """A caller waited its full bound for another's load, and loads too."""

    key: str = ""


class Unusable(Event, frozen=True):
    """The backend held something under a key that is no entry of ours; `reason` says why."""

    reason: str = ""
    key: str = ""


class NotStored(Event, frozen=True):
    """A value was returned but not stored; `help` is the line to write to fix it."""

    reason: str = ""
    help: str = ""


class NotRead(Event, frozen=True):
    """A stored value was not served: this reader would change it. `help` is the line to write."""

    reason: str = ""
    help: str = ""


class Invalidated(Event, frozen=True):
    """The result of an invalidation, and its event.

    `keys`, `tags` and `patterns` count what was asked for, `removed` what the backend had of it,
    `expired` the entries that `expire` has left to be served as stale ones.
    `pending` counts the deletions that could not be delivered yet; they are kept and replayed
    before this process next reads the backend. 0 means: no load that began before can be stored.
    """

    keys: int = 0
    tags: int = 0
    patterns: int = 0
    removed: int = 0
    pending: int = 0
    expired: int = 0


class Cleared(Invalidated, frozen=True):
    """The result of `cache_clear()` of a coroutine function; it may be awaited, too."""

    def __await__(self) -> Generator[None, None, Invalidated]:
        yield from ()
        return Invalidated(*astuple(self))


class MasterChanged(Event, frozen=True):
    """Another server is the master now; so many deletions of the last moments are repeated there.

    The old master had acknowledged them, and the new one may not have them.
    """

    repeated: int = 0


class Replayed(Event, frozen=True):
    """Deletions kept during an outage were delivered."""

    delivered: int = 0


class PendingOverflowed(Event, frozen=True):
    """More deletions were kept than the queue holds; reads stay off until a `clear()` arrives."""

    dropped: int = 0


class BackendDown(Event, frozen=True):
    """The breaker opened: the backend is not asked for `retry_ms`.

    `reason` is a code, or the first word of the server's error; `cause` says the same for people.
    `is_configuration`: waiting does not fix it, a person has to. `node`: the one of a cluster that
    it is about; the others are asked.
    """

    reason: str = ""
    cause: str = ""
    retry_ms: int = 0
    is_configuration: bool = False
    node: str = ""


class BackendUp(Event, frozen=True):
    """The backend answers again; in a cluster this `node`."""

    node: str = ""


class StoresStopped(Event, frozen=True):
    """The backend takes no writes (`OOM`, `READONLY`); reads and deletions go on."""

    reason: str = ""


class ScansRefused(Event, frozen=True):
    """The backend does not let its keys be listed, so patterns and clears cannot be delivered.

    They are kept, and tried again with each later invalidation; reads go on.
    """

    reason: str = ""


class RightMissing(Event, frozen=True):
    """The user of the server lacks a right, and one thing does not work, or takes longer.

    `right` is the rule of `ACL SETUSER`, `without` what is lost; `is_replaced`: only time is.
    """

    right: str = ""
    without: str = ""
    is_replaced: bool = False


class ObserverFailed(Event, frozen=True):
    """An observer raised; counted, and told to the other observers."""

    error: str = ""
