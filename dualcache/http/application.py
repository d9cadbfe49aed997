"""A whole ASGI application behind HTTP mode: static files, applications of others."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dualcache.http.asgi import AsgiHttp
    from dualcache.http.recorder import Application, Receive, Scope, Send

__all__ = ["HttpApplication", "has_parameters", "is_asgi_application"]

PARAMETERS: Final = ("scope", "receive", "send")


class HttpApplication:
    """An ASGI application whose responses are kept, whichever of its routes makes them."""

    def __init__(self, http: AsgiHttp, app: Application) -> None:
        self.__wrapped__ = app
        self._http = http

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http.serve(self.__wrapped__, scope, receive, send)
        else:  # a WebSocket, the lifespan
            await self.__wrapped__(scope, receive, send)

    @property
    def routes(self) -> Any:
        """The routes of the application, as a mount lists them."""
        return getattr(self.__wrapped__, "routes", [])


def is_asgi_application(value: object) -> bool:
    """Tell an application from an endpoint, by the names that ASGI gives its parameters."""
    return has_parameters(value, PARAMETERS)


def has_parameters(value: object, names: tuple[str, ...]) -> bool:
    """Tell whether a function, a method or an object that can be called takes just these."""
    if isinstance(value, type) or not callable(value):
        return False
    try:
        return tuple(inspect.signature(value).parameters) == names
    except (TypeError, ValueError):  # a callable of C without a signature
        return False
