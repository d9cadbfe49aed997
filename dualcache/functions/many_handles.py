"""The handles of a function of many values: they take the arguments of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import astuple

from dualcache.core.events import Cleared

if TYPE_CHECKING:
    from dualcache.core.entry import CacheInfo, Entry
    from dualcache.core.events import Invalidated
    from dualcache.functions.many_calls import CachedMany

__all__ = ["AsyncManyHandles", "ManyHandles", "SharedManyHandles"]


class SharedManyHandles:
    """The handles that are the same in both colours."""

    def __init__(self, many: CachedMany) -> None:
        self.many = many

    def key_for(self, /, *args: Any, **kwargs: Any) -> list[str]:
        """Return the keys of the values, without the namespace; nothing is performed."""
        return self.many.keys_for(self.many.whole.bind(args, kwargs))

    def cache_info(self) -> CacheInfo:
        """Return hits and misses of this function in this process, counted by value."""
        return self.many.cached.info()

    def cache_parameters(self) -> dict[str, Any]:
        """Return the options of this function."""
        return self.many.cached.parameters()


class ManyHandles(SharedManyHandles):
    """The handles of a sync function."""

    def invalidate(self, /, *args: Any, **kwargs: Any) -> Invalidated:
        """Delete what is stored for each of the values."""
        flow = self.many.invalidating(self.many.whole.bind(args, kwargs))
        return self.many.cached.runtime.backend.run(flow)  # type: ignore[no-any-return]

    def expire(self, /, *args: Any, **kwargs: Any) -> Invalidated:
        """Make what is stored for each of the values stale."""
        flow = self.many.expiring(self.many.whole.bind(args, kwargs))
        return self.many.cached.runtime.backend.run(flow)  # type: ignore[no-any-return]

    def refresh(self, /, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """Call the function now for all values and store its results; return them."""
        flow = self.many.refreshing(self.many.whole.bind(args, kwargs))
        return self.many.cached.runtime.active_backend.run(flow)  # type: ignore[no-any-return]

    def peek(self, /, *args: Any, **kwargs: Any) -> dict[Any, Entry]:
        """Return the entry of each of the values; changes nothing."""
        flow = self.many.peeking(self.many.whole.bind(args, kwargs))
        return self.many.cached.runtime.active_backend.run(flow)  # type: ignore[no-any-return]

    def cache_clear(self) -> Invalidated:
        """Forget every result of this function, in all processes."""
        return self.many.cached.clear()


class AsyncManyHandles(SharedManyHandles):
    """The handles of a coroutine function, written out as in `AsyncHandles`."""

    async def invalidate(self, /, *args: Any, **kwargs: Any) -> Invalidated:
        """Delete what is stored for each of the values."""
        flow = self.many.invalidating(self.many.whole.bind(args, kwargs))
        return await self.many.cached.runtime.backend.arun(flow)  # type: ignore[no-any-return]

    async def expire(self, /, *args: Any, **kwargs: Any) -> Invalidated:
        """Make what is stored for each of the values stale."""
        flow = self.many.expiring(self.many.whole.bind(args, kwargs))
        return await self.many.cached.runtime.backend.arun(flow)  # type: ignore[no-any-return]

    async def refresh(self, /, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """Call the function now for all values and store its results; return them."""
        flow = self.many.refreshing(self.many.whole.bind(args, kwargs))
        return await self.many.cached.runtime.active_backend.arun(flow)  # type: ignore[no-any-return]

    async def peek(self, /, *args: Any, **kwargs: Any) -> dict[Any, Entry]:
        """Return the entry of each of the values; changes nothing."""
        flow = self.many.peeking(self.many.whole.bind(args, kwargs))
        return await self.many.cached.runtime.active_backend.arun(flow)  # type: ignore[no-any-return]

    def cache_clear(self) -> Cleared:
        """Forget every result of this function, in all processes.

        Done when this returns; the result may be awaited too.
        """
        return Cleared(*astuple(self.many.cached.clear()))
