"""The functions behind routes, and the layers beneath a function's decorators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["INSTEAD", "PASSING", "SAFE", "VERBS", "layers", "routes_of", "template_of"]

VERBS: Final = ("get", "head", "post", "put", "patch", "delete")
PASSING: Final = frozenset({"OPTIONS", "TRACE"})
"""Methods that neither read a resource nor change one."""
SAFE: Final = frozenset({"GET", "HEAD", *PASSING})
MOST_LAYERS: Final = 50
INSTEAD: Final = (
    "decorate the function that writes with @cache.invalidates(…), or with key_prefix= and a "
    "parameter `request: Request`, whose method then decides"
)


def routes_of(app: Any, before: str = "") -> Iterator[tuple[str, Iterable[str], Any]]:
    """Yield path, methods and endpoint of every route, mounted ones included."""
    routes = getattr(app, "routes", None)
    for route in routes if isinstance(routes, Iterable) else ():
        path = f"{before}{getattr(route, 'path', '')}"
        endpoint = getattr(route, "endpoint", None)
        handlers = getattr(route, "route_handlers", None)  # of Litestar: one for some methods
        for handler in handlers if isinstance(handlers, Iterable) else ():
            yield path, getattr(handler, "http_methods", ()), handler.fn
        if isinstance(endpoint, type):
            for verb in VERBS:
                if (handler := getattr(endpoint, verb, None)) is not None:
                    yield path, (verb.upper(),), handler
        elif endpoint is not None:
            yield path, getattr(route, "methods", None) or (), endpoint
        else:
            prefix = getattr(getattr(route, "include_context", None), "prefix", "")
            yield from routes_of(_inner_of(route), f"{path}{prefix}")


def template_of(scope: Any) -> str:
    """Return the path template of the route that an ASGI request came by; empty: not known.

    It is that within the application: what a mount puts before it is not part of it.
    """
    # FastAPI keeps what an included router puts before a path apart from the route.
    included = (scope.get("fastapi") or {}).get("effective_route_context")
    path = getattr(included or scope.get("route"), "path", None)
    return path if isinstance(path, str) else ""


def layers(function: Any) -> Iterator[Any]:
    """Yield a function and the layers beneath it: of decorators, partials and methods."""
    for _ in range(MOST_LAYERS):  # a mock has any attribute, however deep
        if function is None:
            return
        yield function
        beneath = (getattr(function, name, None) for name in ("func", "__wrapped__", "__func__"))
        function = next((each for each in beneath if each is not None), None)


def _inner_of(route: Any) -> Any:
    """Return the app or router inside a mount or an included router; it has routes."""
    if getattr(route, "routes", None):
        return route
    held = (
        value for value in getattr(route, "__dict__", {}).values() if getattr(value, "routes", None)
    )
    return next(held, None)
