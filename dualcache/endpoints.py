"""The endpoint decorator: reads served from the cache, writes that delete after their success."""

from __future__ import annotations

import warnings
from inspect import unwrap
from typing import TYPE_CHECKING, Any, Final

from dualcache.calls.endpoint import SAFE, Way, way_of
from dualcache.calls.endpoint_advice import advice
from dualcache.calls.endpoint_binding import EndpointBinding
from dualcache.calls.endpoint_options import ENDPOINT, endpoint_options
from dualcache.calls.endpoint_roles import is_response
from dualcache.core.entry import Recipe
from dualcache.core.scope import switched_off
from dualcache.decorators import NAMING, POLICY, Cached
from dualcache.engine.invalidation import invalidate
from dualcache.engine.probe import get_or_run
from dualcache.errors import UnencodableValue, UsageError
from dualcache.handles import value_of
from dualcache.invalidating import ainvalidated_after, invalidated_after

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dualcache.backend import Backend
    from dualcache.calls.binding import Naming
    from dualcache.core.entry import Packed
    from dualcache.core.events import Invalidated
    from dualcache.core.flight import Outcome
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call

OUR_FRAMES: Final = 5
"""How many of our own calls stand between a warning and the line of the decorator."""


class CachedEndpoint(Cached):
    """One decorated endpoint: a read, a write, or both, by the method of its request."""

    known = (*NAMING, *POLICY, *ENDPOINT)
    binding: EndpointBinding
    has_default_name = False

    def bound(self, naming: Naming) -> EndpointBinding:
        """Return how calls become keys; warn of what a hit cannot give back."""
        self.endpoint = endpoint_options(self.options, self.call.name)
        binding = EndpointBinding(
            self.call,
            naming,
            self.make_policy,
            options=self.endpoint,
            prefix=self.cache.requests.prefix,
            is_shared=self.cache.backend.target.kind == "redis",
        )
        for line in advice(binding):
            warnings.warn(line, stacklevel=OUR_FRAMES)
        return binding

    def recipe(self, annotation: Any) -> Recipe:
        """Return how results are stored; responses never are."""
        made = super().recipe(annotation)

        def pack(key: str, value: Any) -> Packed:
            if is_response(value):
                raise unstored_response(type(value).__name__)
            return made.pack(key, value)

        return Recipe(pack, made.unpack)

    def perform(self, values: tuple[Any, ...]) -> Any:
        """Serve one request in this thread."""
        backend = self.cache.backend
        method = self.binding.method(values)
        way = way_of(method, self.endpoint, self.call.name)
        if way is Way.READ:
            return super().perform(values)
        if way is Way.WRITE:
            flow = self.deletion(values, method, backend)
            return invalidated_after(self.binding.loader(*values), flow, backend)
        if way is Way.PASS or id(self.cache) in switched_off.get():
            return self.binding.loader(*values)
        return value_of(backend.run(self.probing(values, backend)))

    async def perform_async(self, values: tuple[Any, ...]) -> Any:
        """Serve one request in this task."""
        backend = self.cache.backend
        method = self.binding.method(values)
        way = way_of(method, self.endpoint, self.call.name)
        if way is Way.READ:
            return await super().perform_async(values)
        if way is Way.WRITE:
            flow = self.deletion(values, method, backend)
            return await ainvalidated_after(await self.binding.loader(*values), flow, backend)
        if way is Way.PASS or id(self.cache) in switched_off.get():
            return await self.binding.loader(*values)
        return value_of(await backend.arun(self.probing(values, backend)))

    def invalidating(self, call: Call) -> Flow[Invalidated]:
        key, env = self.binding.doomed_key(call.args), self.cache.backend.env
        return invalidate((key,), (), (), env, self.binding.label)

    def probing(self, values: tuple[Any, ...], backend: Backend) -> Flow[Outcome]:
        return get_or_run(self.binding.call_of(values), backend.env)

    def deletion(
        self, values: tuple[Any, ...], method: str | None, backend: Backend
    ) -> Flow[Invalidated]:
        """Return the invalidation for values as they are before the body runs."""
        doomed = self.binding.deletion(values, method)
        return self.cache.requests.invalidate(
            doomed.keys, (), doomed.patterns, backend, self.binding.label
        )


def unstored_response(kind: str) -> UnencodableValue:
    """Make the error that tells why a response is not stored."""
    return UnencodableValue(
        f"a {kind} is a finished response, with headers and cookies of one request",
        code="DC406",
        help="return the data (a dict, a list or a model), and let the framework make the response",
    )


def refuse_unsafe_reads(app: object, functions: Iterable[Cached]) -> None:
    """Raise `UsageError` for a route that writes with an endpoint that cannot but read.

    `app` is an ASGI application with `routes`; routers that are mounted are looked at too.
    """
    reads = {
        each.call.function: each
        for each in functions
        if isinstance(each, CachedEndpoint) and each.binding.is_surely_read
    }
    if not reads:
        return
    for path, methods, function in routes_of(app, ""):
        cached = reads.get(function)
        unsafe = sorted(set(methods) - SAFE)
        if cached is not None and unsafe:
            raise UsageError(
                f"{cached.call.name} writes under {unsafe[0]} {path}, but is cached as a read",
                code="DC405",
                details=[("of", str(cached.call))],
                help="add a parameter `request: Request`, or decorate it with "
                "@cache.invalidates(…)",
            )


def routes_of(app: Any, before: str) -> Iterator[tuple[str, Iterable[str], Any]]:
    """Yield path, methods and innermost function of every route, mounted ones included."""
    for route in getattr(app, "routes", None) or ():
        path = f"{before}{getattr(route, 'path', '')}"
        endpoint = getattr(route, "endpoint", None)
        if isinstance(endpoint, type):
            for method in ("get", "head", "post", "put", "patch", "delete"):
                handler = getattr(endpoint, method, None)
                if handler is not None:
                    yield path, (method.upper(),), unwrap(handler)
        elif endpoint is not None:
            while hasattr(endpoint, "func"):  # a functools.partial
                endpoint = endpoint.func
            yield path, getattr(route, "methods", None) or (), unwrap(endpoint)
        else:
            prefix = getattr(getattr(route, "include_context", None), "prefix", "")
            yield from routes_of(inner_of(route), f"{path}{prefix}")


def inner_of(route: Any) -> Any:
    """Return what a mount or an included router holds: something with routes of its own."""
    if getattr(route, "routes", None):
        return route
    held = (value for value in vars(route).values() if getattr(value, "routes", None))
    return next(held, None)
