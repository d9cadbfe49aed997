"""An op on several nodes of a Cluster: sent to all of them before any reply is read."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from dualcache import BackendDown, BackendError
from dualcache.backends.redis.cluster import sync_cluster
from tests.behaviour.interrupting import interrupted
from tests.behaviour.seen import Seen
from tests.behaviour.test_interrupts import Soft, bounded, has_all_slots, raising
from tests.colours import SyncColour
from tests.fleets.test_front import key_at
from tests.front.tiers import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualcache import Cache
    from tests.colours import Colour
    from tests.fleets.cluster import Cluster, ClusterNode

PATIENT: Final[dict[str, Any]] = {"socket_timeout": 10, "socket_connect_timeout": 10}
# A socket that redis-py was just making when it was interrupted is closed by the collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture
def threads() -> Iterator[SyncColour]:
    made = SyncColour()
    yield made
    made.close()


def stored(cache: Cache, cluster: Cluster) -> dict[str, str]:
    """Store a key at each primary, its name being its value."""
    keys = [key_at(node) for node in cluster.primaries]
    cache.set_many({key: key for key in keys})
    return dict(zip(keys, keys, strict=True))


def reads_of(node: ClusterNode) -> int:
    counts: Any = node.cli("INFO", "commandstats")
    calls: int = counts.get("cmdstat_get", {"calls": 0})["calls"]
    return calls


def test_a_node_that_hangs_keeps_no_other_from_being_asked(
    colour: Colour, cluster: Cluster
) -> None:
    expected = stored(colour.cache(cluster.url()), cluster)
    cache = colour.cache(cluster.url(), **PATIENT)
    first, *others = cluster.primaries
    assert colour.call(cache, "get_many", [*expected]) == expected
    asked = [reads_of(node) for node in others]
    found: list[Any] = []
    caller = threading.Thread(
        target=lambda: found.append(colour.call(cache, "get_many", [*expected]))
    )
    cluster.pause(first)
    try:
        caller.start()
        eventually(
            lambda: all(reads_of(node) > n for node, n in zip(others, asked, strict=True)),
            "the others are asked",
        )
    finally:
        cluster.resume(first)
        caller.join()
    assert found == [expected]


CALLS: dict[str, Callable[[Cache, dict[str, str]], Any]] = {
    "read": lambda cache, keys: cache.get_many([*keys]),
    "store": lambda cache, keys: cache.set_many(keys),
    "invalidate": lambda cache, keys: cache.invalidate(*keys, tags=["t", "u", "v"]),
}


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("read", KeyboardInterrupt),
        *[
            pytest.param(what, kind, marks=pytest.mark.storm)
            for what in CALLS
            for kind in (KeyboardInterrupt, Soft)
            if (what, kind) != ("read", KeyboardInterrupt)
        ],
    ],
)
def test_an_interrupt_between_sending_and_reading_leaves_no_reply_for_the_next_caller(
    threads: SyncColour,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    kind: type[BaseException],
) -> None:
    # One that lands where an iterator is thrown away is lost there, and Python can only print it.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    cache = bounded(threads, cluster.url())
    expected = stored(cache, cluster)
    seen = Seen(cache)
    for at in itertools.count(1):
        with interrupted(at, kind) as countdown, suppress(kind):
            CALLS[what](cache, expected)
        eventually(lambda: has_all_slots(cache), f"all slots are free: {countdown.raised_at}")
        # The last connection of each node is taken first: that of the interrupted call.
        found = cache.get_many([*expected])
        assert all(found[key] == key for key in found), countdown.raised_at
        if not countdown.raised_at:
            assert at > 50
            break
    assert seen.count(BackendDown) == 0


def test_an_interrupt_while_one_node_hangs_drops_the_replies_of_all(
    threads: SyncColour, cluster: Cluster
) -> None:
    cache = bounded(threads, cluster.url())
    expected = stored(cache, cluster)
    keys = [*expected]
    before = signal.signal(signal.SIGALRM, raising(Soft))
    for node in cluster.primaries:
        assert cache.get_many(keys) == expected
        cluster.pause(node)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            with pytest.raises(Soft):
                cache.get_many(keys)
        finally:
            cluster.resume(node)
        assert cache.get_many(keys[::-1]) == expected
        assert [cache.get(key) for key in keys] == keys
    signal.signal(signal.SIGALRM, before)
    assert has_all_slots(cache)


def test_callers_that_need_the_only_connections_of_several_nodes_never_wait_for_each_other(
    threads: SyncColour, cluster: Cluster
) -> None:
    cache = threads.cache(cluster.url(), max_connections=1, **PATIENT)
    expected = stored(cache, cluster)
    orders = list(itertools.permutations(expected))
    seen = Seen(cache)

    def read(order: tuple[str, ...]) -> bool:
        return all(cache.get_many([*order]) == expected for _ in range(30))

    readers = [threads.start(partial(read, order)) for order in orders]
    assert all(reader.result() for reader in readers)
    assert seen.count(BackendDown) == 0


@pytest.mark.parametrize("most", [1, 2])
def test_more_nodes_than_are_asked_at_once_are_all_asked(
    threads: SyncColour, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(sync_cluster, "MOST_AT_ONCE", most)
    cache = threads.cache(cluster.url())
    expected = stored(cache, cluster)
    assert cache.get_many([*expected]) == expected


def test_connections_that_all_nodes_have_closed_cost_no_caller_a_failure(
    threads: SyncColour, cluster: Cluster
) -> None:
    cache = threads.cache(cluster.url())
    expected = stored(cache, cluster)
    for _ in range(5):
        for node in cluster.primaries:
            node.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        with suppress(BackendError):
            assert cache.get_many([*expected]) == expected
    assert cache.get_many([*expected]) == expected
