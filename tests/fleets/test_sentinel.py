"""A cache on Sentinel: failovers, demoted masters, Sentinels that go, and what is told of it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import redis

from dualcache import BackendDown, BackendUp, MasterChanged, Replayed
from tests.behaviour.seen import Seen
from tests.front.tiers import eventually

if TYPE_CHECKING:
    from dualcache import Cache
    from tests.colours import Colour
    from tests.fleets.sentinels import Sentinels
    from tests.servers import Server

STALENESS = 1.5
SLACK = 2.0
"""What a busy machine may add to a bound."""


@pytest.fixture(params=[None, 100], ids=["one_tier", "two_tiers"])
def front(request: pytest.FixtureRequest) -> int | None:
    size: int | None = request.param
    return size


def on(colour: Colour, fleet: Sentinels, front: int | None = None, **options: Any) -> Cache:
    return colour.cache(fleet.url(), front=front, **{"max_staleness": STALENESS, **options})


def counted(colour: Colour, cache: Cache) -> Any:
    """Return a decorated function that counts its runs: its value is the number of the last."""
    runs = [0]

    def body(n: int) -> int:
        runs[0] += 1
        return runs[0]

    return cache(key="k:{n}", ttl=60)(colour.function(body))


def replicated(fleet: Sentinels) -> None:
    """Wait until both replicas have what was written."""
    # WAIT is about the writes of its own connection: all that came before the last one, too.
    fleet.master.cli("SET", "last", "1")
    fleet.master.cli("WAIT", 2, 5_000)


def test_a_cache_lives_on_the_master_that_sentinels_name(
    colour: Colour, sentinels: Sentinels, front: int | None
) -> None:
    cache = on(colour, sentinels, front)
    load = counted(colour, cache)
    assert [colour.run(load, 1) for _ in range(4)] == [1, 1, 1, 1]
    assert sentinels.master.cli("EXISTS", "k:1")
    assert colour.call(cache, "invalidate", "k:1").pending == 0
    assert colour.run(load, 1) == 2
    assert colour.call(cache, "ping")
    assert cache.stats().backend == sentinels.url()


def test_the_database_of_the_url_is_used(colour: Colour, sentinels: Sentinels) -> None:
    cache = colour.cache(sentinels.url(db=3))
    assert colour.call(cache, "set", "k", 1)
    master = sentinels.master
    assert not master.cli("EXISTS", "k")
    assert b"db3:" in master.cli("INFO", "keyspace") or "db3" in master.cli("INFO", "keyspace")


def test_the_client_follows_a_failover(colour: Colour, own_sentinels: Sentinels) -> None:
    cache = on(colour, own_sentinels)

    def store(key: str) -> Any:
        return colour.face(cache).client.set(key, 2)

    assert colour.run(store, "x")
    old = own_sentinels.kill_master()
    new = own_sentinels.replace(old)

    def is_stored() -> bool:
        with suppress(redis.ConnectionError, redis.TimeoutError):
            return bool(colour.run(store, "y"))
        return False

    eventually(is_stored, "a client at the new master")
    assert new.cli("GET", "y") == b"2"


def test_a_failover_is_followed_within_the_bound(
    colour: Colour, own_sentinels: Sentinels, front: int | None
) -> None:
    cache = on(colour, own_sentinels, front)
    seen = Seen(cache)
    load = counted(colour, cache)
    assert colour.run(load, 1) == colour.run(load, 1) == colour.run(load, 1) == 1
    replicated(own_sentinels)
    old = own_sentinels.failover()
    told = time.monotonic()
    new = own_sentinels.master
    writer = colour.cache(new.url)
    assert colour.call(writer, "invalidate", "k:1").pending == 0
    eventually(lambda: colour.run(load, 1) > 1, "a new value")
    assert time.monotonic() - told < STALENESS + SLACK
    # The old one was left for what Sentinels say: it goes on as a master for seconds.
    assert old.cli("ROLE")[0] == b"master"
    eventually(lambda: new.cli("EXISTS", "k:1"), "an entry at the new master")
    assert seen.count(BackendDown) == 0
    assert colour.call(cache, "invalidate", "k:1").pending == 0
    assert not new.cli("EXISTS", "k:1")


def test_what_was_invalidated_meanwhile_is_not_served_by_the_new_master(
    colour: Colour, own_sentinels: Sentinels, front: int | None
) -> None:
    cache = on(colour, own_sentinels, front)
    seen = Seen(cache)
    load = counted(colour, cache)
    for _ in range(3):
        assert colour.run(load, 1) == 1
    replicated(own_sentinels)
    old = own_sentinels.kill_master()
    assert colour.call(cache, "invalidate", "k:1").pending == 1
    assert colour.run(load, 1) == 2
    # Looked at here: at the new master it may be deleted at once.
    assert all(node.cli("EXISTS", "k:1") for node in own_sentinels.nodes if node.is_running)
    new = own_sentinels.replace(old)

    # Whatever runs from here on, the value of before is never served again.
    def is_fresh() -> bool:
        found: int = colour.run(load, 1)
        assert found > 1
        return True

    eventually(lambda: is_fresh() and seen.count(Replayed), "a delivered invalidation")
    assert seen.count(BackendUp) == 1
    found = colour.run(load, 1)
    assert found > 2
    assert colour.run(load, 1) == found
    assert new.cli("EXISTS", "k:1")


def test_what_the_dying_master_alone_had_taken_is_repeated_at_the_new_one(
    colour: Colour, own_sentinels: Sentinels, front: int | None
) -> None:
    cache = on(colour, own_sentinels, front)
    seen = Seen(cache)
    load = counted(colour, cache)
    for _ in range(3):
        assert colour.run(load, 1) == 1
    replicated(own_sentinels)
    behind = own_sentinels.replicas
    for replica in behind:
        own_sentinels.pause(replica)
    own_sentinels.master.cli("CLIENT", "KILL", "TYPE", "replica")
    assert colour.call(cache, "invalidate", "k:1").pending == 0
    old = own_sentinels.kill_master()
    for replica in behind:
        own_sentinels.resume(replica)
    assert all(replica.cli("EXISTS", "k:1") for replica in behind)  # that deletion is lost
    own_sentinels.replace(old)

    def is_fresh() -> bool:
        found: int = colour.run(load, 1)
        assert found > 1
        return True

    eventually(lambda: is_fresh() and seen.count(Replayed), "a repeated deletion")
    assert [event.repeated for event in seen.of(MasterChanged)] == [1]


def test_what_a_demoted_master_takes_is_repeated_at_the_new_one(
    colour: Colour, own_sentinels: Sentinels, front: int | None
) -> None:
    cache = on(colour, own_sentinels, front)
    seen = Seen(cache)
    load = counted(colour, cache)
    assert colour.run(load, 1) == 1
    replicated(own_sentinels)
    own_sentinels.failover()
    new = own_sentinels.master
    assert new.cli("EXISTS", "k:1")
    done = colour.call(cache, "invalidate", "k:1")
    seen.wait_for(MasterChanged)
    eventually(lambda: colour.call(cache, "ping"), "the new master")
    assert colour.run(load, 1) == 2
    # Where the change was noticed before, there was nothing to be repeated.
    if done.pending == 0 and seen.of(MasterChanged)[0].repeated:
        assert seen.count(Replayed) == 1


def test_sentinels_may_go_one_by_one(
    colour: Colour, own_sentinels: Sentinels, front: int | None
) -> None:
    cache = on(colour, own_sentinels, front)
    seen = Seen(cache)
    load = counted(colour, cache)
    first, second, third = own_sentinels.sentinels
    for gone in (first, second):
        assert colour.run(load, 1) == 1
        gone.kill()
        cache._runtime.backend.leave_server()  # so that it has to ask
    assert colour.run(load, 1) == 1
    assert seen.count(BackendDown) == 0
    third.kill()
    eventually(lambda: colour.run(load, 1) > 1, "functions that run")
    seen.wait_for(BackendDown)
    assert [(event.reason, event.is_configuration) for event in seen.of(BackendDown)] == [
        ("DC320", False)
    ]
    second.start()
    eventually(lambda: colour.call(cache, "ping"), "a Sentinel that answers")
    seen.wait_for(BackendUp)
    assert seen.count(BackendDown) == 1


def test_a_sentinel_that_hangs_is_passed_over(colour: Colour, own_sentinels: Sentinels) -> None:
    paused = own_sentinels.sentinels[0]
    own_sentinels.pause(paused)
    try:
        # Of four seconds, each of three Sentinels is given one; what is left is the master's.
        cache = on(colour, own_sentinels, socket_timeout=4, socket_connect_timeout=4)
        began = time.monotonic()
        assert colour.call(cache, "set", "k", 1)
        assert time.monotonic() - began < 4
        # It is asked last from now on.
        cache._runtime.backend.leave_server()
        began = time.monotonic()
        assert colour.call(cache, "get", "k") == 1
        assert time.monotonic() - began < 1
    finally:
        own_sentinels.resume(paused)


def test_a_service_that_is_renamed_is_an_outage(
    colour: Colour, own_sentinels: Sentinels, front: int | None
) -> None:
    cache = on(colour, own_sentinels, front)
    seen = Seen(cache)
    load = counted(colour, cache)
    assert colour.run(load, 1) == 1
    for each in own_sentinels.sentinels:
        each.cli("SENTINEL", "REMOVE", "mymaster")
    eventually(lambda: colour.run(load, 1) > 1, "functions that run")
    (told,) = seen.of(BackendDown)
    assert (told.reason, told.is_configuration) == ("DC321", True)


def told_of(colour: Colour, url: str, **options: Any) -> BackendDown:
    """Return what is told once when a cache cannot be used."""
    cache = colour.cache(url, **options)
    seen = Seen(cache)
    load = counted(colour, cache)
    assert [colour.run(load, 1) for _ in range(3)] == [1, 2, 3]
    (told,) = seen.of(BackendDown)
    assert "secret" not in f"{told}{cache!r}"
    return told


def test_what_is_wrong_with_the_url_is_told_once(
    colour: Colour, guarded_sentinels: Sentinels
) -> None:
    fleet = guarded_sentinels
    right = {"sentinel_password": fleet.sentinel_password}
    assert colour.call(colour.cache(fleet.url(), **right), "set", "k", 1)

    told = told_of(colour, fleet.url())
    assert (told.reason, told.is_configuration) == ("DC322", True)
    assert "sentinel_password" in told.cause
    told = told_of(colour, fleet.url(), sentinel_password="secret")
    assert (told.reason, told.is_configuration) == ("DC322", True)
    told = told_of(colour, fleet.url().replace(":pw@", ":secret@"), **right)
    assert (told.reason, told.is_configuration) == ("WRONGPASS", True)
    told = told_of(colour, fleet.url().replace("/mymaster", "/other"), **right)
    assert (told.reason, told.is_configuration) == ("DC321", True)
    assert "mymaster" in told.cause
    server = fleet.master
    url = f"redis+sentinel://:pw@{server.host}:{server.port}/mymaster"
    told = told_of(colour, url, sentinel_password="pw")
    assert (told.reason, told.is_configuration) == ("DC322", True)
    assert "no Sentinel" in told.cause


def test_a_user_of_the_sentinels_needs_one_right(colour: Colour, own_sentinels: Sentinels) -> None:
    rights = ("resetchannels", "-@all", "+auth", "+ping", "+sentinel|masters")
    for each in own_sentinels.sentinels:
        each.cli("ACL", "SETUSER", "cache", "on", ">spw", *rights)
    cache = colour.cache(own_sentinels.url(), sentinel_username="cache", sentinel_password="spw")
    assert colour.call(cache, "set", "k", 1)
    for each in own_sentinels.sentinels:
        each.cli("ACL", "SETUSER", "cache", "-sentinel")
    user = {"sentinel_username": "cache", "sentinel_password": "spw"}
    told = told_of(colour, own_sentinels.url(), **user)
    assert (told.reason, told.is_configuration) == ("DC322", True)
    assert "+sentinel|masters" in told.cause


def test_no_sentinel_at_all_is_an_outage(colour: Colour) -> None:
    told = told_of(colour, "redis+sentinel://127.0.0.1:1,127.0.0.1:2/mymaster")
    assert (told.reason, told.is_configuration) == ("DC320", False)
    assert told.cause == "no Sentinel answers"


def test_a_server_that_is_no_master_is_not_read(colour: Colour, own_sentinels: Sentinels) -> None:
    fleet = own_sentinels
    master: Server = fleet.master
    for each in fleet.sentinels:
        fleet.pause(each)  # so that they go on naming it
    master.cli("REPLICAOF", *map(str, (fleet.nodes[1].host, fleet.nodes[1].port)))
    fleet.resume(fleet.sentinels[0])
    told = told_of(colour, fleet.url())
    assert told.reason in {"DC324", "DC323"}
    for each in fleet.sentinels[1:]:
        fleet.resume(each)
