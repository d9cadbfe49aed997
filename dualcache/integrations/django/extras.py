"""Methods that django-redis adds to Django's cache API, in both colours."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from dualcache.integrations.django.names import NamedCache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["ExtraMethods"]


class ExtraMethods(NamedCache):
    """`ttl`, `pttl`, `keys`, `iter_keys`, `delete_pattern` and `lock`, as in django-redis.

    Patterns are Redis's (`*`, `?`, `[…]`, and a backslash before a literal one), on the keys of one
    version and of this prefix. For a key whose name has more than 512 bytes, only the two ends can
    be matched and listed.
    """

    def ttl(self, key: Any, version: Any = None) -> int | None:
        """Return the seconds that a value has left; 0: there is none; `None`: it never expires."""
        return _seconds(self.pttl(key, version))

    async def attl(self, key: Any, version: Any = None) -> int | None:
        """Return the seconds that a value has left; 0: there is none; `None`: it never expires."""
        return _seconds(await self.apttl(key, version))

    def pttl(self, key: Any, version: Any = None) -> int | None:
        """Return the milliseconds that a value has left, as `ttl` does."""
        name = self.name_of(key, version)
        left = self.dualcache.ttl(name)
        if left is None:  # for ever, or nothing is stored
            return None if self.dualcache.contains(name) else 0
        return ceil(left * 1000)

    async def apttl(self, key: Any, version: Any = None) -> int | None:
        """Return the milliseconds that a value has left, as `attl` does."""
        name = self.name_of(key, version)
        left = await self.dualcache.aio.ttl(name)
        if left is None:  # for ever, or nothing is stored
            return None if await self.dualcache.aio.contains(name) else 0
        return ceil(left * 1000)

    def iter_keys(self, pattern: str = "*", version: Any = None) -> Iterator[str]:
        """Iterate over the keys that match, by SCAN, in no order."""
        for name in self.dualcache.keys(self.pattern_of(pattern, version)):
            yield self.key_of(name, version)

    async def aiter_keys(self, pattern: str = "*", version: Any = None) -> AsyncIterator[str]:
        """Iterate over the keys that match, by SCAN, in no order."""
        async for name in self.dualcache.aio.keys(self.pattern_of(pattern, version)):
            yield self.key_of(name, version)

    def keys(self, pattern: str = "*", version: Any = None) -> list[str]:
        """Return the keys that match; raises `BackendError` where the server fails."""
        return list(self.iter_keys(pattern, version))

    async def akeys(self, pattern: str = "*", version: Any = None) -> list[str]:
        """Return the keys that match; raises `BackendError` where the server fails."""
        return [key async for key in self.aiter_keys(pattern, version)]

    def delete_pattern(self, pattern: str, version: Any = None) -> int:
        """Delete the keys that match; return their number. Running loads of them store nothing."""
        return self.dualcache.invalidate(patterns=[self.pattern_of(pattern, version)]).removed

    async def adelete_pattern(self, pattern: str, version: Any = None) -> int:
        """Delete the keys that match; return their number. Running loads of them store nothing."""
        globs = [self.pattern_of(pattern, version)]
        return (await self.dualcache.aio.invalidate(patterns=globs)).removed

    def lock(self, key: Any, version: Any = None, **options: Any) -> Any:
        """Return redis-py's lock of this name; `options` are those of `redis.Redis.lock`.

        It is outside the namespace, so it meets neither a value nor `clear()`. Raises
        `MissingClientError` without a server.
        """
        return self.dualcache.client.lock(self._lock_name(key, version), **options)

    def alock(self, key: Any, version: Any = None, **options: Any) -> Any:
        """Return redis-py's asyncio lock, for `async with`; otherwise as `lock`."""
        return self.dualcache.aio.client.lock(self._lock_name(key, version), **options)

    def _lock_name(self, key: Any, version: Any) -> str:
        return f"{self.namespace}-lock:{self.name_of(key, version)}"


def _seconds(left_ms: int | None) -> int | None:
    """Return whole seconds, upwards: a value that is there has more than 0."""
    return None if left_ms is None else ceil(left_ms / 1000)
