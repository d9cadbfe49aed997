"""Django's cache API for sync code; the twin of `async_methods.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from dualcache import UnencodableValue, UsageError
from dualcache.integrations.django.names import NamedCache
from dualcache.integrations.django.values import (
    Existing,
    loader_of,
    not_picklable,
    refuse_counting,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dualcache import Invalidated

__all__ = ["SyncMethods"]


class SyncMethods(NamedCache):
    """The methods of Django's `BaseCache`, over the sync face; `tags` are an addition."""

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        """Return the stored value, or `default`."""
        return self.dualcache.get(self.name_of(key, version), default)

    def get_many(self, keys: Iterable[Any], version: Any = None) -> dict[Any, Any]:
        """Return the stored values of these keys; a missing key is left out."""
        names = self.names_of(keys, version)
        found = self.dualcache.get_many(names)
        return {names[name]: value for name, value in found.items()}

    def has_key(self, key: Any, version: Any = None) -> bool:
        """Tell whether a value is stored; it is not decoded."""
        return self.dualcache.contains(self.name_of(key, version))

    def set(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Iterable[str] = (),
    ) -> None:
        """Store a value; with a timeout of 0 the key is deleted. Raises `NotPicklable`."""
        ttl = self.get_backend_timeout(timeout)
        try:
            self.dualcache.set(self.name_of(key, version), value, ttl=ttl, tags=tags)
        except UnencodableValue as error:
            raise not_picklable(error) from error.__cause__

    def set_many(
        self,
        data: Mapping[Any, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Iterable[str] = (),
    ) -> list[Any]:
        """Store several values, all or none of which are encoded; return the keys that failed."""
        names = self.names_of(data, version)
        values = {name: data[key] for name, key in names.items()}
        ttl = self.get_backend_timeout(timeout)
        try:
            stored = self.dualcache.set_many(values, ttl=ttl, tags=tags)
        except UnencodableValue as error:
            raise not_picklable(error) from error.__cause__
        return failed(names, stored) if ttl != 0 else []

    def add(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Iterable[str] = (),
    ) -> bool:
        """Store a value where none is; of several callers at once, in any process, one does."""
        name, ttl = self.name_of(key, version), self.get_backend_timeout(timeout)
        if ttl == 0:  # it would end at once
            return not self.dualcache.contains(name)
        try:
            return self.dualcache.add(name, value, ttl=ttl, tags=tags)
        except UnencodableValue as error:
            raise not_picklable(error) from error.__cause__

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """Give a value a new timeout; tell whether it is there. A timeout of 0 deletes it."""
        ttl = self.get_backend_timeout(timeout)
        if ttl == 0:
            return self.delete(key, version)
        return self.dualcache.touch(self.name_of(key, version), ttl=ttl)

    def get_or_set(
        self,
        key: Any,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Iterable[str] = (),
    ) -> Any:
        """Return the stored value, else that of `default`, called once for all callers at once.

        In any process. An invalidation meanwhile keeps the value from being stored.
        """
        ttl = self.get_backend_timeout(timeout)
        name = self.name_of(key, version)
        return self.dualcache.get_or_load(name, loader_of(default), ttl=ttl, tags=tags)

    def delete(self, key: Any, version: Any = None) -> bool:
        """Delete a value; tell whether there was one. A load of it under way stores nothing."""
        return self.dualcache.invalidate(self.name_of(key, version)).removed > 0

    def delete_many(self, keys: Iterable[Any], version: Any = None) -> None:
        """Delete several values in one trip."""
        self.dualcache.invalidate(*self.names_of(keys, version))

    def clear(self) -> None:
        """Delete everything in the namespace, of all prefixes and versions."""
        self.dualcache.clear()

    def incr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        """Add to a counter, which keeps its timeout; no count is lost, in any process.

        Raises `ValueError` where none is stored or the server fails, `TypeError` for other values.
        """
        existing = Existing()
        try:
            total = self.dualcache.incr(self.name_of(key, version), delta, ttl=existing)
        except UsageError as error:
            refuse_counting(error)
        return existing.checked(total, key)

    def invalidate(
        self,
        *keys: Any,
        version: Any = None,
        tags: Iterable[str] = (),
        patterns: Iterable[str] = (),
        hold: Any = 0,
    ) -> Invalidated:
        """Delete keys, entries with these tags, and keys that match, as `Cache.invalidate` does.

        Keys and patterns are of one version and of this prefix; tags of the whole namespace.
        """
        names = self.names_of(keys, version)
        globs = [self.pattern_of(pattern, version) for pattern in patterns]
        return self.dualcache.invalidate(*names, tags=tags, patterns=globs, hold=hold)


def failed(names: Mapping[str, Any], stored: Iterable[str]) -> list[Any]:
    """Return the keys of the names that were not stored."""
    there = {*stored}
    return [key for name, key in names.items() if name not in there]
