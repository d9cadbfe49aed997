"""The backend that `CACHES` names, and the `Cache` behind an alias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.cache import DEFAULT_CACHE_ALIAS, caches

from dualcache import UsageError
from dualcache.integrations.django.async_methods import AsyncMethods
from dualcache.integrations.django.extras import ExtraMethods
from dualcache.integrations.django.sync_methods import SyncMethods

if TYPE_CHECKING:
    from dualcache import Cache

__all__ = ["DualCache", "dualcache_of"]


class DualCache(SyncMethods, AsyncMethods, ExtraMethods):
    """A cache of Django: all of its cache API, sync and async.

    `LOCATION` is the URL of a `Cache`, and `OPTIONS` are its options. `dualcache` is that `Cache`:
    all threads and aliases with the same two share it. So `close()`, which Django calls after each
    request, leaves its connections open.
    """

    async def aclose(self, **_: Any) -> None:
        """Do nothing, as `close()` does; Django's own version would start a thread for it."""

    def decr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        """Subtract from a counter, as `incr` adds."""
        return self.incr(key, -delta, version)

    async def adecr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        """Subtract from a counter, as `aincr` adds."""
        return await self.aincr(key, -delta, version)


def dualcache_of(alias: str = DEFAULT_CACHE_ALIAS) -> Cache:
    """Return the `Cache` behind an alias of `CACHES`, for its decorators and other methods.

    Raises `UsageError` if the alias has another backend.
    """
    backend = caches[alias]
    if not isinstance(backend, DualCache):
        raise UsageError(
            f"the cache {alias!r} of CACHES does not use dualcache",
            code="DC443",
            help='give it "BACKEND": "dualcache.integrations.django.DualCache"',
        )
    return backend.dualcache
