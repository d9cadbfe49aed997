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

    Events about one key have a field `key`. It is empty unless an observer asked for keys, because
    they can identify people.
    """

    template: str = ""


class Hit(Event, frozen=True):
    """A fresh value was served from `tier`; `negative`: it was an exception, and was raised.

    `age` is the age of the entry in seconds, and `size_bytes` its size. For a copy in the front
    tier neither is known: they are `None` and 0.
    """

    tier: Tier = "redis"
    negative: bool = False
    age: float | None = None
    size_bytes: int = 0
    key: str = ""


class StaleHit(Event, frozen=True):
    """A stale value was served; `age` is the age of its entry, in seconds.

    `reason`: the entry is loaded again in the background (`revalidate`), its load failed (`error`),
    took too long (`timeout`), or has just failed elsewhere (`paused`).
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
    """The user's function ran for `load_ms`; `outcome` says whether its result was stored.

    `size_bytes` is the size of the stored value, or 0 if nothing was stored.
    """

    load_ms: float = 0.0
    outcome: Literal["stored", "refused", "late", "not_stored", "unencodable", "backend_down"] = (
        "stored"
    )
    size_bytes: int = 0
    key: str = ""


class LoadFailed(Event, frozen=True):
    """The user's function raised; `error` is the name of the exception's type.

    `negative`: the exception is one of `cache_exceptions`, so it is an answer. Each load emits this
    event or a `Loaded`, never both. The function ran for `load_ms`.
    """

    error: str = ""
    negative: bool = False
    load_ms: float = 0.0
    key: str = ""


class RefreshRefused(Event, frozen=True):
    """A load in the background was due and did not start: too many were running."""


class Differed(Event, frozen=True):
    """A hit differed from what the function returns now, and nothing had invalidated it.

    `age` is the age of the entry, in seconds.
    """

    age: float = 0.0
    tier: Tier = "redis"
    key: str = ""


class Coalesced(Event, frozen=True):
    """A caller got the result of a load that another caller of this process runs.

    `waited_ms` is how long it waited. `trace` is the trace context of that load in the form of W3C
    Trace Context (`traceparent`), if the load was traced.
    """

    waited_ms: float = 0.0
    trace: str = ""
    key: str = ""


class WaitExpired(Event, frozen=True):
    """A caller waited as long as allowed for another's load, and now loads too."""

    key: str = ""


class Unusable(Event, frozen=True):
    """The bytes under a key are not an entry of this cache; `reason` says why."""

    reason: str = ""
    key: str = ""


class NotStored(Event, frozen=True):
    """A value was returned but not stored; `help` says what to write to fix it."""

    reason: str = ""
    help: str = ""


class NotRead(Event, frozen=True):
    """A value was not served: this reader would change it. `help` says what to write."""

    reason: str = ""
    help: str = ""


class Invalidated(Event, frozen=True):
    """The result of an invalidation, and its event.

    `keys`, `tags` and `patterns` count the names you gave, `removed` the keys that the backend
    deleted, and `expired` the entries that `expire` left to be served as stale. `pending` counts
    the deletions that could not be delivered yet. They are kept, and replayed before this process
    next reads the backend. 0 means that no load that began before can be stored.
    """

    keys: int = 0
    tags: int = 0
    patterns: int = 0
    removed: int = 0
    pending: int = 0
    expired: int = 0


class Cleared(Invalidated, frozen=True):
    """The result of `cache_clear()` of a coroutine function; you can also await it."""

    def __await__(self) -> Generator[None, None, Invalidated]:
        yield from ()
        return Invalidated(*astuple(self))


class MasterChanged(Event, frozen=True):
    """Another server is the master; the latest `repeated` deletions are sent to it again.

    The old master had acknowledged them, and the new one may have missed them.
    """

    repeated: int = 0


class Replayed(Event, frozen=True):
    """Deletions that were kept during an outage were delivered."""

    delivered: int = 0


class PendingOverflowed(Event, frozen=True):
    """There were too many deletions to keep; reads stay off until a `clear()` arrives."""

    dropped: int = 0


class BackendDown(Event, frozen=True):
    """The circuit breaker opened: the backend is not asked for `retry_ms`.

    `reason` is a code, or the first word of the server's error; `cause` says the same for people.
    `is_configuration`: waiting does not fix it; somebody has to. `node`: the cluster node that it
    is about; the other nodes are still asked.
    """

    reason: str = ""
    cause: str = ""
    retry_ms: int = 0
    is_configuration: bool = False
    node: str = ""


class BackendUp(Event, frozen=True):
    """The backend answers again; in a cluster, this `node`."""

    node: str = ""


class StoresStopped(Event, frozen=True):
    """The backend takes no writes (`OOM`, `READONLY`); reads and deletions go on."""

    reason: str = ""


class ScansRefused(Event, frozen=True):
    """The backend refuses to list its keys, so patterns and clears cannot be delivered.

    They are kept, and tried again with each later invalidation. Reads go on.
    """

    reason: str = ""


class RightMissing(Event, frozen=True):
    """The server's user lacks a right, so one feature does not work, or takes longer.

    `right` is the rule of `ACL SETUSER`, and `without` says what you lose. `is_replaced`: you lose
    only time.
    """

    right: str = ""
    without: str = ""
    is_replaced: bool = False


class ObserverFailed(Event, frozen=True):
    """An observer raised; this is counted, and the other observers get this event."""

    error: str = ""
