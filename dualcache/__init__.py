"""One cache for `def` and `async def`: Redis or Valkey behind it, no stale value in it."""

from __future__ import annotations

from dualcache.cache import Cache
from dualcache.core.entry import MISSING, Entry
from dualcache.core.events import (
    BackendDown,
    BackendUp,
    Coalesced,
    Event,
    Hit,
    Invalidated,
    Loaded,
    LoadFailed,
    Miss,
    NotStored,
    ObserverFailed,
    PendingOverflowed,
    Replayed,
    StaleHit,
    StoresStopped,
    Unusable,
    WaitExpired,
)
from dualcache.core.settings import Settings
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
from dualcache.fronting import FrontTier

__version__ = "0.1.0"

__all__ = [
    "MISSING",
    "BackendDown",
    "BackendError",
    "BackendRefused",
    "BackendTimeout",
    "BackendUnavailable",
    "BackendUp",
    "Cache",
    "CacheIdentificationInferenceError",
    "Coalesced",
    "CodecError",
    "DecodeError",
    "DualCacheError",
    "Entry",
    "Event",
    "FrontTier",
    "Hit",
    "InvalidRequestError",
    "Invalidated",
    "KeyTemplateError",
    "LoadFailed",
    "Loaded",
    "LoaderTimeout",
    "Miss",
    "MissingClientError",
    "NotStored",
    "ObserverFailed",
    "PendingOverflowed",
    "Replayed",
    "Settings",
    "SignatureError",
    "StaleHit",
    "StoresStopped",
    "UnencodableValue",
    "UnkeyableArgument",
    "Unusable",
    "UsageError",
    "WaitExpired",
]
