"""What stands in the place of a decorated function: the compiled wrapper with its handles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.functions.compile import Kept, compile_wrapper
from dualcache.functions.handles import HANDLES, AsyncHandles, Handles
from dualcache.functions.methods import as_attribute
from dualcache.keys.open_calls import aproved_first, proved_first

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.functions.function import Cached

__all__ = ["decorated"]


def decorated(cached: Cached) -> Any:
    """Return the function that is called in the place of the decorated one."""
    is_async, opened = cached.signature.is_coroutine, cached.signature.open_calls
    perform: Callable[..., Any] = cached.perform_async if is_async else cached.perform
    stops = cached.stops_at_load and not is_async and opened is None
    if opened is not None:
        perform = (aproved_first if is_async else proved_first)(opened, perform)
    elif stops:
        perform = cached.perform_to_load
    wrapper: Any = compile_wrapper(cached.signature, perform, _kept(cached), stops_at_load=stops)
    handles = AsyncHandles(cached) if is_async else Handles(cached)
    for name in HANDLES:
        setattr(wrapper, name, getattr(handles, name))
    return as_attribute(wrapper, cached.signature)


def _kept(cached: Cached) -> Kept | None:
    """Return what the compiled wrapper needs to serve front-tier hits on its own."""
    front = cached.front
    if front is None or front.positions is None:
        return None
    whole = front.front
    index, positions, types = front.owner.index, front.positions, front.types
    return Kept(index, whole.gate.clock, positions, types, front.is_tagged)
