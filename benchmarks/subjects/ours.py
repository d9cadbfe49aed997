"""dualcache, as users write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.bench import Skip
from dualcache import Cache, UsageError

if TYPE_CHECKING:
    from benchmarks.bench import Bench, Function, Maker

DUALCACHE: Final = "dualcache"
KEY: Final = "user:{user_id}:{page}"


def open_cache(bench: Bench, **options: Any) -> Cache:
    """Return a cache on the topic's server; closed when the topic ends."""
    chosen: dict[str, Any] = {"namespace": "ours", "max_connections": 64, **options}
    cache = Cache(bench.server.url, **chosen)
    bench.on_close(cache.aio.aclose)
    return cache


def open_fronted(bench: Bench, front: Any = 10_000, **options: Any) -> Cache:
    """Return a cache with a front tier; `Skip` where there is none yet."""
    try:
        return open_cache(bench, front=front, **options)
    except (TypeError, UsageError) as error:
        raise Skip("this dualcache has no front tier: Cache() refuses front=") from error


def cached(function: Function, bench: Bench) -> Function:
    return open_cache(bench)(key=KEY, ttl=600)(function)


def named(function: Function, bench: Bench) -> Function:
    """Return dualcache around `g(name: str, page: int = 0)`."""
    return open_cache(bench, namespace="named")(key="page:{name}:{page}", ttl=600)(function)


def default_key(function: Function, bench: Bench) -> Function:
    return open_cache(bench, namespace="default")(name="get_user", ttl=600)(function)


def tagged(count: int) -> Maker:
    """Return dualcache with so many tags on each entry; they differ from key to key."""
    tags = [f"tag{number}:{{user_id}}" for number in range(count)]

    def make(function: Function, bench: Bench) -> Function:
        cache = open_cache(bench, namespace=f"tagged{count}")
        return cache(key=KEY, ttl=600, tags=tags)(function)

    return make


def fronted(function: Function, bench: Bench) -> Function:
    """Return dualcache with both tiers."""
    return open_fronted(bench, namespace="fronted")(key=KEY, ttl=600)(function)
