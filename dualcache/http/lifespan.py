"""The lifespan of a cache within an ASGI application."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from dualcache.endpoints.endpoint import refuse_unsafe_reads, warn_of_routes_beneath
from dualcache.http.applications import applications

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from dualcache.runtime.runtime import Runtime
    from dualcache.typing import Lifespan

__all__ = ["PLACE", "opened"]

PLACE: Final = "dualcache"
"""The name of the cache in the state of an application, where `CacheDep` finds it."""


@asynccontextmanager
async def opened(
    cache: Any, runtime: Runtime, app: object, wrap: Lifespan | None = None
) -> AsyncGenerator[Any]:
    """Open a cache, with the program's own lifespan within it; close them the other way round."""
    refuse_unsafe_reads(app, runtime)
    warn_of_routes_beneath(app, runtime)
    if "dualcache.http.starlette" in sys.modules:  # only where an endpoint is decorated
        from dualcache.http.starlette import wrap_routes

        wrap_routes(app, cache)
    for each in applications(app):
        state = getattr(each, "state", None)
        # A program may have several caches: the first that opens is the application's.
        if state is not None and getattr(state, PLACE, None) is None:
            setattr(state, PLACE, cache)
    async with cache.aio:
        if wrap is None:
            yield
        else:
            async with wrap(app) as given:
                yield given
