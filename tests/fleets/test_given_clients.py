"""Clients of a Cluster and of Sentinels that users have already: the cache goes where they go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis
import redis.asyncio
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.sentinel import Sentinel

from tests.front.tiers import kept

if TYPE_CHECKING:
    from dualcache import Cache
    from tests.colours import Colour
    from tests.fleets.cluster import Cluster
    from tests.fleets.sentinels import Sentinels


PATIENT: dict[str, Any] = {"socket_timeout": 5, "socket_connect_timeout": 5}


def cache_with(colour: Colour, client: Any, **options: Any) -> Cache:
    name = "async_client" if colour.is_async else "client"
    return colour.cache(**{name: client}, **options, strict=True)


def test_a_cache_lives_on_the_cluster_of_a_client(colour: Colour, cluster: Cluster) -> None:
    made: Any = redis.asyncio.RedisCluster if colour.is_async else redis.RedisCluster
    client = made(host=cluster.nodes[0].host, port=cluster.nodes[0].port, **PATIENT)
    cache = cache_with(colour, client)
    values = {f"k{n}": n for n in range(20)}
    assert colour.call(cache, "set_many", values)
    assert colour.call(cache, "get_many", list(values)) == values
    assert len({cluster.node_of(key) for key in values}) > 1
    assert cluster.node_of("k1").cli("EXISTS", "k1")

    def stored() -> Any:
        assert colour.face(cache).client is client
        return client.get("k1")

    assert colour.run(stored)
    colour.run(client.aclose if colour.is_async else client.close)


def test_a_cache_lives_on_the_master_of_a_client(colour: Colour, guarded_sentinels: Any) -> None:
    fleet: Sentinels = guarded_sentinels
    made: Any = AsyncSentinel if colour.is_async else Sentinel
    manager = made(
        fleet.addresses,
        password=fleet.password,
        db=2,
        sentinel_kwargs={"password": fleet.sentinel_password, **PATIENT},
    )
    client = manager.master_for("mymaster", **PATIENT)
    cache = cache_with(colour, client, front=10)
    load = cache(key="k", ttl=60)(colour.function(lambda: 1))
    assert colour.run(load) == 1
    kept(colour, cache, load)
    assert colour.run(client.exists, "k") == 1
    assert fleet.master.cli("EXISTS", "k") == 0  # it is in db 2
    assert "pw" not in repr(cache)
    colour.run(client.aclose if colour.is_async else client.close)
    for each in manager.sentinels:
        colour.run(each.aclose if colour.is_async else each.close)
