"""The handles of a decorated function: what can be done about what is stored for a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import astuple

from dualcache.core.events import Cleared
from dualcache.core.flight import value_of
from dualcache.engine import load, peek, write
from dualcache.functions.warming import awarm, warm
from dualcache.runtime.traced_flows import direct
from dualcache.runtime.tracing import REFRESH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualcache.core.entry import CacheInfo, Entry
    from dualcache.core.events import Invalidated
    from dualcache.core.warmed import Warmed
    from dualcache.functions.function import Cached

__all__ = ["HANDLES", "AsyncHandles", "Handles", "SharedHandles"]

HANDLES: Final = (
    "invalidate",
    "expire",
    "refresh",
    "peek",
    "store",
    "warm",
    "key_for",
    "cache_info",
    "cache_clear",
    "cache_parameters",
)


class SharedHandles:
    """The handles that are the same in both colours."""

    def __init__(self, cached: Cached) -> None:
        self.cached = cached

    def key_for(self, /, *args: Any, **kwargs: Any) -> str:
        """Return the key of a call, without the namespace; nothing is performed."""
        return self.cached.key_for(args, kwargs)

    def cache_info(self) -> CacheInfo:
        """Return hits and misses of this function in this process."""
        return self.cached.info()

    def cache_parameters(self) -> dict[str, Any]:
        """Return the options of this function."""
        return self.cached.parameters()


class Handles(SharedHandles):
    """The handles of a sync function."""

    def invalidate(self, /, *args: Any, **kwargs: Any) -> Invalidated:
        """Delete what is stored for this call."""
        cached, backend = self.cached, self.cached.runtime.backend
        return backend.run(cached.invalidating(cached.call_of(args, kwargs), backend.env))  # type: ignore[no-any-return]

    def expire(self, /, *args: Any, **kwargs: Any) -> Invalidated:
        """Make what is stored for this call stale."""
        cached, backend = self.cached, self.cached.runtime.backend
        return backend.run(cached.expiring(cached.call_of(args, kwargs), backend.env))  # type: ignore[no-any-return]

    def refresh(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function now and store its result; return it."""
        cached, backend = self.cached, self.cached.runtime.active_backend
        flow = direct(load.refresh, cached.call_of(args, kwargs), backend, REFRESH)
        return value_of(backend.run(flow))

    def peek(self, /, *args: Any, **kwargs: Any) -> Entry | None:
        """Return the entry that is stored for this call; changes nothing."""
        cached, backend = self.cached, self.cached.runtime.active_backend
        return backend.run(peek.peek(cached.call_of(args, kwargs), backend.env))  # type: ignore[no-any-return]

    def store(self, value: Any, /, *args: Any, **kwargs: Any) -> bool:
        """Store `value` as the result of this call; return whether it is there."""
        cached, backend = self.cached, self.cached.runtime.active_backend
        return backend.run(write.set_value(cached.call_of(args, kwargs), value, backend.env))  # type: ignore[no-any-return]

    def warm(
        self,
        argument_tuples: Iterable[Any],
        /,
        *first: Any,
        concurrency: int = 8,
        on_progress: Callable[[Warmed], object] | None = None,
    ) -> Warmed:
        """Load what is not fresh of these calls, some at a time in threads; tell what became of it.

        A call that raises is counted and told in the result, and the others go on.
        """
        return warm(self.cached, argument_tuples, first, concurrency, on_progress)

    def cache_clear(self) -> Invalidated:
        """Forget every result of this function, in all processes."""
        return self.cached.clear()


class AsyncHandles(SharedHandles):
    """The handles of a coroutine function.

    Written out, and not made from those of a sync function: `iscoroutinefunction` has to be true of
    each, and before Python 3.12 it is true of an `async def` alone.
    """

    async def invalidate(self, /, *args: Any, **kwargs: Any) -> Invalidated:
        """Delete what is stored for this call."""
        cached, backend = self.cached, self.cached.runtime.backend
        flow = cached.invalidating(cached.call_of(args, kwargs), backend.env)
        return await backend.arun(flow)  # type: ignore[no-any-return]

    async def expire(self, /, *args: Any, **kwargs: Any) -> Invalidated:
        """Make what is stored for this call stale."""
        cached, backend = self.cached, self.cached.runtime.backend
        flow = cached.expiring(cached.call_of(args, kwargs), backend.env)
        return await backend.arun(flow)  # type: ignore[no-any-return]

    async def refresh(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function now and store its result; return it."""
        cached, backend = self.cached, self.cached.runtime.active_backend
        flow = direct(load.refresh, cached.call_of(args, kwargs), backend, REFRESH)
        return value_of(await backend.arun(flow))

    async def peek(self, /, *args: Any, **kwargs: Any) -> Entry | None:
        """Return the entry that is stored for this call; changes nothing."""
        cached, backend = self.cached, self.cached.runtime.active_backend
        return await backend.arun(peek.peek(cached.call_of(args, kwargs), backend.env))  # type: ignore[no-any-return]

    async def store(self, value: Any, /, *args: Any, **kwargs: Any) -> bool:
        """Store `value` as the result of this call; return whether it is there."""
        cached, backend = self.cached, self.cached.runtime.active_backend
        flow = write.set_value(cached.call_of(args, kwargs), value, backend.env)
        return await backend.arun(flow)  # type: ignore[no-any-return]

    async def warm(
        self,
        argument_tuples: Iterable[Any],
        /,
        *first: Any,
        concurrency: int = 8,
        on_progress: Callable[[Warmed], object] | None = None,
    ) -> Warmed:
        """Load what is not fresh of these calls, some at a time; tell what became of it."""
        return await awarm(self.cached, argument_tuples, first, concurrency, on_progress)

    def cache_clear(self) -> Cleared:
        """Forget every result of this function, in all processes.

        Done when this returns, as with `functools.lru_cache`; the result may be awaited too.
        """
        return Cleared(*astuple(self.cached.clear()))
