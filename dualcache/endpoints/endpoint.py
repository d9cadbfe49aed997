"""The endpoint decorator: reads served from the cache, writes that delete after their success."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from dualcache.core.flight import value_of
from dualcache.core.scope import switched_off
from dualcache.endpoints.advice import at_decoration
from dualcache.endpoints.binding import EndpointBinding
from dualcache.endpoints.decisions import EndpointAction, action_of
from dualcache.endpoints.options import endpoint_options
from dualcache.engine.load import get_or_run
from dualcache.errors import UnencodableValue, UsageError
from dualcache.frameworks.roles import is_response
from dualcache.frameworks.routes import INSTEAD, SAFE, layers, routes_of
from dualcache.functions.advice import warn, warn_of_function
from dualcache.functions.afterwards import ainvalidated_after, invalidated_after
from dualcache.functions.function import OPTIONS as FUNCTION_OPTIONS
from dualcache.functions.function import Cached
from dualcache.functions.handles import SharedHandles
from dualcache.functions.invalidates import MADE_BY, Invalidating
from dualcache.functions.options import function_options
from dualcache.keys.names import user_key
from dualcache.keys.signature import FunctionSignature
from dualcache.options.option import Where
from dualcache.options.table import names
from dualcache.runtime.invalidations import invalidation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualcache.core.entry import Packed, ValueCodec
    from dualcache.core.events import Invalidated
    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env
    from dualcache.runtime.runtime import Runtime


__all__ = ["Endpoint", "cached_endpoint", "refuse_unsafe_reads", "warn_of_routes_beneath"]

OPTIONS: Final = (*FUNCTION_OPTIONS, *names(Where.ENDPOINT))
"""The options of an endpoint."""


def cached_endpoint(
    runtime: Runtime, function: Callable[..., Any], written: Mapping[str, Any]
) -> Endpoint:
    """Check the options of the endpoint decorator; warn of what a hit cannot give back."""
    signature = FunctionSignature.of(function)
    options = function_options(runtime, signature, written, OPTIONS)
    codec_for = options.codec_for
    options = options._replace(codec_for=lambda hint: _without_responses(codec_for(hint)))
    own = endpoint_options(written, signature.name)
    binding = EndpointBinding(signature, options.naming, own, prefix=runtime.prefix)
    for line in at_decoration(binding.parameters, has_vary=binding.has_vary):
        warn(line)
    return Endpoint(Cached(runtime, signature, options, binding), binding)


class Endpoint:
    """One decorated endpoint: a read, a write, or both, by the method of its request."""

    def __init__(self, cached: Cached, binding: EndpointBinding) -> None:
        self.cached = cached
        self.binding = binding
        self._runtime = cached.runtime

    def perform(self, values: tuple[Any, ...]) -> Any:
        """Serve one request in this thread."""
        backend = self._runtime.backend
        method = self.binding.method(values)
        action = self._action(method)
        if action is EndpointAction.READ:
            return self.cached.perform(values)
        if action is EndpointAction.WRITE:
            flow = self._deletion(values, method, backend.env)
            return invalidated_after(self.cached.run(values), flow, backend)
        if action is EndpointAction.PASS or id(self._runtime) in switched_off.get():
            return self.cached.run(values)
        return value_of(backend.run(get_or_run(self.cached.call_with(values), backend.env)))

    async def perform_async(self, values: tuple[Any, ...]) -> Any:
        """Serve one request in this task."""
        backend = self._runtime.backend
        method = self.binding.method(values)
        action = self._action(method)
        if action is EndpointAction.READ:
            return await self.cached.perform_async(values)
        if action is EndpointAction.WRITE:
            flow = self._deletion(values, method, backend.env)
            return await ainvalidated_after(await self.cached.run(values), flow, backend)
        if action is EndpointAction.PASS or id(self._runtime) in switched_off.get():
            return await self.cached.run(values)
        return value_of(await backend.arun(get_or_run(self.cached.call_with(values), backend.env)))

    def _action(self, method: str | None) -> EndpointAction:
        return action_of(method, self.binding.options, self.cached.signature.name)

    def _deletion(self, values: tuple[Any, ...], method: str | None, env: Env) -> Flow[Invalidated]:
        """Return the invalidation for values as they are before the body runs."""
        revoked = self.binding.deletion(values, method)
        keys = map(user_key, revoked.keys)
        return invalidation_of(keys, (), revoked.patterns, env, self.binding.label)


def _without_responses(codec: ValueCodec) -> ValueCodec:
    """Return a codec that packs no response of a web framework: it is that of one request."""

    def pack(value: Any) -> Packed:
        if is_response(value):
            raise _unstored_response(type(value).__name__)
        return codec.pack(value)

    return codec._replace(pack=pack)


def _unstored_response(kind: str) -> UnencodableValue:
    """Make the error that tells why a response is not stored."""
    return UnencodableValue(
        f"a {kind} is a finished response, with headers and cookies of one request",
        code="DC406",
        help="return the data (a dict, a list or a model), and let the framework make the response",
    )


def refuse_unsafe_reads(app: object, runtime: Runtime) -> None:
    """Raise `UsageError` for a route that writes and is answered from the cache.

    `app` is an ASGI application with `routes`; routers that are mounted are looked at too.
    """
    for path, methods, endpoint in routes_of(app):
        unsafe = sorted(set(methods) - SAFE)
        cached = _cached_of(endpoint) if unsafe else None
        if cached is None or cached.runtime is not runtime:
            continue
        binding = cached.binding
        if not isinstance(binding, EndpointBinding) or binding.is_surely_read:
            raise UsageError(
                f"{cached.signature.name} writes under {unsafe[0]} {path}, but is cached as a read",
                code="DC405",
                details=[("of", str(cached.signature))],
                help=INSTEAD,
            )


def warn_of_routes_beneath(app: object, runtime: Runtime) -> None:
    """Warn of a route that does not use the cache, as it was registered beneath its decorator.

    A warning and no error: `app.get("/")(read.__wrapped__)` looks the same and may be meant.
    """
    routes = list(routes_of(app))
    reached = {id(layer) for *_, endpoint in routes for layer in [*layers(endpoint)][1:]}
    for path, methods, endpoint in routes:
        above = None if id(endpoint) in reached else _decorated_above(endpoint, runtime)
        if above is not None:
            name, verbs = above.signature.name, sorted(methods)
            warn_of_function(
                above.signature,
                f"[DC413] {' '.join([*verbs[:1], path])} does not use the cache: {name} has the "
                "cache's decorator above the route's; write the cache's decorator below the "
                "route's",
            )


def _decorated_above(endpoint: Any, runtime: Runtime) -> Cached | Invalidating | None:
    """Return this cache's wrapper of an endpoint, where the module has it by the same name.

    A function that is cached under another name has its own: that is a choice, and no mistake.
    """
    written = [*layers(endpoint)][-1]
    if not isinstance(written, FunctionType):
        return None
    above: Cached | Invalidating | None = None
    for layer in layers(written.__globals__.get(written.__name__)):
        if layer is endpoint:
            return above
        made = _decorated_at(layer)
        above = made if made is not None and made.runtime is runtime else above
    return None


def _cached_of(endpoint: Any) -> Cached | None:
    """Return the cached function that an endpoint is, or that is beneath its decorators."""
    decorated = map(_decorated_at, layers(endpoint))
    return next((each for each in decorated if isinstance(each, Cached)), None)


def _decorated_at(layer: Any) -> Cached | Invalidating | None:
    """Return the cache's record of one layer of a function, if there is one."""
    handles = getattr(getattr(layer, "cache_info", None), "__self__", None)
    if isinstance(handles, SharedHandles):
        return handles.cached
    made = getattr(layer, MADE_BY, None)
    return made if isinstance(made, Invalidating) else None
