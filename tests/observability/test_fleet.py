"""Statistics of all processes: shared by a thread, added up by whoever asks."""

from __future__ import annotations

import gc
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, FleetStats
from dualcache.core.counters import Counters, Tally
from dualcache.observability.fleet import (
    MINUTES,
    MOST_TEMPLATES,
    fleet_stats_of,
    read_share,
    share_of,
    spelled,
)
from dualcache.runtime import fleet
from tests.front.tiers import eventually
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.colours import Colour
    from tests.servers import Server


@pytest.fixture(autouse=True)
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "SHARE_SECONDS", 3600.0)


@pytest.fixture
def cache(redis_server: Server) -> Iterator[Cache]:
    with Cache(
        patient(redis_server.url), namespace="shop", fleet_stats=True, socket_timeout=3
    ) as made:
        yield made


def counted(hits: int = 2) -> Tally:
    counters = Counters()
    counters.hits = hits
    counters.count_miss("stale")
    counters.count_load(20)
    counters.count_stored(100)
    counters.count_unstored("late")
    counters.verified += 2
    counters.count_differed(60)
    return Tally(counters, front_hits=3, function="load", invalidations=1)


def test_a_share_has_what_was_counted_since() -> None:
    before, now = counted(), counted(hits=5)
    now.counters.count_load(40)
    share = share_of({"k": now}, {"k": before})
    assert share is not None
    stats = fleet_stats_of({7: [share]}, 0, is_complete=True)
    each = stats.templates["k"]
    assert (each.hits, each.misses, each.loads, each.front_hits) == (3, 0, 1, 0)
    assert (each.load_times.count, each.load_times.total) == (1, 40)
    assert share_of({"k": now}, {"k": now}) is None


def test_shares_come_back_whole_and_add_up() -> None:
    share = share_of({"k": counted()}, {})
    assert share is not None
    again = read_share(spelled(share))
    assert again == share
    stats = fleet_stats_of({7: [share, share], 8: [share], 9: []}, 60, is_complete=True)
    each = stats.templates["k"]
    assert (each.hits, each.front_hits, each.misses) == (15, 9, 3)
    assert (each.miss_reasons, each.not_stored) == ({"stale": 3}, {"late": 3})
    assert (each.load_times.count, each.stored_bytes.count) == (3, 3)
    assert each.finding.startswith("load: 3 of 6 samples differed, oldest 1 min")
    assert (stats.hits, stats.invalidations, stats.processes) == (15, 3, 2)
    assert [(minute.at, minute.processes, minute.hits) for minute in stats.minutes] == [
        (420, 2, 10),
        (480, 1, 5),
        (540, 0, 0),
    ]
    assert stats.findings == (each.finding,)


def test_a_function_that_counts_anew_is_counted_whole() -> None:
    share = share_of({"k": counted(hits=1)}, {"k": counted(hits=9)})
    assert share is not None
    assert fleet_stats_of({7: [share]}, 0, is_complete=True).hits == 4


def test_only_so_many_functions_are_told_apart() -> None:
    tallies = {f"k{n}": counted(hits=n) for n in range(MOST_TEMPLATES + 3)}
    share = share_of(tallies, {})
    assert share is not None
    assert len(share.templates) == MOST_TEMPLATES + 1
    assert "k0" not in share.templates
    stats = fleet_stats_of({7: [share]}, 0, is_complete=True)
    assert stats.templates["others"].hits == 0 + 1 + 2 + 3 * 3
    assert stats.misses == MOST_TEMPLATES + 3


@pytest.mark.parametrize("raw", [b"", b"\xc0", b"\x92\x02\x80", b"no share at all"])
def test_what_is_no_share_of_this_release_is_left_out(raw: bytes) -> None:
    assert read_share(raw) is None


def read(colour: Colour, cache: Cache) -> FleetStats:
    found = colour.call(cache, "stats", fleet=True)
    assert isinstance(found, FleetStats)
    return found


def test_all_processes_are_added_up(colour: Colour, redis_server: Server) -> None:
    caches = [colour.cache(redis_server.url, namespace="shop", fleet_stats=True) for _ in range(2)]
    for cache in caches:
        load = cache(key="k:{n}")(colour.function(lambda n: n))
        for n in (1, 2):
            colour.run(load, n)
    for cache in caches:
        cache._runtime.fleet.share()
    stats = read(colour, caches[0])
    assert stats.is_complete
    assert (stats.processes, stats.loads, stats.misses, stats.hits) == (2, 2, 2, 2)
    assert stats.templates["k:{n}"].load_times.count == 2
    assert len(stats.minutes) == MINUTES + 1
    stranger = colour.cache(redis_server.url, namespace="shop")
    assert read(colour, stranger).loads == 2
    assert colour.call(caches[0], "clear").removed  # shares are no entries
    assert read(colour, caches[0]).loads == 2


def test_what_is_shared_ends_and_is_written_only_if_it_changed(cache: Cache) -> None:
    load = cache(key="k:{n}")(lambda n: n)
    load(1)
    cache._runtime.fleet.share()
    (key,) = list(cache.client.scan_iter("shop:~s:*"))
    assert 0 < cache.client.pttl(key) <= (MINUTES + 2) * 60_000
    cache.client.delete(key)
    cache._runtime.fleet.share()
    assert not cache.client.exists(key)
    load(1)
    cache._runtime.fleet.share()
    assert cache.client.exists(key)


def test_minutes_follow_each_other(cache: Cache) -> None:
    now = [6_000.0]
    shares = fleet.FleetShares(cache._runtime, lambda: now[0])
    load = cache(key="k:{n}")(lambda n: n)
    load(1)
    shares.share()
    now[0] += 60
    load(2)
    shares.share()  # what came since the last share is still counted to that minute
    load(3)
    shares.share()
    stats = shares.read()
    assert [minute.loads for minute in stats.minutes[-2:]] == [2, 1]
    now[0] += 60 * (MINUTES + 2)
    assert shares.read().loads == 0


def test_an_outage_loses_nothing_and_fails_nobody(cache: Cache) -> None:
    load = cache(key="k:{n}")(lambda n: n)
    load(1)
    client = cache._runtime.clients.sync()
    good = client.connection_pool
    client.connection_pool = type(good)(host="127.0.0.1", port=1)
    cache._runtime.fleet.share()
    alone = cache.stats(fleet=True)
    assert (alone.is_complete, alone.loads, alone.processes) == (False, 1, 1)
    client.connection_pool = good
    assert cache.stats(fleet=True).is_complete
    assert cache.stats(fleet=True).loads == 1


@pytest.mark.parametrize("host", ["redis+cluster://127.0.0.1:1", "redis+sentinel://127.0.0.1:1/s"])
def test_a_fleet_of_servers_that_is_away_fails_nobody(colour: Colour, host: str) -> None:
    cache = colour.cache(host, namespace="shop", fleet_stats=True)
    cache._runtime.fleet.share()
    alone = read(colour, cache)
    assert (alone.is_complete, alone.processes) == (False, 0)


def test_in_memory_there_is_one_process(colour: Colour) -> None:
    cache = colour.cache("memory://", fleet_stats=True)
    load = cache(key="k")(colour.function(lambda: 1))
    colour.run(load)
    stats = read(colour, cache)
    assert (stats.is_complete, stats.loads, stats.processes) == (True, 1, 1)
    assert not cache._runtime.fleet.is_running


def threads_of_fleet() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "dualcache-fleet"]


def test_a_thread_shares_until_the_cache_is_closed(
    colour: Colour, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "SHARE_SECONDS", 0.01)
    cache = colour.cache(redis_server.url, namespace="shop", fleet_stats=True)
    assert not threads_of_fleet()  # before a first call there is nothing to share
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    colour.run(load, 1)
    assert len(threads_of_fleet()) == 1
    other = colour.cache(redis_server.url, namespace="shop")
    eventually(lambda: read(colour, other).loads == 1, "a share")
    colour.run(load, 2)
    colour.run(cache.aio.aclose) if colour.is_async else cache.close()
    assert not threads_of_fleet()
    assert read(colour, other).loads == 2  # with the last share
    colour.run(load, 3)
    assert len(threads_of_fleet()) == 1  # begun again


def test_a_cache_that_nobody_holds_ends_its_thread(redis_server: Server) -> None:
    cache: Any = Cache(patient(redis_server.url), fleet_stats=True)
    cache(key="k")(lambda: 1)()
    assert len(threads_of_fleet()) == 1
    del cache
    gc.collect()
    eventually(lambda: not threads_of_fleet(), "the end of the thread")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_shares_what_it_has_counted_itself(cache: Cache) -> None:
    load = cache(key="k:{n}")(lambda n: n)
    load(1)
    cache.close()
    pid = os.fork()
    if not pid:
        try:
            load(2)
            load(3)
            cache._runtime.fleet.share()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    stats = cache.stats(fleet=True)
    assert (stats.processes, stats.loads) == (2, 3)


def test_a_process_that_does_not_share_writes_nothing_when_it_looks(
    redis_server: Server,
) -> None:
    with Cache(patient(redis_server.url), namespace="shop") as cache:
        load = cache(key="k:{n}")(lambda n: n)
        load(1)
        assert cache.stats(fleet=True).templates == {}
        assert [*cache.client.scan_iter("shop:~s:*")] == []
