"""The replacement of a decorated function: the compiled wrapper with its handles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from dualcache.functions.compile import FrontIndex, compile_wrapper
from dualcache.functions.handles import HANDLES, AsyncHandles, Handles
from dualcache.functions.methods import as_attribute
from dualcache.keys.open_calls import aproved_first, proved_first

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from dualcache.functions.function import Cached

__all__ = ["Performing", "decorated"]


class Performing(Protocol):
    """The answer to a call, given its values: the cached function, or an endpoint over it."""

    def perform(self, values: tuple[Any, ...]) -> Any: ...

    def perform_async(self, values: tuple[Any, ...]) -> Coroutine[Any, Any, Any]: ...


def decorated(cached: Cached, performing: Performing | None = None) -> Any:
    """Return the cached form of a function.

    `performing` decides what becomes of a call; without it every call is served from the cache.
    """
    signature = cached.signature
    is_async, opened = signature.is_coroutine, signature.open_calls
    answers = performing or cached
    perform: Callable[..., Any] = answers.perform_async if is_async else answers.perform
    # Only where every call may be served does the wrapper run the function in its own frame.
    stops = performing is None and not is_async and opened is None and cached.runs_itself
    if opened is not None:
        perform = (aproved_first if is_async else proved_first)(opened, perform)
    elif stops:
        perform = cached.perform_to_load
    wrapper: Any = compile_wrapper(signature, perform, _kept(cached), stops_at_load=stops)
    handles = AsyncHandles(cached) if is_async else Handles(cached)
    for name in HANDLES:
        setattr(wrapper, name, getattr(handles, name))
    return as_attribute(wrapper, signature)


def _kept(cached: Cached) -> FrontIndex | None:
    """Return the parts by which the compiled wrapper serves front-tier hits on its own."""
    front = cached.front
    if front is None or front.positions is None:
        return None
    whole = front.front
    index, positions, types = front.owner.index, front.positions, front.types
    return FrontIndex(index, whole.gate.clock, positions, types, front.is_tagged)
