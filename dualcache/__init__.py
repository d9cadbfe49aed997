"""One cache for `def` and `async def`, on Redis or Valkey, that serves no invalidated value.

These are the public names. Values, events and errors are imported with the package, which is cheap.
`Cache` and its parts are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.core.entry import MISSING, NOT_MODIFIED, CacheInfo, Entry, NotModified
from dualcache.core.events import (
    BackendDown,
    BackendUp,
    Coalesced,
    Differed,
    Event,
    Hit,
    Invalidated,
    Loaded,
    LoadFailed,
    MasterChanged,
    Miss,
    NotRead,
    NotStored,
    ObserverFailed,
    PendingOverflowed,
    RefreshRefused,
    Replayed,
    RightMissing,
    ScansRefused,
    StaleHit,
    StoresStopped,
    Unusable,
    WaitExpired,
)
from dualcache.core.stored_head import StoredHead, read_head
from dualcache.core.warmed import Warmed
from dualcache.errors import (
    BackendError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    CacheIdentificationInferenceError,
    CodecError,
    DecodeError,
    DualCacheError,
    InvalidRequestError,
    KeyTemplateError,
    LoaderTimeout,
    MissingClientError,
    SignatureError,
    UnencodableValue,
    UnkeyableArgument,
    UsageError,
)

if TYPE_CHECKING:
    from dualcache.backends.redis.wire.rights import Right
    from dualcache.cache import Cache, each_cache
    from dualcache.codecs.outline import outline_of
    from dualcache.observability.stats import (
        Counts,
        Distribution,
        FleetMinute,
        FleetStats,
        FrontNodeStats,
        FrontStats,
        Stats,
        TemplateStats,
    )
    from dualcache.options.front_tier import FrontTier
    from dualcache.options.settings import Settings
    from dualcache.runtime.clocks import MovableClock

__version__ = "0.2.0"

__all__ = [
    "MISSING",
    "NOT_MODIFIED",
    "BackendDown",
    "BackendError",
    "BackendRefused",
    "BackendTimeout",
    "BackendUnavailable",
    "BackendUp",
    "Cache",
    "CacheIdentificationInferenceError",
    "CacheInfo",
    "Coalesced",
    "CodecError",
    "Counts",
    "DecodeError",
    "Differed",
    "Distribution",
    "DualCacheError",
    "Entry",
    "Event",
    "FleetMinute",
    "FleetStats",
    "FrontNodeStats",
    "FrontStats",
    "FrontTier",
    "Hit",
    "InvalidRequestError",
    "Invalidated",
    "KeyTemplateError",
    "LoadFailed",
    "Loaded",
    "LoaderTimeout",
    "MasterChanged",
    "Miss",
    "MissingClientError",
    "MovableClock",
    "NotModified",
    "NotRead",
    "NotStored",
    "ObserverFailed",
    "PendingOverflowed",
    "RefreshRefused",
    "Replayed",
    "Right",
    "RightMissing",
    "ScansRefused",
    "Settings",
    "SignatureError",
    "StaleHit",
    "Stats",
    "StoredHead",
    "StoresStopped",
    "TemplateStats",
    "UnencodableValue",
    "UnkeyableArgument",
    "Unusable",
    "UsageError",
    "WaitExpired",
    "Warmed",
    "each_cache",
    "outline_of",
    "read_head",
]

_LATER: Final = {
    "Right": "dualcache.backends.redis.wire.rights",
    "Cache": "dualcache.cache",
    "Counts": "dualcache.observability.stats",
    "Distribution": "dualcache.observability.stats",
    "FleetMinute": "dualcache.observability.stats",
    "FleetStats": "dualcache.observability.stats",
    "FrontNodeStats": "dualcache.observability.stats",
    "FrontStats": "dualcache.observability.stats",
    "FrontTier": "dualcache.options.front_tier",
    "MovableClock": "dualcache.runtime.clocks",
    "Settings": "dualcache.options.settings",
    "Stats": "dualcache.observability.stats",
    "TemplateStats": "dualcache.observability.stats",
    "each_cache": "dualcache.cache",
    "outline_of": "dualcache.codecs.outline",
}
"""Where the names live whose modules bring the engine along; the others are values alone."""


if not TYPE_CHECKING:  # or a checker takes every misspelt name for one that is there

    def __getattr__(name: str) -> Any:
        """Import one of these names when it is first asked for (PEP 562)."""
        home = _LATER.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
