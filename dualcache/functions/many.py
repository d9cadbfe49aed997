"""The decorator of functions that take many values and return a mapping by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.core.entry import MISSING
from dualcache.functions.advice import unnamed_parameters, warn
from dualcache.functions.binding import Binding
from dualcache.functions.compile import compile_wrapper
from dualcache.functions.function import Cached
from dualcache.functions.many_calls import CachedMany
from dualcache.functions.many_handles import AsyncManyHandles, ManyHandles
from dualcache.functions.methods import as_attribute
from dualcache.functions.options import function_options
from dualcache.keys.elements import element_signature
from dualcache.options.option import Where
from dualcache.options.table import SPELLINGS, checked, names
from dualcache.options.written import refuse_single_loads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualcache.runtime.runtime import Runtime

__all__ = ["cached_many"]

_OF_ONE: Final = ("verify", "refresh_from", "cache_exceptions", "negative_ttl")
_OPTIONS: Final = (
    # Of many values no single hit could be checked, no single entry is loaded anew, and what is
    # raised for all of them says nothing of one.
    *[each for each in names(Where.DECORATOR | Where.MANY) if each not in _OF_ONE],
    *SPELLINGS,
)
_HANDLES: Final = (
    "invalidate",
    "expire",
    "refresh",
    "peek",
    "key_for",
    "cache_info",
    "cache_clear",
    "cache_parameters",
)


def cached_many(runtime: Runtime, function: Callable[..., Any], written: Mapping[str, Any]) -> Any:
    """Make the cached form of a function of many values."""
    missing = written.get("missing", MISSING)
    ignore, key = written.get("ignore", ()), written.get("key")
    signature = element_signature(function, key, ignore, may_be_none=missing is None)
    checked("missing", missing, owner=signature.name)
    refuse_single_loads(written, owner=signature.name)
    options = function_options(runtime, signature, written, _OPTIONS)
    naming = options.naming
    binding = Binding(signature, naming, prefix=runtime.prefix, is_shared=runtime.is_shared)
    assert naming.key is not None
    if naming.vary is None:
        for line in unnamed_parameters(signature, naming.key, naming.ignore):
            warn(line)
    return _decorated(CachedMany(Cached(runtime, signature, options, binding), signature, missing))


def _decorated(many: CachedMany) -> Any:
    is_async = many.whole.is_coroutine
    perform: Callable[..., Any] = many.perform_async if is_async else many.perform
    wrapper: Any = compile_wrapper(many.whole, perform)
    handles = AsyncManyHandles(many) if is_async else ManyHandles(many)
    for name in _HANDLES:
        setattr(wrapper, name, getattr(handles, name))
    return as_attribute(wrapper, many.whole)
