"""`CacheDep`: the cache of an application, as a parameter of its endpoints."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection  # noqa: TC002  FastAPI reads the annotation

from dualcache import Cache, UsageError

__all__ = ["CacheDep"]


async def _cache_of(connection: HTTPConnection) -> Cache:
    cache = getattr(connection.app.state, "dualcache", None)
    if not isinstance(cache, Cache):
        raise UsageError(
            "CacheDep found no cache in its application",
            code="DC437",
            help="write FastAPI(lifespan=cache.lifespan), or app.state.dualcache = cache",
        )
    return cache


# No `type` of its own: FastAPI looks for the Depends among the parts of the annotation.
CacheDep = Annotated[Cache, Depends(_cache_of)]
"""Annotates a parameter that gets the cache which `cache.lifespan` has opened."""
