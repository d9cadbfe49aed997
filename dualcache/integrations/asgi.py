"""`HttpCache`: HTTP mode as a middleware, for applications whose routes cannot be decorated."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from dualcache import Cache, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    # Each framework has types of its own for scopes and messages.
    Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

__all__ = ["HttpCache"]

HELP = 'write HttpCache(app, cache=cache, paths={"/static/*": {"ttl": "1h"}})'


class HttpCache:
    """An ASGI middleware that puts paths of an application behind `cache.http`.

    `paths` maps patterns to options of `cache.http`; `None` leaves a path alone. The first pattern
    that matches counts, and `*` matches any text. Paths that match no pattern are left alone.
    """

    def __init__(
        self, app: Application, *, cache: Cache, paths: Mapping[str, Mapping[str, Any] | None]
    ) -> None:
        _refuse_wrong(cache, paths)
        self._app = app
        self._by_pattern = [
            (pattern, _application(app, cache, pattern, options))
            for pattern, options in paths.items()
        ]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._for(scope)(scope, receive, send)

    def _for(self, scope: Any) -> Application:
        if scope["type"] == "http":
            for pattern, app in self._by_pattern:
                if fnmatchcase(scope["path"], pattern):
                    return app
        return self._app


class _Part:
    """The application under one pattern, which stands in statistics for a route's template."""

    def __init__(self, app: Application, pattern: str) -> None:
        self.__module__, self.__qualname__ = "", pattern
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


def _application(
    app: Application, cache: Cache, pattern: str, options: Mapping[str, Any] | None
) -> Application:
    if options is None:
        return app
    return cache.http(**options)(_Part(app, pattern))


def _refuse_wrong(cache: object, paths: object) -> None:
    if not isinstance(cache, Cache) or not isinstance(paths, Mapping) or not paths:
        raise UsageError(
            "HttpCache needs a cache, and a mapping of paths to options", code="DC438", help=HELP
        )
    for pattern, options in paths.items():
        if not isinstance(pattern, str) or not pattern.startswith(("/", "*")):
            raise UsageError(
                "paths of HttpCache holds something that is not a path", code="DC439", help=HELP
            )
        if options is not None and not isinstance(options, Mapping):
            raise UsageError(
                f"paths of HttpCache has no mapping of options for {pattern}",
                code="DC439",
                help=HELP,
            )
