"""`Asked`: one ASGI request on its way through HTTP mode, read once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.errors import UsageError
from dualcache.http.requests import HttpRequest

if TYPE_CHECKING:
    from dualcache.http.loads import RouteLoads
    from dualcache.http.policy import HttpPolicy
    from dualcache.http.recorder import Application, Receive, Scope

__all__ = ["Asked", "request_of"]


class Asked(NamedTuple):
    """A request, the loads of its route, and the application that answers without the cache."""

    request: HttpRequest
    route: RouteLoads
    app: Application
    scope: Scope
    receive: Receive

    @property
    def policy(self) -> HttpPolicy:
        """The policy of the route."""
        return self.route.http_policy


def request_of(scope: Scope) -> HttpRequest:
    """Return the parts of a scope that the rules look at."""
    return HttpRequest(
        scope["method"],
        scope["path"],
        scope.get("query_string", b""),
        list(scope["headers"]),
        scope.get("path_params", {}),
        lambda: _given(scope),
    )


def _given(scope: Scope) -> Any:
    """Return the request that functions of the user's get: that of the framework that runs."""
    for name in ("starlette.requests", "litestar"):
        if name in sys.modules:
            return sys.modules[name].Request(scope)
    raise UsageError(
        "cache.http() got a function of the request, and no framework makes that request",
        code="DC444",
        help='name header fields instead: vary=["x-tenant"]',
    )
