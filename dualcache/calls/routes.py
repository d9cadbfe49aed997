"""Which function answers which route: looked at when an application starts, and at a first call."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

from dualcache.calls.endpoint import SAFE
from dualcache.calls.flask_context import serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dualcache.calls.signature import CallSignature

__all__ = ["INSTEAD", "layers", "routes_of", "warn_of_unsafe_read"]

VERBS: Final = ("get", "head", "post", "put", "patch", "delete")
REQUESTS: Final = frozenset({"Request", "HttpRequest"})
INSTEAD: Final = (
    "decorate what writes with @cache.invalidates(…), or with key_prefix= and a parameter "
    "`request: Request`, whose method then decides"
)


def routes_of(app: Any, before: str = "") -> Iterator[tuple[str, Iterable[str], Any]]:
    """Yield path, methods and endpoint of every route, mounted ones included."""
    for route in getattr(app, "routes", None) or ():
        path = f"{before}{getattr(route, 'path', '')}"
        endpoint = getattr(route, "endpoint", None)
        if isinstance(endpoint, type):
            for verb in VERBS:
                if (handler := getattr(endpoint, verb, None)) is not None:
                    yield path, (verb.upper(),), handler
        elif endpoint is not None:
            yield path, getattr(route, "methods", None) or (), endpoint
        else:
            prefix = getattr(getattr(route, "include_context", None), "prefix", "")
            yield from routes_of(_inner_of(route), f"{path}{prefix}")


def layers(function: Any) -> Iterator[Any]:
    """Yield a function and what is beneath it: under decorators, partials and methods."""
    while function is not None:
        yield function
        beneath = (getattr(function, name, None) for name in ("func", "__wrapped__", "__func__"))
        function = next((each for each in beneath if each is not None), None)


def warn_of_unsafe_read(call: CallSignature, values: Sequence[Any]) -> None:
    """Warn where a call is the answer to a request that writes.

    A helper that gets the request of a view which writes may well be cached.
    """
    for request in _requests_among(values):
        method, endpoint = str(request.method).upper(), _endpoint_of(request)
        is_helper = endpoint is not None and not _is_the_same(endpoint, call.function)
        if method in SAFE or is_helper:
            continue
        warnings.warn(
            f"[DC405] {call.name} answers a {method} and is cached as a read, so it does not run "
            f"each time; {INSTEAD}",
            stacklevel=2,
        )
        return


def _requests_among(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        if any(kind.__name__ in REQUESTS for kind in type(value).__mro__) and isinstance(
            getattr(value, "method", None), str
        ):
            yield value
    if (framework := serving()) is not None:
        yield framework.request


def _endpoint_of(request: Any) -> Any:
    """Return the function that answers a request, in ASGI, Django or Flask; `None`: not known."""
    scope = getattr(request, "scope", None)
    if isinstance(scope, dict) and scope.get("endpoint") is not None:
        return scope["endpoint"]
    if (match := getattr(request, "resolver_match", None)) is not None:
        return match.func
    framework = serving()
    if framework is None:
        return None
    return framework.current_app.view_functions.get(framework.request.endpoint)


def _is_the_same(endpoint: Any, function: Any) -> bool:
    handlers = [endpoint]
    if isinstance(endpoint, type):
        handlers = [getattr(endpoint, verb, None) for verb in VERBS]
    *_, innermost = layers(function)
    return any(layer is innermost for each in handlers for layer in layers(each))


def _inner_of(route: Any) -> Any:
    """Return what a mount or an included router holds: something with routes of its own."""
    if getattr(route, "routes", None):
        return route
    held = (value for value in vars(route).values() if getattr(value, "routes", None))
    return next(held, None)
