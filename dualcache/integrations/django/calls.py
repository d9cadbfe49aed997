"""The calls to a cache that Django's cache API makes: decided once, for both colours."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from dualcache import UnencodableValue, UsageError
from dualcache.integrations.django.names import NamedCache
from dualcache.integrations.django.values import (
    Existing,
    is_no_number,
    loader_of,
    not_picklable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from dualcache import Invalidated

__all__ = ["CacheCall", "Decisions", "aperformed", "performed"]

R = TypeVar("R")


def _as_it_is(reply: Any) -> Any:
    return reply


class CacheCall(NamedTuple, Generic[R]):
    """One call of a method that both faces of a `Cache` have; `finish` reads its reply."""

    method: str
    args: tuple[Any, ...]
    options: Mapping[str, Any] = {}
    finish: Callable[[Any], R] = _as_it_is

    def sent_to(self, face: Any) -> Any:
        """Call the method; on the async face this returns a coroutine."""
        return getattr(face, self.method)(*self.args, **self.options)


def performed(call: CacheCall[R], face: Any) -> R:
    """Send a call to the sync face; raise what callers of Django's cache API expect."""
    with _djangos_errors():
        return call.finish(call.sent_to(face))


async def aperformed(call: CacheCall[R], face: Any) -> R:
    """Send a call to the async face; raise what callers of Django's cache API expect."""
    with _djangos_errors():
        return call.finish(await call.sent_to(face))


@contextmanager
def _djangos_errors() -> Generator[None]:
    try:
        yield
    except UnencodableValue as error:
        raise not_picklable(error) from error.__cause__
    except UsageError as error:
        if is_no_number(error):
            raise TypeError(error.what) from error
        raise


class Decisions(NamedCache):
    """What a timeout of 0 means, which keys failed, and when a counter is missing."""

    def _setting(
        self, key: Any, value: Any, timeout: Any, version: Any, tags: Iterable[str]
    ) -> CacheCall[object]:
        ttl = self.get_backend_timeout(timeout)  # of 0: the cache deletes the key
        return CacheCall("set", (self.name_of(key, version), value), {"ttl": ttl, "tags": tags})

    def _setting_many(
        self, data: Mapping[Any, Any], timeout: Any, version: Any, tags: Iterable[str]
    ) -> CacheCall[list[Any]]:
        names = self.names_of(data, version)
        values = {name: data[key] for name, key in names.items()}
        ttl = self.get_backend_timeout(timeout)

        def failed(stored: Iterable[str]) -> list[Any]:
            there = names if ttl == 0 else {*stored}
            return [key for name, key in names.items() if name not in there]

        return CacheCall("set_many", (values,), {"ttl": ttl, "tags": tags}, failed)

    def _adding(
        self, key: Any, value: Any, timeout: Any, version: Any, tags: Iterable[str]
    ) -> CacheCall[bool]:
        name, ttl = self.name_of(key, version), self.get_backend_timeout(timeout)
        if ttl == 0:  # it would end at once
            return CacheCall("contains", (name,), finish=lambda is_there: not is_there)
        return CacheCall("add", (name, value), {"ttl": ttl, "tags": tags})

    def _touching(self, key: Any, timeout: Any, version: Any) -> CacheCall[bool]:
        ttl = self.get_backend_timeout(timeout)
        if ttl == 0:
            return self._deleting(key, version)
        return CacheCall("touch", (self.name_of(key, version),), {"ttl": ttl})

    def _loading(
        self, key: Any, default: Any, timeout: Any, version: Any, tags: Iterable[str]
    ) -> CacheCall[Any]:
        options = {"ttl": self.get_backend_timeout(timeout), "tags": tags}
        return CacheCall("get_or_load", (self.name_of(key, version), loader_of(default)), options)

    def _deleting(self, key: Any, version: Any) -> CacheCall[bool]:
        name = self.name_of(key, version)
        return CacheCall("invalidate", (name,), finish=lambda done: done.removed > 0)

    def _counting(self, key: Any, delta: int, version: Any) -> CacheCall[int]:
        existing = Existing()
        args = (self.name_of(key, version), delta)
        return CacheCall(
            "incr", args, {"ttl": existing}, lambda total: existing.checked(total, key)
        )

    def _invalidating(
        self,
        keys: Iterable[Any],
        version: Any,
        tags: Iterable[str],
        patterns: Iterable[str],
        hold: Any,
    ) -> CacheCall[Invalidated]:
        names = self.names_of(keys, version)
        globs = [self.pattern_of(pattern, version) for pattern in patterns]
        options = {"tags": tags, "patterns": globs, "hold": hold}
        return CacheCall("invalidate", (*names,), options)
