"""The routers, routes and applications that an ASGI application consists of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["applications", "routes_within"]


def routes_within(app: Any) -> Iterator[Any]:
    """Yield the routes of an application, and those of the routers and applications within it."""
    return (each for each, is_route in _within(app, set()) if is_route)


def applications(app: Any) -> Iterator[Any]:
    """Yield an application and those that are mounted in it, each of which has routes."""
    return (each for each, is_route in _within(app, set()) if not is_route)


def _within(app: Any, seen: set[int]) -> Iterator[tuple[Any, bool]]:
    routes = getattr(app, "routes", None)
    if id(app) in seen or not isinstance(routes, Iterable):
        return
    seen.add(id(app))
    yield app, False
    for route in list(routes):
        yield route, True
        # A mount holds its application, and a router that is included is held by its route, under
        # names that differ between versions.
        for inside in (route, *getattr(route, "__dict__", {}).values()):
            yield from _within(inside, seen)
