"""The sync face: the methods of a `Cache` as plain functions; the twin of `async_cache.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from dualcache.core.entry import MISSING
from dualcache.core.flight import value_of
from dualcache.drivers.forking import OfOneProcess
from dualcache.engine.lead_many import mapping_of
from dualcache.keys.names import user_pattern
from dualcache.operations import Operations, whole_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Unpack

    from typing_extensions import TypeVar

    from dualcache.backends.redis.wire.rights import Right
    from dualcache.core.entry import Entry
    from dualcache.core.events import Invalidated
    from dualcache.runtime.runtime import Runtime
    from dualcache.typing_options import PolicyOptions, StoreOptions

    D = TypeVar("D")
    R = TypeVar("R")
    T = TypeVar("T")


class SyncFace(OfOneProcess):
    """The methods of `Cache` for sync code; the decorators are in `Cache`."""

    _runtime: Runtime
    _operations: Operations

    @property
    def namespace(self) -> str:
        """The namespace, or an empty text; keys are `namespace:key` on the server."""
        return self._runtime.prefix.removesuffix(":")

    @property
    def shortest_secret(self) -> int | None:
        """The length of the shortest `secret` in bytes; `None` if nothing is signed."""
        return self._runtime.codecs.shortest_secret

    def rights(self) -> tuple[Right, ...]:
        """Return the rights that the server's user needs, as rules of `ACL SETUSER`.

        The server is not asked. Each row says which features need the rule, and what you lose
        without it.
        """
        return self._runtime.rights()

    # Reading

    @overload
    def get(self, key: str, default: None = None, *, type: type[T]) -> T | None: ...
    @overload
    def get(self, key: str, default: D, *, type: type[T]) -> T | D: ...
    @overload
    def get(self, key: str, default: Any = None, *, type: Any = MISSING) -> Any: ...

    def get(self, key: str, default: Any = None, *, type: Any = MISSING) -> Any:  # noqa: A002
        """Return the stored value, or `default`; never loads. `type` says how to decode it."""
        value = self._run(self._operations.get(key, type))
        return default if value is MISSING else value

    @overload
    def get_many(self, keys: Iterable[str], *, type: type[T]) -> dict[str, T]: ...
    @overload
    def get_many(self, keys: Iterable[str], *, type: Any = MISSING) -> dict[str, Any]: ...

    def get_many(self, keys: Iterable[str], *, type: Any = MISSING) -> dict[str, Any]:  # noqa: A002
        """Return the stored values of these keys, in one trip; missing keys are left out."""
        return self._run(self._operations.get_many(keys, type))  # type: ignore[no-any-return]

    def contains(self, key: str) -> bool:
        """Return whether a fresh value is stored, of any type."""
        return self._run(self._operations.contains(key))  # type: ignore[no-any-return]

    def ttl(self, key: str) -> float | None:
        """Return the seconds that a value has left; `None` if there is none or it never expires."""
        return self._run(self._operations.ttl(key))  # type: ignore[no-any-return]

    @overload
    def peek(self, key: str, *, type: type[T]) -> Entry[T] | None: ...
    @overload
    def peek(self, key: str, *, type: Any = MISSING) -> Entry | None: ...

    def peek(self, key: str, *, type: Any = MISSING) -> Entry | None:  # noqa: A002
        """Return the stored entry with age, ttl, tier and tags; this has no side effects.

        The value is `MISSING` if it can be read exactly only with `type`.
        """
        return self._run(self._operations.peek(key, type))  # type: ignore[no-any-return]

    # Loading

    def get_or_load(
        self,
        key: str,
        loader: Callable[[], R],
        *,
        ttl: Any = MISSING,
        tags: Iterable[str] = (),
        type: Any = MISSING,  # noqa: A002
        **options: Unpack[PolicyOptions],
    ) -> R:
        """Return the stored value, or that of `loader()`: one load for all callers at once."""
        flow = self._operations.get_or_load(key, loader, ttl, tags, type, options)
        value: R = value_of(self._run(flow))
        return value

    def get_or_load_many(
        self,
        keys: Iterable[str],
        loader: Callable[[list[str]], Mapping[str, R]],
        *,
        ttl: Any = MISSING,
        tags: Iterable[str] = (),
        type: Any = MISSING,  # noqa: A002
        **options: Unpack[PolicyOptions],
    ) -> dict[str, R]:
        """Return the values of all keys; `loader` gets the keys that this caller must load.

        It returns a mapping. Keys that are missing in it are missing in the result too.
        """

        def one_of(name: str) -> Callable[[], Any]:
            return lambda: mapping_of(loader([name])).get(name, MISSING)

        flow = self._operations.get_or_load_many(keys, loader, one_of, ttl, tags, type, options)
        return self._run(flow)  # type: ignore[no-any-return]

    # Writing

    def set(
        self,
        key: str,
        value: Any,
        *,
        ttl: Any = MISSING,
        tags: Iterable[str] = (),
        **options: Unpack[StoreOptions],
    ) -> bool:
        """Store a value and revoke every running load of this key.

        Returns whether the value is stored now. If the backend fails, the earlier value is not
        served any more. Raises `UnencodableValue` and leaves the earlier value as it is.
        """
        return self._run(self._operations.set(key, value, ttl, tags, options))  # type: ignore[no-any-return]

    def set_many(
        self,
        values: Mapping[str, Any],
        *,
        ttl: Any = MISSING,
        tags: Iterable[str] = (),
        **options: Unpack[StoreOptions],
    ) -> list[str]:
        """Store several values, each as `set` does; return the keys known to be stored now."""
        return self._run(self._operations.set_many(values, ttl, tags, options))  # type: ignore[no-any-return]

    def add(
        self,
        key: str,
        value: Any,
        *,
        ttl: Any = MISSING,
        tags: Iterable[str] = (),
        **options: Unpack[StoreOptions],
    ) -> bool:
        """Store a value if none is served; return whether it was stored.

        Of several callers at once, in any process, one gets True. A running load of this key is
        revoked. Returns False if the backend fails, too: then nobody knows whether the value was
        stored.
        """
        return self._run(self._operations.add(key, value, ttl, tags, options))  # type: ignore[no-any-return]

    def incr(
        self, key: str, by: int = 1, *, ttl: Any = MISSING, tags: Iterable[str] = ()
    ) -> int | None:
        """Add to a counter and return its new value; without an entry it begins at 0.

        `ttl` and `tags` are for a new entry; an existing one keeps its own. Returns `None` if the
        backend fails: nothing is ever counted twice. Raises `UsageError` if the entry is not a
        whole number.
        """
        return self._run(self._operations.incr(key, whole_step(by), ttl, tags))  # type: ignore[no-any-return]

    def decr(
        self, key: str, by: int = 1, *, ttl: Any = MISSING, tags: Iterable[str] = ()
    ) -> int | None:
        """Subtract from a counter, as `incr` adds; it can go below 0."""
        return self._run(self._operations.incr(key, -whole_step(by), ttl, tags, "decr()"))  # type: ignore[no-any-return]

    def keys(self, pattern: str = "*") -> Iterator[str]:
        """Iterate over the names under which values are stored, without the namespace, by SCAN.

        They have no order. A name that is added or removed during the search may be missing, or
        appear twice. Raises `BackendError` if the backend fails, because the rest would be missing.
        """
        return self._names(user_pattern(pattern))

    def invalidate(
        self, *keys: str, tags: Iterable[str] = (), patterns: Iterable[str] = (), hold: Any = 0
    ) -> Invalidated:
        """Delete keys, all entries with these tags, and all keys that match the patterns.

        If it returns with `pending` 0, no load that began before it can be stored or served.
        `pending` counts deletions that could not be delivered: they are replayed before this
        process next reads the backend. `hold` keeps every load from storing under the keys for that
        time, even if others invalidate them too. Around a commit, invalidate once more after it.
        """
        flow = self._operations.invalidate(keys, tags, patterns, hold)
        return self._runtime.backend.run(flow)  # type: ignore[no-any-return]

    def expire(self, *keys: str) -> Invalidated:
        """Make entries stale: from now on they are served only where a stale value is allowed.

        That is for as long as `stale_while_revalidate`, `stale_if_error` or a time-out allow it,
        counted from now. Otherwise it acts as `invalidate`: no load that began before can be stored
        or served. `expired` counts the entries that stay. Entries that cannot be served as stale
        are deleted.
        """
        return self._runtime.backend.run(self._operations.expire(keys))  # type: ignore[no-any-return]

    def touch(self, *keys: str, ttl: Any = MISSING) -> bool:
        """Give entries a new ttl from now on; return whether all of them exist.

        Returns False if one does not exist or is not fresh any more. Only that one is left as it
        is.
        """
        flow = self._operations.touch(keys, ttl, "touch()")
        return len(self._run(flow)) == len(set(keys))

    def touch_many(self, keys: Iterable[str], *, ttl: Any = MISSING) -> list[str]:
        """Give entries a new ttl, as `touch` does; return the keys of those that exist."""
        return self._run(self._operations.touch(keys, ttl, "touch_many()"))  # type: ignore[no-any-return]

    def clear(self, *, everything: bool = False) -> Invalidated:
        """Delete the whole namespace; without a namespace only with `everything=True`."""
        return self._runtime.backend.run(self._operations.clear(everything=everything))  # type: ignore[no-any-return]

    def fence(self) -> None:
        """Wait until this process reads every invalidation that was acknowledged before.

        Without a front tier every read does so anyway.
        """
        self._runtime.backend.run(self._operations.fence())

    def ping(self) -> bool:
        """Return whether the backend answers."""
        return self._runtime.backend.run(self._operations.ping())  # type: ignore[no-any-return]

    def warm(self) -> None:
        """Import now what the first async call needs; `lifespan` does it too."""
        self._runtime.backend.warm()

    def _names(self, pattern: str) -> Iterator[str]:
        cursor = 0
        while True:
            page = self._run(self._operations.names(cursor, pattern))
            yield from page.names
            cursor = page.cursor
            if not cursor:
                return

    def _run(self, flow: Any) -> Any:
        return self._runtime.active_backend.run(flow)
