"""From the keys of Django's cache API to the names under which they are stored, and back."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache, default_key_func
from django.utils.module_loading import import_string

from dualcache import UsageError
from dualcache.integrations.django.shared import DEFAULT_NAMESPACE, shared_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualcache import Cache

__all__ = ["NamedCache"]

_ESCAPED: Final = re.compile(r"%(?=[0-9A-Fa-f]{2})|\*|^~")
_ESCAPED_IN_PATTERN: Final = re.compile(r"%(?=[0-9A-Fa-f]{2})|\\\*|^~")
_GLOB: Final = re.compile(r"[*?\[\]\\]")


class NamedCache(BaseCache):  # type: ignore[misc]  # Django has no types
    """The parts of a backend: the `Cache` behind it, its names and its time-outs."""

    def __init__(self, location: Any, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._location = location
        self._cache_options: dict[str, Any] = params.get("OPTIONS") or {}
        self._reverse_key_func: str | Callable[[str], str] | None
        self._reverse_key_func = params.get("REVERSE_KEY_FUNCTION")

    @cached_property
    def dualcache(self) -> Cache:
        """The `Cache` behind this backend; raises `UsageError` for options that cannot be right."""
        # Made at the first use: Django's own checks make every backend, and what is raised there
        # would keep the other checks from running, and ours from telling of it.
        return shared_cache(self._location, self._cache_options)

    @property
    def namespace(self) -> str:
        """The namespace of the names, from `OPTIONS`."""
        return str(self._cache_options.get("namespace", DEFAULT_NAMESPACE))

    def get_backend_timeout(self, timeout: Any = DEFAULT_TIMEOUT) -> float | None:
        """Return how many seconds to keep a value: 0 not at all, `None` for ever."""
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        return None if seconds is None else max(0, seconds)

    def name_of(self, key: Any, version: Any) -> str:
        """Return the name under which the value of a key is stored."""
        # What the cache would refuse, or write as another key is written, is escaped.
        name = str(self.make_and_validate_key(key, version=version))
        return _ESCAPED.sub(_percent, name)

    def names_of(self, keys: Iterable[Any], version: Any) -> dict[str, Any]:
        """Return the keys by their names."""
        return {self.name_of(key, version): key for key in keys}

    def pattern_of(self, pattern: str, version: Any) -> str:
        """Return the pattern of names for a pattern of keys, whose prefix is taken literally."""
        prefix = _GLOB.sub(r"\\\g<0>", self.key_prefix)
        name = self.key_func(pattern, prefix, self.version if version is None else version)
        return _ESCAPED_IN_PATTERN.sub(_percent, str(name))

    def key_of(self, name: str, version: Any) -> str:
        """Return the key that is stored under a name of this prefix and version."""
        made = unquote(name, errors="surrogatepass")
        if self.key_func is default_key_func:
            return made.removeprefix(str(self.make_key("", version=version)))
        return self._reversed()(made)

    def _reversed(self) -> Callable[[str], str]:
        reverse = self._reverse_key_func
        if reverse is None:
            raise UsageError(
                "keys() cannot turn the names of a KEY_FUNCTION back into keys",
                code="DC442",
                help="also set REVERSE_KEY_FUNCTION, a function from a name to its key",
            )
        found: Callable[[str], str] = (
            import_string(reverse) if isinstance(reverse, str) else reverse
        )
        return found


def _percent(found: re.Match[str]) -> str:
    return f"%{ord(found[0][-1]):02X}"
