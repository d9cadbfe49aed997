"""A backend for Flask-Caching: `CACHE_TYPE = "dualcache.integrations.flask.Backend"`."""

from __future__ import annotations

import re
from datetime import timedelta
from math import ceil
from pickle import PicklingError
from typing import TYPE_CHECKING, Any, Final, NoReturn

from flask_caching.backends.base import BaseCache

from dualcache import Cache, UnencodableValue, UsageError
from dualcache.integrations.flask.settings import make_cache, signing_secrets, written_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask

__all__ = ["Backend", "NotPicklable"]

DEFAULT_NAMESPACE: Final = "flask_cache"
FOR_EVER: Final = (0, -1)
ESCAPED: Final = re.compile(r"%(?=[0-9A-Fa-f]{2})|\*|^~")
NO_NUMBER: Final = frozenset({"DC181", "DC182"})


class NotPicklable(UnencodableValue, PicklingError):
    """A value that cannot be stored; what was stored before stays."""


class Backend(BaseCache):
    """The interface of cachelib on a `Cache`, which is `dualcache`.

    Flask-Caching makes it by `factory`: `CACHE_REDIS_URL` says where the cache is, otherwise
    `DUALCACHE_URL`. `CACHE_KEY_PREFIX` is the namespace, and `CACHE_OPTIONS` are those of `Cache`.
    A timeout of 0 is for ever.
    """

    def __init__(
        self,
        cache: Cache,
        default_timeout: int | timedelta = 300,
        ignore_delete_many_errors: bool = True,
    ) -> None:
        super().__init__(_seconds(default_timeout), ignore_delete_many_errors)
        self.dualcache = cache
        self._advice = ""

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Backend:
        """Make the backend of an application, in the way that Flask-Caching asks for it."""
        own = {name: kwargs.pop(name) for name in ("default_timeout", "ignore_delete_many_errors")}
        prefix = (config.get("CACHE_KEY_PREFIX") or DEFAULT_NAMESPACE).rstrip("_:")
        options = {"namespace": prefix, "codec": "any", **kwargs}
        if config.get("CACHE_REDIS_URL"):
            options["url"] = config["CACHE_REDIS_URL"]
        made = cls(_cache_of(app, options), *args, **own)
        if "codec" not in options:
            made._advice = "set SECRET_KEY: it signs pickles of values that are not plain data"
        return made

    def get(self, key: str) -> Any:
        """Return the stored value; `None` if there is none."""
        return self.dualcache.get(_name(key))

    def get_many(self, *keys: str) -> list[Any]:
        """Return the values of these keys in one trip, with `None` for the missing ones."""
        found = self.dualcache.get_many(map(_name, keys))
        return [found.get(_name(key)) for key in keys]

    def has(self, key: str) -> bool:
        """Return whether a value is stored."""
        return self.dualcache.contains(_name(key))

    def set(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:
        """Store a value; return whether it is stored. Raises `NotPicklable`."""
        try:
            return self.dualcache.set(_name(key), value, ttl=self._ttl(timeout))
        except UnencodableValue as error:
            self._refuse(error)

    def add(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:
        """Store a value if there is none; of many callers at once, in any process, one does it."""
        try:
            return self.dualcache.add(_name(key), value, ttl=self._ttl(timeout))
        except UnencodableValue as error:
            self._refuse(error)

    def set_many(
        self, mapping: Mapping[str, Any], timeout: int | timedelta | None = None
    ) -> list[Any]:
        """Store several values, or none if one cannot be encoded; return the keys stored."""
        keys = {_name(key): key for key in mapping}
        values = {name: mapping[key] for name, key in keys.items()}
        try:
            stored = self.dualcache.set_many(values, ttl=self._ttl(timeout))
        except UnencodableValue as error:
            self._refuse(error)
        return [keys[name] for name in stored]

    def delete(self, key: str) -> bool:
        """Delete a value; return whether there was one. A running load of it stores nothing."""
        return self.dualcache.invalidate(_name(key)).removed > 0

    def delete_many(self, *keys: str) -> list[Any]:
        """Delete several values in one trip; return the keys.

        If the server fails, they are deleted later, and are not served until then.
        """
        self.dualcache.invalidate(*map(_name, keys))
        return list(keys)

    def unlink(self, *keys: str) -> list[Any]:
        """Delete several values, as `delete_many` does."""
        return self.delete_many(*keys)

    def clear(self) -> bool:
        """Delete everything under the key prefix; return whether it is done."""
        return self.dualcache.clear().pending == 0

    def inc(self, key: str, delta: int = 1) -> int | None:
        """Add to a counter, which begins at 0; `None` if the server fails.

        No count is lost, in any process. An existing counter keeps its timeout.
        """
        try:
            return self.dualcache.incr(_name(key), delta, ttl=self._ttl(None))
        except UsageError as error:
            if error.code in NO_NUMBER:
                raise TypeError(error.what) from error
            raise

    def dec(self, key: str, delta: int = 1) -> int | None:
        """Subtract from a counter, as `inc` adds."""
        return self.inc(key, -delta)

    def _refuse(self, error: UnencodableValue) -> NoReturn:
        """Raise an error of pickle, which callers of cachelib expect."""
        advice = self._advice or error.help
        made = NotPicklable(error.what, code=error.code, details=error.details, help=advice)
        raise made from error.__cause__

    def _ttl(self, timeout: int | timedelta | None) -> int | None:
        """Return seconds; `None`: for ever."""
        seconds = self.default_timeout if timeout is None else _seconds(timeout)
        return None if seconds in FOR_EVER else max(0, seconds)


def _cache_of(app: Flask, options: dict[str, Any]) -> Cache:
    """Make the cache; the options of Flask-Caching come before those of the application.

    Above all the namespace: `clear()` deletes what is in it, and nothing else.
    """
    secrets = signing_secrets(app)
    if secrets and "secret" not in options:
        options["secret"] = secrets
    elif not secrets and options["codec"] == "any" and "secret" not in options:
        del options["codec"]
    return make_cache({**written_options(app), **options})


def _name(key: str) -> str:
    """Return the name under which a value is stored: what the cache would refuse is escaped."""
    return ESCAPED.sub(lambda found: f"%{ord(found[0][-1]):02X}", key)


def _seconds(timeout: int | timedelta) -> int:
    return ceil(timeout.total_seconds()) if isinstance(timeout, timedelta) else timeout
