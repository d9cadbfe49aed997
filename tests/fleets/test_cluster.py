"""A cache on a Cluster: slots that move, nodes that go, replicas that take over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import BackendDown, BackendUnavailable, BackendUp, Replayed, UsageError
from tests.behaviour.seen import Seen
from tests.fleets.cluster import slot_of
from tests.fleets.waiting import until
from tests.front.tiers import eventually
from tests.ports import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache import Cache
    from tests.colours import Colour
    from tests.fleets.cluster import Cluster, ClusterNode
    from tests.servers import Server

KEYS = [f"k:{n}" for n in range(30)]


def counted(colour: Colour, cache: Cache, **options: Any) -> Any:
    """Return a decorated function that counts its runs: its value is the number of the last."""
    runs = [0]

    def body(n: int) -> int:
        runs[0] += 1
        return runs[0]

    return cache(key="k:{n}", ttl=600, **options)(colour.function(body))


def numbers_at(cluster: Cluster, node: ClusterNode, count: int = 3) -> list[int]:
    """Return numbers `n` whose key `k:n` the node has."""
    own = next(known.slots for known in node.known() if known.port == node.port)
    return [n for n in range(1_000) if slot_of(f"k:{n}") in own][:count]


def apart(cluster: Cluster) -> tuple[ClusterNode, ClusterNode]:
    """Return two primaries."""
    first, second, *_ = cluster.primaries
    return first, second


def test_keys_of_all_nodes_are_served(colour: Colour, cluster: Cluster) -> None:
    cache = colour.cache(cluster.url())
    load = counted(colour, cache, tags=["t:{n}", "all"])
    first = [colour.run(load, n) for n in range(30)]
    assert [colour.run(load, n) for n in range(30)] == first
    assert all(node.cli("DBSIZE") for node in cluster.primaries)
    found = colour.call(cache, "get_many", KEYS)
    assert found == dict(zip(KEYS, first, strict=True))
    assert colour.call(cache, "ping")
    assert cache.stats().backend == cluster.url()


def test_what_is_read_of_one_key_is_kept_in_front(colour: Colour, cluster: Cluster) -> None:
    cache = colour.cache(cluster.url(), front=100)
    load = counted(colour, cache)

    def hits_in_front() -> int:
        colour.run(load, 1)
        front = cache.stats().front
        return 0 if front is None else front.hits

    eventually(hits_in_front, "a hit in process")
    other = colour.cache(cluster.url())
    colour.call(other, "invalidate", "k:1")
    eventually(lambda: colour.run(load, 1) == 2, "the invalidation is heard")


def test_tags_at_other_nodes_invalidate(colour: Colour, cluster: Cluster) -> None:
    cache = colour.cache(cluster.url())
    load = counted(colour, cache, tags=["t:{n}", "all"])
    before = [colour.run(load, n) for n in range(10)]
    assert colour.call(cache, "invalidate", tags=["t:3"]).pending == 0
    after = [colour.run(load, n) for n in range(10)]
    assert [n for n in range(10) if before[n] != after[n]] == [3]
    colour.call(cache, "invalidate", tags=["all"])
    assert all(now > 11 for now in [colour.run(load, n) for n in range(10)])


def test_patterns_names_and_clear_reach_every_node(colour: Colour, cluster: Cluster) -> None:
    cache = colour.cache(cluster.url(), namespace="shop")
    for key in KEYS:
        colour.call(cache, "set", key, 1)
    colour.call(cache, "set", "other", 1)
    assert sorted(colour.call(cache, "get_many", KEYS)) == sorted(KEYS)
    assert colour.call(cache, "invalidate", patterns=["k:*"]).removed == 30
    assert colour.call(cache, "get", "other") == 1
    assert colour.call(cache, "clear").pending == 0
    assert not any(node.cli("DBSIZE") for node in cluster.primaries)


def test_a_slot_that_has_moved_is_followed(colour: Colour, cluster: Cluster) -> None:
    first, second = apart(cluster)
    cache = colour.cache(cluster.url())
    load = counted(colour, cache, tags=["t:{n}"])
    moved, stays = numbers_at(cluster, first, 2)
    before = [colour.run(load, n) for n in (moved, stays)]
    cluster.move_slot(slot_of(f"k:{moved}"), second)
    assert [colour.run(load, n) for n in (moved, stays)] == before
    assert colour.call(cache, "invalidate", f"k:{moved}").pending == 0
    assert colour.run(load, moved) == 3
    assert colour.run(load, moved) == 3
    found = colour.call(cache, "get_many", [f"k:{moved}", f"k:{stays}"])
    assert list(found.values()) == [3, before[1]]
    assert cache.stats().is_available


def test_of_a_trip_only_what_has_moved_is_sent_on(colour: Colour, cluster: Cluster) -> None:
    first, second = apart(cluster)
    cache = colour.cache(cluster.url())
    own = numbers_at(cluster, first, 6)
    keys = [f"k:{n}" for n in own]
    loads: list[str] = []

    def loader(wanted: Sequence[str]) -> dict[str, int]:
        loads.extend(wanted)
        return dict.fromkeys(wanted, 1)

    colour.call(cache, "get", "warm")
    for key in keys[::2]:
        cluster.move_slot(slot_of(key), second)
    load = colour.function(loader)
    assert colour.call(cache, "get_or_load_many", keys, load) == dict.fromkeys(keys, 1)
    assert colour.call(cache, "get_or_load_many", keys, load) == dict.fromkeys(keys, 1)
    assert sorted(loads) == sorted(keys), "all were stored"
    assert colour.call(cache, "invalidate", *keys).removed == 6


@pytest.mark.parametrize("moved_first", [True, False], ids=["key_moved", "key_still_there"])
def test_a_key_on_its_way_is_followed(
    colour: Colour, cluster: Cluster, *, moved_first: bool
) -> None:
    first, second = apart(cluster)
    cache = colour.cache(cluster.url())
    load = counted(colour, cache)
    (n,) = numbers_at(cluster, first, 1)
    assert colour.run(load, n) == 1
    move = cluster.begin_move(slot_of(f"k:{n}"), second)
    if moved_first:
        move.move_keys()
    assert colour.run(load, n) == 1
    assert colour.call(cache, "invalidate", f"k:{n}").pending == 0
    assert colour.run(load, n) == 2, "loaded and stored while its slot moves"
    assert colour.run(load, n) == 2
    assert colour.call(cache, "incr", f"k:{n}") == 3
    move.move_keys()
    move.end()
    assert colour.call(cache, "get", f"k:{n}") == 3


def test_a_slot_that_moves_at_once_is_followed(colour: Colour, cluster: Cluster) -> None:
    first, second = apart(cluster)
    cache = colour.cache(cluster.url())
    load = counted(colour, cache)
    (n,) = numbers_at(cluster, first, 1)
    assert colour.run(load, n) == 1
    if not cluster.moved_at_once(slot_of(f"k:{n}"), second):
        pytest.skip("this server moves slots key by key")
    assert colour.run(load, n) == 1
    colour.call(cache, "invalidate", f"k:{n}")
    assert colour.run(load, n) == 2


def test_a_load_that_is_overtaken_by_a_move_is_stored(colour: Colour, cluster: Cluster) -> None:
    first, second = apart(cluster)
    cache = colour.cache(cluster.url())
    gate = colour.gate()
    (n,) = numbers_at(cluster, first, 1)
    runs: list[int] = []

    async def body(number: int) -> int:
        runs.append(number)
        await gate.passed()
        return 7

    load = cache(key="k:{number}", ttl=600)(colour.function(body))
    call = colour.start(lambda: load(n))
    gate.wait_until_entered()
    cluster.move_slot(slot_of(f"k:{n}"), second)
    gate.open()
    assert call.result() == 7
    assert colour.run(load, n) == 7
    assert len(runs) == 1


def test_a_node_that_is_killed_is_an_outage_of_its_keys_alone(
    colour: Colour, lonely_cluster: Cluster
) -> None:
    first, second = apart(lonely_cluster)
    cache = colour.cache(lonely_cluster.url())
    seen = Seen(cache)
    load = counted(colour, cache)
    (dead,), (living,) = numbers_at(lonely_cluster, first, 1), numbers_at(lonely_cluster, second, 1)
    assert [colour.run(load, n) for n in (dead, living)] == [1, 2]
    lonely_cluster.kill(first)
    assert colour.run(load, dead) == 3, "it is loaded"
    assert colour.run(load, dead) == 4, "and not stored"
    assert colour.run(load, living) == 2
    keys = [f"k:{dead}", f"k:{living}"]
    assert colour.call(cache, "get_many", keys) == {f"k:{living}": 2}
    assert colour.call(cache, "invalidate", *keys).pending == 1
    assert colour.run(load, living) == 5, "its invalidation arrived"
    assert colour.run(load, living) == 5, "and it is stored"
    assert [event.node for event in seen.of(BackendDown)] == [f"{HOST}:{first.port}"]
    assert not cache.stats().is_available
    first.start()
    lonely_cluster.wait_until_ready()
    eventually(lambda: colour.run(load, dead) == colour.run(load, dead), "it is stored again")
    assert [event.node for event in seen.of(BackendUp)] == [f"{HOST}:{first.port}"]
    eventually(lambda: cache.stats().pending == 0, "nothing is pending")


def test_a_node_that_hangs_is_an_outage_of_its_keys_alone(
    colour: Colour, lonely_cluster: Cluster
) -> None:
    first, second = apart(lonely_cluster)
    cache = colour.cache(lonely_cluster.url(), socket_timeout=1)
    load = counted(colour, cache)
    (hung,), (living,) = numbers_at(lonely_cluster, first, 1), numbers_at(lonely_cluster, second, 1)
    assert [colour.run(load, n) for n in (hung, living)] == [1, 2]
    lonely_cluster.pause(first)
    try:
        assert colour.run(load, hung) > 2
        assert colour.run(load, hung) > 3
        assert colour.run(load, living) == 2
        assert colour.call(cache, "invalidate", f"k:{hung}").pending == 1
    finally:
        lonely_cluster.resume(first)
    eventually(lambda: colour.run(load, hung) == colour.run(load, hung), "it is stored again")
    assert colour.run(load, hung) > 4, "the invalidation came before its first read"


def test_a_replica_that_is_promoted_is_found(colour: Colour, cluster: Cluster) -> None:
    first, second = apart(cluster)
    cache = colour.cache(cluster.url())
    load = counted(colour, cache)
    (n,), (other,) = numbers_at(cluster, first, 1), numbers_at(cluster, second, 1)
    assert [colour.run(load, number) for number in (n, other)] == [1, 2]
    (replica,) = cluster.replicas_of(first)
    until(lambda: replica.cli("DBSIZE") == first.cli("DBSIZE"), "a copy")
    cluster.promote(replica)
    assert colour.run(load, n) == 1, "the replica has it"
    assert colour.call(cache, "invalidate", f"k:{n}").pending == 0
    assert colour.run(load, n) == colour.run(load, n) > 2, "what was invalidated is not served"
    assert replica.cli("EXISTS", f"k:{n}")


def test_a_replica_that_takes_over_is_found(colour: Colour, own_cluster: Cluster) -> None:
    first, second = apart(own_cluster)
    cache = colour.cache(own_cluster.url())
    seen = Seen(cache)
    load = counted(colour, cache)
    (n,), (other,) = numbers_at(own_cluster, first, 1), numbers_at(own_cluster, second, 1)
    assert [colour.run(load, number) for number in (n, other)] == [1, 2]
    (replica,) = own_cluster.replicas_of(first)
    until(lambda: replica.cli("DBSIZE") == first.cli("DBSIZE"), "a copy")
    own_cluster.kill(first)
    assert colour.call(cache, "invalidate", f"k:{n}").pending == 1
    own_cluster.wait_until_promoted(replica)
    eventually(lambda: colour.run(load, n) == colour.run(load, n), "it is stored again")
    assert colour.run(load, n) > 2, "what was invalidated is not served"
    assert seen.of(Replayed), "the deletion followed its key"
    assert replica.cli("EXISTS", f"k:{n}")


def test_a_new_primary_gets_slots_and_is_asked(colour: Colour, own_cluster: Cluster) -> None:
    first, _ = apart(own_cluster)
    cache = colour.cache(own_cluster.url())
    load = counted(colour, cache)
    (n,) = numbers_at(own_cluster, first, 1)
    assert colour.run(load, n) == 1
    added = own_cluster.add_node()
    own_cluster.move_slot(slot_of(f"k:{n}"), added)
    assert colour.run(load, n) == 1
    colour.call(cache, "invalidate", patterns=["k:*"])
    assert colour.run(load, n) == 2
    assert added.cli("EXISTS", f"k:{n}")


def test_the_client_is_that_of_a_cluster(colour: Colour, cluster: Cluster) -> None:
    cache = colour.cache(cluster.url())

    def stored(key: str) -> Any:
        return colour.face(cache).client.set(key, b"1")

    for key in KEYS[:5]:
        assert colour.run(stored, key)
    assert sum(node.cli("DBSIZE") for node in cluster.primaries) == 5


def test_without_a_reachable_node_functions_run(colour: Colour) -> None:
    cache = colour.cache(f"redis+cluster://{HOST}:{free_port()}", strict=True)
    seen = Seen(cache)
    load = counted(colour, cache)
    assert [colour.run(load, 1), colour.run(load, 1)] == [1, 2]
    assert [(event.reason, event.node) for event in seen.of(BackendDown)] == [("DC325", "")]
    with pytest.raises(BackendUnavailable):
        colour.call(cache, "invalidate", "k:1")


def test_one_server_is_no_cluster(colour: Colour, redis_server: Server) -> None:
    url = f"redis+cluster://{HOST}:{redis_server.port}"
    cache = colour.cache(url)
    seen = Seen(cache)
    load = counted(colour, cache)
    assert [colour.run(load, 1), colour.run(load, 1)] == [1, 2]
    (down,) = seen.of(BackendDown)
    assert down.is_configuration
    assert "not a node of a cluster" in down.cause
    with pytest.raises(UsageError, match="DC327"):
        colour.cache(f"{url}/3")


def test_scripts_and_transactions_commit_on_every_node(colour: Colour, cluster: Cluster) -> None:
    for node in cluster.primaries:
        node.cli("SCRIPT", "FLUSH")
    cache = colour.cache(cluster.url())
    keys = [f"k:{n}" for n in range(12)]
    load = colour.function(lambda wanted: dict.fromkeys(wanted, 1))
    assert len(colour.call(cache, "get_or_load_many", keys, load)) == 12
    assert len(colour.call(cache, "get_many", keys)) == 12
