"""Litestar: `DualStore`, a store for sessions and responses, and `DualCachePlugin`."""

from __future__ import annotations

import re
from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING, Final

from litestar.di import Provide
from litestar.plugins import InitPlugin
from litestar.stores.base import NamespacedStore
from litestar.stores.registry import StoreRegistry

from dualcache import Cache, UsageError

if TYPE_CHECKING:
    from litestar.config.app import AppConfig

__all__ = ["DEFAULT_NAMESPACE", "DualCachePlugin", "DualStore"]

DEFAULT_NAMESPACE: Final = "litestar"
"""So that `delete_all()` deletes what Litestar has stored, and no other key of the cache."""

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_-]+")


class DualStore(NamespacedStore):
    """A store of Litestar in a `Cache`; its keys are `namespace:key` there.

    `with_namespace` gives a store within this one: `delete_all` deletes the values of both. If the
    server fails, reads find nothing, writes are dropped, and deletions are delivered later.
    """

    __slots__ = ("cache",)

    def __init__(self, cache: Cache, namespace: str = DEFAULT_NAMESPACE) -> None:
        self.cache = cache
        self.namespace = _checked(namespace)

    def with_namespace(self, namespace: str) -> DualStore:
        """Return the store of a namespace within this one."""
        inner = type(self)(self.cache, namespace)
        inner.namespace = f"{self.namespace}:{inner.namespace}"
        return inner

    def name_of(self, key: str) -> str:
        """Return the key of the cache under which a value is stored."""
        # Escaping leaves no ":" in the key: no key of this store looks like one of a store within.
        return self.cache.key(f"{self.namespace}:{{key}}", key=key)

    async def set(
        self, key: str, value: str | bytes, expires_in: float | timedelta | None = None
    ) -> None:
        """Store a value for that many seconds; `None`: for ever; 0 or less: delete it."""
        if isinstance(expires_in, timedelta):
            expires_in = expires_in.total_seconds()
        if expires_in is not None and expires_in <= 0:
            return await self.delete(key)
        data = value.encode() if isinstance(value, str) else bytes(value)
        await self.cache.aio.set(self.name_of(key), data, ttl=expires_in)
        return None

    async def get(self, key: str, renew_for: float | timedelta | None = None) -> bytes | None:
        """Return a value; with `renew_for`, one that expires gets so many seconds from now on."""
        name = self.name_of(key)
        if not renew_for:
            found: bytes | None = await self.cache.aio.get(name)
            return found
        entry = await self.cache.aio.peek(name)
        if entry is None or entry.stale:
            return None
        # A value without an end keeps none: what renews sessions must not make others expire.
        if entry.ttl is not None:
            await self.cache.aio.touch(name, ttl=renew_for)
        value: bytes = entry.value
        return value

    async def delete(self, key: str) -> None:
        """Delete a value, if there is one."""
        await self.cache.aio.invalidate(self.name_of(key))

    async def delete_all(self) -> None:
        """Delete the values of this store and of those within it."""
        await self.cache.aio.invalidate(patterns=[f"{self.namespace}:*"])

    async def exists(self, key: str) -> bool:
        """Tell whether a value is stored."""
        return await self.cache.aio.contains(self.name_of(key))

    async def expires_in(self, key: str) -> int | None:
        """Return the seconds that a value has left; -1: it never expires; `None`: it is missing."""
        name = self.name_of(key)
        left = await self.cache.aio.ttl(name)
        if left is not None:
            return ceil(left)
        return -1 if await self.cache.aio.contains(name) else None


class DualCachePlugin(InitPlugin):
    """Opens and closes a cache with the application, and keeps its stores in it.

    Stores that the application does not register itself (by default those of sessions and
    responses) are stores within `DualStore(cache, namespace)`. Handlers get the cache as a
    dependency named `dualcache`.
    """

    def __init__(self, cache: Cache, namespace: str = DEFAULT_NAMESPACE) -> None:
        self.cache = cache
        self.store = DualStore(cache, namespace)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the lifespan, the stores and the dependency."""
        # First in, last out: the program's own lifespans may use the cache until they end.
        app_config.lifespan.insert(0, self.cache.lifespan)
        app_config.dependencies.setdefault("dualcache", Provide(self._cache, sync_to_thread=False))
        app_config.signature_types.append(Cache)
        if not isinstance(app_config.stores, StoreRegistry):  # which has a factory of its own
            registered = app_config.stores or {}
            app_config.stores = StoreRegistry(registered, self.store.with_namespace)
        return app_config

    def _cache(self) -> Cache:
        return self.cache


def _checked(namespace: object) -> str:
    if isinstance(namespace, str) and _NAMESPACE.fullmatch(namespace):
        return namespace
    raise UsageError(
        f"{namespace!r} is not a namespace for a store",
        code="DC470",
        help="write it with letters, digits, _ and -; with_namespace() makes one within another",
    )
