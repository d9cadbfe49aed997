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
    """The methods of `Cache` for sync code, beside the decorators."""

    _runtime: Runtime
    _operations: Operations

    @property
    def namespace(self) -> str:
        """The namespace, empty where there is none; keys are `namespace:key` on the server."""
        return self._runtime.prefix.removesuffix(":")

    @property
    def shortest_secret(self) -> int | None:
        """How many bytes the shortest `secret` has; `None`: nothing is signed."""
        return self._runtime.codecs.shortest_secret

    def rights(self) -> tuple[Right, ...]:
        """Return what the server's user has to be allowed, as rules of `ACL SETUSER`.

        Nothing is asked. Each row says which features need the rule, and what is lost without it.
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
        """Return the stored value, or `default`; never loads. `type` decodes as that annotation."""
        value = self._run(self._operations.get(key, type))
        return default if value is MISSING else value

    @overload
    def get_many(self, keys: Iterable[str], *, type: type[T]) -> dict[str, T]: ...
    @overload
    def get_many(self, keys: Iterable[str], *, type: Any = MISSING) -> dict[str, Any]: ...

    def get_many(self, keys: Iterable[str], *, type: Any = MISSING) -> dict[str, Any]:  # noqa: A002
        """Read the stored values of these keys, in one trip; a missing key is left out."""
        return self._run(self._operations.get_many(keys, type))  # type: ignore[no-any-return]

    def contains(self, key: str) -> bool:
        """Tell whether a fresh value is stored, of whatever type."""
        return self._run(self._operations.contains(key))  # type: ignore[no-any-return]

    def ttl(self, key: str) -> float | None:
        """Return the seconds that a stored value has left; `None`: nothing stored, or for ever."""
        return self._run(self._operations.ttl(key))  # type: ignore[no-any-return]

    @overload
    def peek(self, key: str, *, type: type[T]) -> Entry[T] | None: ...
    @overload
    def peek(self, key: str, *, type: Any = MISSING) -> Entry | None: ...

    def peek(self, key: str, *, type: Any = MISSING) -> Entry | None:  # noqa: A002
        """Return the stored entry, with age, ttl, tier and tags; has no side effect.

        The value is `MISSING` where only `type` would read it exactly.
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
        """Return the values of all keys; `loader` gets those that this caller must load.

        It returns a mapping; keys that it leaves out are left out of the result.
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
        """Store a value, revoking every load of this key that is under way.

        Returns whether it is there now; where the backend fails, what was there before is not
        served any more. Raises `UnencodableValue`, leaving what is stored as it is.
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
        """Store several values, each as `set` does; return the keys known to be there now."""
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
        """Store a value where none is served; return whether it was stored.

        Of several callers at once, in any process, one gets True. A load of this key that is under
        way is revoked. False where the backend fails, too: whether it was stored is not known then.
        """
        return self._run(self._operations.add(key, value, ttl, tags, options))  # type: ignore[no-any-return]

    def incr(
        self, key: str, by: int = 1, *, ttl: Any = MISSING, tags: Iterable[str] = ()
    ) -> int | None:
        """Add to a counter and return its new value; without an entry it begins at 0.

        `ttl` and `tags` are for a new entry; one that is there keeps its own. `None` where the
        backend fails: nothing is ever counted twice. Raises `UsageError` where something else than
        a whole number is stored.
        """
        return self._run(self._operations.incr(key, whole_step(by), ttl, tags))  # type: ignore[no-any-return]

    def decr(
        self, key: str, by: int = 1, *, ttl: Any = MISSING, tags: Iterable[str] = ()
    ) -> int | None:
        """Subtract from a counter, as `incr` adds; it may go below 0."""
        return self._run(self._operations.incr(key, -whole_step(by), ttl, tags, "decr()"))  # type: ignore[no-any-return]

    def keys(self, pattern: str = "*") -> Iterator[str]:
        """Iterate over the names under which values are stored, without the namespace, by SCAN.

        In no order. A name that comes or goes meanwhile may be left out, or come twice. Raises
        `BackendError` where the backend fails, since the rest would be missing.
        """
        return self._names(user_pattern(pattern))

    def invalidate(
        self, *keys: str, tags: Iterable[str] = (), patterns: Iterable[str] = (), hold: Any = 0
    ) -> Invalidated:
        """Delete keys, all entries with these tags, and all keys that match the patterns.

        After it returns with nothing pending, no load that began before it can be stored or
        served. `pending` counts what could not be delivered: it is replayed before this process
        next reads the backend. With `hold` loads store nothing under the keys for so long, whoever
        invalidates them meanwhile; around a commit invalidate once more after it.
        """
        flow = self._operations.invalidate(keys, tags, patterns, hold)
        return self._runtime.backend.run(flow)  # type: ignore[no-any-return]

    def expire(self, *keys: str) -> Invalidated:
        """Make entries stale: served from now on only where a stale value may be.

        For as long as `stale_while_revalidate`, `stale_if_error` or a time-out allow it, counted
        from now. Otherwise as `invalidate`: no load that began before can be stored or served.
        `expired` counts the entries that are left; what cannot be served as stale is deleted.
        """
        return self._runtime.backend.run(self._operations.expire(keys))  # type: ignore[no-any-return]

    def touch(self, *keys: str, ttl: Any = MISSING) -> bool:
        """Give entries a new life from now on; tell whether all of them are there.

        False where one is not there, or not fresh any more; that one alone is left as it is.
        """
        flow = self._operations.touch(keys, ttl, "touch()")
        return len(self._run(flow)) == len(set(keys))

    def touch_many(self, keys: Iterable[str], *, ttl: Any = MISSING) -> list[str]:
        """Give entries a new life, as `touch` does; return the keys of those that are there."""
        return self._run(self._operations.touch(keys, ttl, "touch_many()"))  # type: ignore[no-any-return]

    def clear(self, *, everything: bool = False) -> Invalidated:
        """Delete the whole namespace; without a namespace only with `everything=True`."""
        return self._runtime.backend.run(self._operations.clear(everything=everything))  # type: ignore[no-any-return]

    def fence(self) -> None:
        """Wait until this process reads every invalidation acknowledged before, by whomever.

        Without a front tier every read does so anyway.
        """
        self._runtime.backend.run(self._operations.fence())

    def ping(self) -> bool:
        """Tell whether the backend answers."""
        return self._runtime.backend.run(self._operations.ping())  # type: ignore[no-any-return]

    def warm(self) -> None:
        """Import now what the first call of the async face needs; `lifespan` does it too."""
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
