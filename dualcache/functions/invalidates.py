"""`@cache.invalidates`: a function whose success deletes names made from its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.errors import UsageError
from dualcache.functions.afterwards import ainvalidated_after, invalidated_after
from dualcache.functions.binding import names_of
from dualcache.functions.compile import compile_loader, compile_wrapper
from dualcache.functions.methods import as_attribute, decorated_inside
from dualcache.keys.names import user_key
from dualcache.keys.open_calls import loader_of
from dualcache.keys.plans import make_deletions, make_names
from dualcache.keys.signature import FunctionSignature
from dualcache.runtime.invalidations import invalidation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.core.events import Invalidated
    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env
    from dualcache.runtime.runtime import Runtime

__all__ = ["MADE_BY", "Invalidating", "invalidating"]

MADE_BY: Final = "_invalidating"
"""The attribute of a decorated function that holds its `Invalidating`."""


def invalidating(
    runtime: Runtime, keys: Sequence[str], tags: Sequence[str], patterns: Sequence[str]
) -> Callable[[Any], Any]:
    """Return the decorator of functions whose success invalidates these templates."""
    is_bare = any(callable(key) for key in keys)
    if is_bare or not (keys or tags or patterns):
        raise UsageError(
            "@cache.invalidates got a function instead of names"
            if is_bare
            else "@cache.invalidates() names nothing to invalidate",
            code="DC409",
            help="name the entries that the function makes wrong: "
            '@cache.invalidates("user:{user_id}"), or tags=["users"], or '
            'patterns=["search_*"]',
        )

    def decorate(function: Any) -> Any:
        return Invalidating(runtime, function, keys, tags, patterns).decorated()

    return lambda function: decorated_inside(function, decorate)


class Invalidating:
    """A function whose success invalidates names made from its arguments."""

    def __init__(
        self,
        runtime: Runtime,
        function: Callable[..., Any],
        keys: Sequence[str],
        tags: Sequence[str],
        patterns: Sequence[str],
    ) -> None:
        self.runtime = runtime
        self.signature = FunctionSignature.of(function)
        self.signature.name_in_templates(names_of((*keys, *tags, *patterns)))
        self.loader = compile_loader(self.signature)
        self.keys_of = make_deletions(self.signature, keys, "patterns")
        self.tags_of = make_names(self.signature, tags, what="tag")
        self.patterns_of = make_names(self.signature, patterns, what="pattern")

    def decorated(self) -> Any:
        """Return the wrapper that replaces the function."""
        perform = self.perform_async if self.signature.is_coroutine else self.perform
        wrapper = compile_wrapper(self.signature, perform)
        setattr(wrapper, MADE_BY, self)
        return as_attribute(wrapper, self.signature)

    def flow(self, values: tuple[Any, ...], env: Env) -> Flow[Invalidated]:
        """Return the invalidation for values as they are before the function runs."""
        return invalidation_of(
            map(user_key, self.keys_of(*values)),
            self.tags_of(*values),
            self.patterns_of(*values),
            env,
            self.signature.name,
        )

    def run(self, values: tuple[Any, ...]) -> Any:
        """Call the function itself."""
        return loader_of(values, self.loader)(*values)

    def perform(self, values: tuple[Any, ...]) -> Any:
        """Run the function in this thread; invalidate if it succeeds."""
        backend = self.runtime.backend
        flow = self.flow(values, backend.env)
        return invalidated_after(self.run(values), flow, backend)

    async def perform_async(self, values: tuple[Any, ...]) -> Any:
        """Run the function in this task; invalidate if it succeeds."""
        backend = self.runtime.backend
        flow = self.flow(values, backend.env)
        return await ainvalidated_after(await self.run(values), flow, backend)
