"""The doctor on Sentinel and Cluster URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache import Cache
from dualcache.doctor import Level, examine

if TYPE_CHECKING:
    from tests.fleets.cluster import Cluster
    from tests.fleets.sentinels import Sentinels


def test_each_primary_of_a_cluster_is_examined(cluster: Cluster) -> None:
    with Cache(cluster.url(), namespace="shop") as cache:
        cache.set_many({f"n:{number}": number for number in range(30)})
        found = [*examine(cache)]
    servers = [one for one in found if one.check == "server"]
    assert len({one.node for one in servers}) == 3
    assert all("cluster" in one.cause for one in servers)
    (keys,) = [one for one in found if one.check == "ttl"]
    assert keys.cause == "all of 30 entries have one"
    assert [one for one in found if one.level is Level.FAULT] == []


def test_the_master_of_sentinels_is_examined(sentinels: Sentinels) -> None:
    with Cache(sentinels.url(), namespace="shop") as cache:
        found = {one.check: one for one in examine(cache)}
    assert found["replicas"].level is Level.WARNING
    assert "min-replicas-to-write is 0" in found["replicas"].cause
    assert found["rights"].level is Level.GOOD


def test_a_node_of_a_cluster_by_a_url_of_one_server_is_a_fault(cluster: Cluster) -> None:
    address = cluster.url().partition("//")[2].partition(",")[0].partition("/")[0]
    with Cache(f"redis://{address}/0", namespace="shop") as cache:
        found = {one.check: one for one in examine(cache)}
    (told,) = [found["server"] if "server" in found else found["answer"]]
    assert told.level is Level.FAULT
    assert "redis+cluster://" in told.cause + told.fix
