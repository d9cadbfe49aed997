"""The flows of direct calls, of batches and of refreshes, each in a span where it is traced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.engine import batch, read_many
from dualcache.engine import refresh_many as refreshing
from dualcache.runtime.tracing import GET, GET_MANY, REFRESH_MANY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.runtime.backend import Backend

__all__ = ["direct", "get_many", "get_or_load_many", "refresh_many"]


def direct(
    make: Callable[[Call, Env], Flow[Any]], call: Call, backend: Backend, name: str = GET
) -> Flow[Any]:
    """Serve or load one key, by the flow that `make` returns."""
    traced = backend.traced(name, call.policy.label)
    if traced is None:
        return make(call, backend.env)
    return traced.spanned(make(traced.loading(call), traced.env))


def get_many(calls: Sequence[Call], backend: Backend, label: str) -> Flow[list[object]]:
    """Read several keys."""
    traced = backend.traced(GET_MANY, label)
    if traced is None:
        return read_many.get_many(calls, backend.env)
    return traced.spanned(read_many.get_many(calls, traced.env))


def get_or_load_many(
    calls: Mapping[str, Call],
    loader: Callable[..., Any],
    one_of: Callable[[str], Callable[[], Any]],
    backend: Backend,
    label: str,
) -> Flow[dict[str, Any]]:
    """Serve several keys, or load them."""
    traced = backend.traced(GET_MANY, label)
    if traced is None:
        return batch.get_or_load_many(calls, loader, one_of, backend.env)
    loader, one_of = traced.loader(loader), traced.loaders(one_of)
    return traced.spanned(batch.get_or_load_many(calls, loader, one_of, traced.env))


def refresh_many(
    calls: Mapping[str, Call], loader: Callable[..., Any], backend: Backend, label: str
) -> Flow[dict[str, Any]]:
    """Load several keys now."""
    traced = backend.traced(REFRESH_MANY, label)
    if traced is None:
        return refreshing.refresh_many(calls, loader, backend.env)
    loader = traced.loader(loader)
    return traced.spanned(refreshing.refresh_many(calls, loader, traced.env))
