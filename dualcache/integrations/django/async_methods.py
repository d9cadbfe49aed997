"""Django's cache API for async code, without threads; decisions are in `calls.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from dualcache.integrations.django.calls import Decisions, aperformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dualcache import Invalidated

__all__ = ["AsyncMethods"]


class AsyncMethods(Decisions):
    """The coroutines of Django's `BaseCache`, on the async face; `tags` are an addition."""

    async def aget(self, key: Any, default: Any = None, version: Any = None) -> Any:
        """Return the stored value, or `default`."""
        return await self.dualcache.aio.get(self.name_of(key, version), default)

    async def aget_many(self, keys: Iterable[Any], version: Any = None) -> dict[Any, Any]:
        """Return the stored values of these keys; a missing key is left out."""
        names = self.names_of(keys, version)
        found = await self.dualcache.aio.get_many(names)
        return {names[name]: value for name, value in found.items()}

    async def ahas_key(self, key: Any, version: Any = None) -> bool:
        """Return whether a value is stored; it is not decoded."""
        return await self.dualcache.aio.contains(self.name_of(key, version))

    async def aset(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Iterable[str] = (),
    ) -> None:
        """Store a value; with a timeout of 0 the key is deleted. Raises `NotPicklable`."""
        call = self._setting(key, value, timeout, version, tags)
        await aperformed(call, self.dualcache.aio)

    async def aset_many(
        self,
        data: Mapping[Any, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Iterable[str] = (),
    ) -> list[Any]:
        """Store several values, or none if one cannot be encoded; return the keys that failed."""
        call = self._setting_many(data, timeout, version, tags)
        return await aperformed(call, self.dualcache.aio)

    async def aadd(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Iterable[str] = (),
    ) -> bool:
        """Store a value if there is none; of many callers at once, in any process, one does it."""
        call = self._adding(key, value, timeout, version, tags)
        return await aperformed(call, self.dualcache.aio)

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """Give a value a new timeout; return whether it exists. A timeout of 0 deletes it."""
        call = self._touching(key, timeout, version)
        return await aperformed(call, self.dualcache.aio)

    async def aget_or_set(
        self,
        key: Any,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Iterable[str] = (),
    ) -> Any:
        """Return the stored value, or that of `default`, called once for all callers at once.

        This holds across processes. An invalidation during the call keeps the value from being
        stored.
        """
        # What the default raises is its own.
        return await self._loading(key, default, timeout, version, tags).sent_to(self.dualcache.aio)

    async def adelete(self, key: Any, version: Any = None) -> bool:
        """Delete a value; return whether there was one. A running load of it stores nothing."""
        call = self._deleting(key, version)
        return await aperformed(call, self.dualcache.aio)

    async def adelete_many(self, keys: Iterable[Any], version: Any = None) -> None:
        """Delete several values in one trip."""
        await self.dualcache.aio.invalidate(*self.names_of(keys, version))

    async def aclear(self) -> None:
        """Delete everything in the namespace, of all prefixes and versions."""
        await self.dualcache.aio.clear()

    async def aincr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        """Add to a counter, which keeps its timeout; no count is lost, in any process.

        Raises `ValueError` if none is stored or the server fails, `TypeError` for other values.
        """
        call = self._counting(key, delta, version)
        return await aperformed(call, self.dualcache.aio)

    async def ainvalidate(
        self,
        *keys: Any,
        version: Any = None,
        tags: Iterable[str] = (),
        patterns: Iterable[str] = (),
        hold: Any = 0,
    ) -> Invalidated:
        """Delete keys, entries with these tags, and keys that match, as `Cache.invalidate` does.

        Keys and patterns are those of one version and of this prefix; tags are those of the whole
        namespace.
        """
        call = self._invalidating(keys, version, tags, patterns, hold)
        return await aperformed(call, self.dualcache.aio)
