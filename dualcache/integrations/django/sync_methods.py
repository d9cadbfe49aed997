"""Django's cache API for sync code; decisions are in `calls.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from dualcache.integrations.django.calls import Decisions, performed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dualcache import Invalidated

__all__ = ["SyncMethods"]


class SyncMethods(Decisions):
    """The methods of Django's `BaseCache`, on the sync face; `tags` are an addition."""

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        """Return the stored value, or `default`."""
        return self.dualcache.get(self.name_of(key, version), default)

    def get_many(self, keys: Iterable[Any], version: Any = None) -> dict[Any, Any]:
        """Return the stored values of these keys; a missing key is left out."""
        names = self.names_of(keys, version)
        found = self.dualcache.get_many(names)
        return {names[name]: value for name, value in found.items()}

    def has_key(self, key: Any, version: Any = None) -> bool:
        """Return whether a value is stored; it is not decoded."""
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
        call = self._setting(key, value, timeout, version, tags)
        performed(call, self.dualcache)

    def set_many(
        self,
        data: Mapping[Any, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Iterable[str] = (),
    ) -> list[Any]:
        """Store several values, or none if one cannot be encoded; return the keys that failed."""
        call = self._setting_many(data, timeout, version, tags)
        return performed(call, self.dualcache)

    def add(
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
        return performed(call, self.dualcache)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """Give a value a new timeout; return whether it exists. A timeout of 0 deletes it."""
        call = self._touching(key, timeout, version)
        return performed(call, self.dualcache)

    def get_or_set(
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
        return self._loading(key, default, timeout, version, tags).sent_to(self.dualcache)

    def delete(self, key: Any, version: Any = None) -> bool:
        """Delete a value; return whether there was one. A running load of it stores nothing."""
        call = self._deleting(key, version)
        return performed(call, self.dualcache)

    def delete_many(self, keys: Iterable[Any], version: Any = None) -> None:
        """Delete several values in one trip."""
        self.dualcache.invalidate(*self.names_of(keys, version))

    def clear(self) -> None:
        """Delete everything in the namespace, of all prefixes and versions."""
        self.dualcache.clear()

    def incr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        """Add to a counter, which keeps its timeout; no count is lost, in any process.

        Raises `ValueError` if none is stored or the server fails, `TypeError` for other values.
        """
        call = self._counting(key, delta, version)
        return performed(call, self.dualcache)

    def invalidate(
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
        return performed(call, self.dualcache)
