"""`@cache.invalidates`: a function whose success deletes names made from its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.calls.naming import make_names
from dualcache.calls.signature import CallSignature
from dualcache.calls.wrapper import compile_loader, compile_wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.cache import Cache
    from dualcache.core.events import Invalidated
    from dualcache.core.ops import Flow


class Invalidating:
    """A function whose success invalidates names made from its arguments."""

    def __init__(
        self,
        cache: Cache,
        function: Callable[..., Any],
        keys: Sequence[str],
        tags: Sequence[str],
        patterns: Sequence[str],
    ) -> None:
        self.cache = cache
        self.call = CallSignature.of(function)
        self.loader = compile_loader(self.call)
        self.keys_of = make_names(self.call, keys, what="key")
        self.tags_of = make_names(self.call, tags, what="tag")
        self.patterns_of = make_names(self.call, patterns, what="pattern")

    def decorated(self) -> Any:
        """Return what stands in the place of the function."""
        perform = self.perform_async if self.call.is_coroutine else self.perform
        return compile_wrapper(self.call, perform)

    def flow(self, values: tuple[Any, ...]) -> Flow[Invalidated]:
        """Return the invalidation for values as they are before the function runs."""
        return self.cache.requests.invalidate(
            self.keys_of(*values),
            self.tags_of(*values),
            self.patterns_of(*values),
            self.cache.backend,
            self.call.name,
        )

    def perform(self, values: tuple[Any, ...]) -> Any:
        """Run the function in this thread; invalidate if it succeeds."""
        flow = self.flow(values)
        result = self.loader(*values)
        self.cache.backend.run(flow)
        return result

    async def perform_async(self, values: tuple[Any, ...]) -> Any:
        """Run the function in this task; invalidate if it succeeds."""
        flow = self.flow(values)
        result = await self.loader(*values)
        await self.cache.backend.arun(flow)
        return result
