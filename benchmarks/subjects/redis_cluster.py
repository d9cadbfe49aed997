"""What people write by hand with the cluster clients of redis-py, and dualcache there."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, Protocol

import redis
import redis.asyncio

from benchmarks.subjects.ours import KEY
from benchmarks.subjects.redis_sync import TTL, by_hand
from dualcache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench, Function, Maker


class Place(Protocol):
    """Where a cluster is."""

    def url(self, scheme: str = ...) -> str: ...


class Elsewhere:
    """A cluster that another process has started."""

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self, scheme: str = "redis+cluster") -> str:
        return f"{scheme}://{self._url.partition('://')[2]}"


def open_cache(bench: Bench, cluster: Place, **options: Any) -> Cache:
    """Return a cache on a cluster; closed when the topic ends."""
    chosen: dict[str, Any] = {"namespace": "ours", "max_connections": 64, **options}
    cache = Cache(cluster.url(), **chosen)
    bench.on_close(cache.aio.aclose)
    return cache


def open_client(
    bench: Bench, cluster: Place
) -> Any:  # redis-py's own types leave open whether a call is awaited
    client: Any = redis.RedisCluster.from_url(cluster.url("redis").partition(",")[0])
    bench.on_close(client.close)
    return client


def cached(cluster: Place, tags: int = 0) -> Maker:
    """Return dualcache with so many tags on each entry, each tag on whichever node it falls."""

    def make(function: Function, bench: Bench) -> Function:
        named = [f"tag{number}:{{user_id}}" for number in range(tags)]
        cache = open_cache(bench, cluster, namespace=f"tagged{tags}")
        return cache(key=KEY, ttl=TTL, tags=named)(function)

    return make


def redis_pickle(cluster: Place) -> Maker:
    def make(function: Function, bench: Bench) -> Function:
        client = open_client(bench, cluster)

        def put(key: str, data: bytes) -> None:
            client.set(key, data, ex=TTL)

        return by_hand(function, "hand", client.get, put)

    return make


def redis_pickle_async(cluster: Place) -> Maker:
    def make(function: Function, bench: Bench) -> Function:
        url = cluster.url("redis").partition(",")[0]
        client: Any = redis.asyncio.RedisCluster.from_url(url)
        bench.on_close(client.aclose)

        async def get_user(user_id: int, page: int = 1) -> Any:
            key = f"hand:{user_id}:{page}"
            found = await client.get(key)
            if found is not None:
                return pickle.loads(found)
            value = await function(user_id, page)
            await client.set(key, pickle.dumps(value, 5), ex=TTL)
            return value

        return get_user

    return make


def get_many(
    bench: Bench, cluster: Place, keys: int, value: Any
) -> dict[str, Callable[[], object]]:
    """Return reads of so many keys at once: those of dualcache, and two ways of redis-py."""
    names = [f"many:{number}" for number in range(keys)]
    cache, client = open_cache(bench, cluster), open_client(bench, cluster)
    cache.set_many(dict.fromkeys(names, value), ttl=TTL)
    for name in names:
        client.set(name, pickle.dumps(value, 5), ex=TTL)

    def piped() -> list[Any]:
        pipeline = client.pipeline()
        for name in names:
            pipeline.get(name)
        return [pickle.loads(found) for found in pipeline.execute()]

    def multiple() -> list[Any]:
        return [pickle.loads(found) for found in client.mget_nonatomic(names)]

    return {
        "dualcache": lambda: cache.get_many(names),
        "redis.cluster mget_nonatomic": multiple,
        "redis.cluster pipeline": piped,
    }
