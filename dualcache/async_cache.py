"""`AsyncCache`, the async face of a `Cache` under `cache.aio`: its methods as coroutines."""

from __future__ import annotations

from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Literal, overload

from dualcache.core.entry import MISSING
from dualcache.core.flight import value_of
from dualcache.drivers.forking import OfOneProcess
from dualcache.engine.lead_many import mapping_of
from dualcache.keys.names import user_pattern
from dualcache.operations import Operations, whole_step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
    from typing import Self, Unpack

    import redis.asyncio as redis_asyncio
    from typing_extensions import TypeVar

    from dualcache.core.entry import Entry
    from dualcache.core.events import Invalidated
    from dualcache.observability.stats import FleetStats, Stats
    from dualcache.runtime.runtime import Runtime
    from dualcache.typing_options import LoadOptions, PolicyOptions, StoreOptions

    D = TypeVar("D")
    R = TypeVar("R")
    T = TypeVar("T")


class AsyncCache(OfOneProcess):
    """The methods of `Cache` as coroutines; both share namespace, policy and running loads."""

    def __init__(self, runtime: Runtime, operations: Operations) -> None:
        self._runtime = runtime
        self._operations = operations

    def __repr__(self) -> str:
        return f"{self._runtime!r}.aio"

    @overload
    async def get(self, key: str, default: None = None, *, type: type[T]) -> T | None: ...
    @overload
    async def get(self, key: str, default: D, *, type: type[T]) -> T | D: ...
    @overload
    async def get(self, key: str, default: Any = None, *, type: Any = MISSING) -> Any: ...

    async def get(self, key: str, default: Any = None, *, type: Any = MISSING) -> Any:  # noqa: A002
        """Return the stored value, or `default`; never loads. `type` says how to decode it."""
        value = await self._run(self._operations.get(key, type))
        return default if value is MISSING else value

    @overload
    async def get_many(self, keys: Iterable[str], *, type: type[T]) -> dict[str, T]: ...
    @overload
    async def get_many(
        self,
        keys: Iterable[str],
        *,
        type: Any = MISSING,
    ) -> dict[str, Any]: ...

    async def get_many(
        self,
        keys: Iterable[str],
        *,
        type: Any = MISSING,  # noqa: A002
    ) -> dict[str, Any]:
        """Return the stored values of these keys, in one trip; missing keys are left out."""
        return await self._run(self._operations.get_many(keys, type))  # type: ignore[no-any-return]

    async def contains(self, key: str) -> bool:
        """Return whether a fresh value is stored, of any type."""
        return await self._run(self._operations.contains(key))  # type: ignore[no-any-return]

    async def ttl(self, key: str) -> float | None:
        """Return the seconds that a value has left; `None` if there is none or it never expires."""
        return await self._run(self._operations.ttl(key))  # type: ignore[no-any-return]

    @overload
    async def peek(self, key: str, *, type: type[T]) -> Entry[T] | None: ...
    @overload
    async def peek(self, key: str, *, type: Any = MISSING) -> Entry | None: ...

    async def peek(self, key: str, *, type: Any = MISSING) -> Entry | None:  # noqa: A002
        """Return the stored entry with age, ttl, tier and tags; this has no side effects.

        The value is `MISSING` if it can be read exactly only with `type`.
        """
        return await self._run(self._operations.peek(key, type))  # type: ignore[no-any-return]

    @overload
    async def get_or_load(
        self, key: str, loader: Callable[[], Awaitable[R]], **options: Unpack[LoadOptions]
    ) -> R: ...
    @overload
    async def get_or_load(
        self, key: str, loader: Callable[[], R], **options: Unpack[LoadOptions]
    ) -> R: ...

    async def get_or_load(
        self,
        key: str,
        loader: Callable[[], Any],
        *,
        ttl: Any = MISSING,
        tags: Iterable[str] = (),
        type: Any = MISSING,  # noqa: A002
        **options: Unpack[PolicyOptions],
    ) -> Any:
        """Return the stored value, or that of `loader()`: one load for all callers at once."""
        flow = self._operations.get_or_load(key, loader, ttl, tags, type, options)
        return value_of(await self._run(flow))

    @overload
    async def get_or_load_many(
        self,
        keys: Iterable[str],
        loader: Callable[[list[str]], Awaitable[Mapping[str, R]]],
        **options: Unpack[LoadOptions],
    ) -> dict[str, R]: ...
    @overload
    async def get_or_load_many(
        self,
        keys: Iterable[str],
        loader: Callable[[list[str]], Mapping[str, R]],
        **options: Unpack[LoadOptions],
    ) -> dict[str, R]: ...

    async def get_or_load_many(
        self,
        keys: Iterable[str],
        loader: Callable[[list[str]], Any],
        *,
        ttl: Any = MISSING,
        tags: Iterable[str] = (),
        type: Any = MISSING,  # noqa: A002
        **options: Unpack[PolicyOptions],
    ) -> dict[str, Any]:
        """Return the values of all keys; `loader` gets the keys that this caller must load.

        It returns a mapping. Keys that are missing in it are missing in the result too.
        """

        def one_of(name: str) -> Callable[[], Any]:
            async def load_one() -> Any:
                result = loader([name])
                result = await result if isawaitable(result) else result
                return mapping_of(result).get(name, MISSING)

            return load_one

        flow = self._operations.get_or_load_many(keys, loader, one_of, ttl, tags, type, options)
        return await self._run(flow)  # type: ignore[no-any-return]

    async def set(
        self,
        key: str,
        value: Any,
        *,
        ttl: Any = MISSING,
        tags: Iterable[str] = (),
        **options: Unpack[StoreOptions],
    ) -> bool:
        """Store a value and revoke every running load of this key; see `Cache.set`."""
        return await self._run(self._operations.set(key, value, ttl, tags, options))  # type: ignore[no-any-return]

    async def set_many(
        self,
        values: Mapping[str, Any],
        *,
        ttl: Any = MISSING,
        tags: Iterable[str] = (),
        **options: Unpack[StoreOptions],
    ) -> list[str]:
        """Store several values, each as `set` does; return the keys known to be stored now."""
        return await self._run(self._operations.set_many(values, ttl, tags, options))  # type: ignore[no-any-return]

    async def add(
        self,
        key: str,
        value: Any,
        *,
        ttl: Any = MISSING,
        tags: Iterable[str] = (),
        **options: Unpack[StoreOptions],
    ) -> bool:
        """Store a value if none is served; return whether it was stored; see `Cache.add`."""
        return await self._run(self._operations.add(key, value, ttl, tags, options))  # type: ignore[no-any-return]

    async def incr(
        self, key: str, by: int = 1, *, ttl: Any = MISSING, tags: Iterable[str] = ()
    ) -> int | None:
        """Add to a counter and return its new value; see `Cache.incr`."""
        flow = self._operations.incr(key, whole_step(by), ttl, tags)
        return await self._run(flow)  # type: ignore[no-any-return]

    async def decr(
        self, key: str, by: int = 1, *, ttl: Any = MISSING, tags: Iterable[str] = ()
    ) -> int | None:
        """Subtract from a counter, as `incr` adds; it can go below 0."""
        flow = self._operations.incr(key, -whole_step(by), ttl, tags, "decr()")
        return await self._run(flow)  # type: ignore[no-any-return]

    def keys(self, pattern: str = "*") -> AsyncIterator[str]:
        """Iterate over the names under which values are stored; see `Cache.keys`."""
        return self._names(user_pattern(pattern))

    async def invalidate(
        self, *keys: str, tags: Iterable[str] = (), patterns: Iterable[str] = (), hold: Any = 0
    ) -> Invalidated:
        """Delete keys, all entries with these tags, and all keys that match the patterns."""
        flow = self._operations.invalidate(keys, tags, patterns, hold)
        return await self._runtime.backend.arun(flow)  # type: ignore[no-any-return]

    async def expire(self, *keys: str) -> Invalidated:
        """Make entries stale: from now on they are served only where a stale value is allowed."""
        return await self._runtime.backend.arun(self._operations.expire(keys))  # type: ignore[no-any-return]

    async def touch(self, *keys: str, ttl: Any = MISSING) -> bool:
        """Give entries a new ttl; return whether all of them exist; see `Cache.touch`."""
        flow = self._operations.touch(keys, ttl, "touch()")
        return len(await self._run(flow)) == len(set(keys))

    async def touch_many(self, keys: Iterable[str], *, ttl: Any = MISSING) -> list[str]:
        """Give entries a new ttl; return the keys of those that exist."""
        return await self._run(self._operations.touch(keys, ttl, "touch_many()"))  # type: ignore[no-any-return]

    async def clear(self, *, everything: bool = False) -> Invalidated:
        """Delete the whole namespace; without a namespace only with `everything=True`."""
        flow = self._operations.clear(everything=everything)
        return await self._runtime.backend.arun(flow)  # type: ignore[no-any-return]

    async def fence(self) -> None:
        """Wait until this process reads every invalidation that was acknowledged before.

        Without a front tier every read does so anyway.
        """
        await self._runtime.backend.arun(self._operations.fence())

    async def ping(self) -> bool:
        """Return whether the backend answers."""
        return await self._runtime.backend.arun(self._operations.ping())  # type: ignore[no-any-return]

    @overload
    async def stats(self, *, fleet: Literal[False] = False) -> Stats: ...
    @overload
    async def stats(self, *, fleet: Literal[True]) -> FleetStats: ...

    async def stats(self, *, fleet: bool = False) -> Stats | FleetStats:
        """Return the counters of this process; with `fleet`, those of all processes."""
        if not fleet:
            return self._runtime.stats()
        from anyio import to_thread

        return await to_thread.run_sync(self._runtime.fleet.read)

    @property
    def client(self) -> redis_asyncio.Redis:
        """The raw redis-py client of the running loop; `MissingClientError` without a server."""
        return self._runtime.clients.asynchronous()

    async def aclose(self) -> None:
        """Close the connections of this loop and of the sync face; the next call opens them."""
        await self._runtime.aclose()

    close = aclose

    async def __aenter__(self) -> Self:
        self._runtime.backend.warm()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _names(self, pattern: str) -> AsyncIterator[str]:
        cursor = 0
        while True:
            page = await self._run(self._operations.names(cursor, pattern))
            for name in page.names:
                yield name
            cursor = page.cursor
            if not cursor:
                return

    async def _run(self, flow: Any) -> Any:
        return await self._runtime.active_backend.arun(flow)
