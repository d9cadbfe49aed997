"""Storms over two tiers on a Cluster: nothing is served beyond the bound, whatever its nodes do."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest
import redis

from tests.fleets.cluster import Cluster, slot_of
from tests.fleets.storms import at_work, harms
from tests.fleets.test_cluster_storms import GENTLE, HARSH, NAMES, harm
from tests.storms.asked import storm_seconds
from tests.storms.ends import TOLD
from tests.storms.two_tiers import Report, reported

if TYPE_CHECKING:
    from tests.servers import Binary, Server

CAST: Final = (
    *(("sync", "tracking"), ("async", "tracking"), ("sync", "broadcast"), ("async", "broadcast")),
    ("sync", "none"),
)
"""The last one has no front tier: it only writes and reads, and everybody hears of it."""
TELLING: Final = 2 * (("sync", "pubsub"), ("async", "pubsub"))
"""All of them tell the others, which is what this transport asks for."""
CASTS: Final = {"told by nodes": CAST, "told by each other": TELLING}
MOVING: Final = (*GENTLE, "move", "move at once", "cut one kind")
LOSING: Final = (*HARSH, "stand still", "cut one kind")


def storm(
    cluster: Cluster,
    source: Server,
    seed: int,
    seconds: float,
    faults: tuple[str, ...],
    cast: str | None = None,
) -> Report:
    """Let processes work while the cluster is harmed; check all that they did.

    The `cast` is drawn by the seed, if none is named.
    """
    cast = cast or random.Random(seed).choice([*CASTS])
    print(f"{cast}: seed {seed} on {cluster.nodes[0].name} for {seconds} s")
    arguments = [
        (cluster.url(), source.url, str(seed + number), TOLD, *each)
        for number, each in enumerate(CASTS[cast])
    ]
    draw = random.Random(seed)
    with at_work("tests.fleets.storm_worker", source, arguments) as workers:
        for fault in harms(draw, faults, seconds, (0.1, 0.6)):
            # What another fault has left behind may stand in the way of this one.
            with suppress(redis.RedisError, StopIteration, AssertionError):
                harm_nodes(cluster, draw, fault)
        time.sleep(2)  # beyond the bound, so that what is stale for good is seen
        workers.wait_for_writes(40)
    return reported(workers.processes, workers.end())


def harm_nodes(cluster: Cluster, draw: random.Random, fault: str) -> None:
    node = draw.choice(cluster.primaries)
    if fault == "move at once":
        cluster.moved_at_once(slot_of(draw.choice(NAMES)), draw.choice(cluster.primaries))
    elif fault == "cut one kind":
        clients = node.client().client_list()
        for client in draw.sample(clients, k=min(3, len(clients))):
            node.client().client_kill_filter(_id=client["id"], skipme=True)
    else:
        harm(cluster, draw, fault)


def judge(report: Report) -> None:
    assert report.violations == []
    assert report.reads > 500
    assert report.front_hits > 50
    assert report.writes > 20
    assert report.losses > 0, "a storm that empties no tier is none"


def test_a_short_storm_of_moving_slots_stays_within_the_bound(
    own_cluster: Cluster, redis_server: Server
) -> None:
    judge(storm(own_cluster, redis_server, random.SystemRandom().randrange(10**6), 0, MOVING))


def test_a_short_storm_of_lost_nodes_stays_within_the_bound(
    lonely_cluster: Cluster, redis_server: Server
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    judge(storm(lonely_cluster, redis_server, seed, 0, LOSING))


@pytest.mark.storm
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["moving", "losing"])
@pytest.mark.parametrize("cast", CASTS)
def test_a_storm_stays_within_the_bound(
    any_server_binary: Binary, redis_server: Server, cast: str, kind: str, seed: int
) -> None:
    is_moving = kind == "moving"
    replicas, faults = (1, MOVING) if is_moving else (0, LOSING)
    with Cluster(any_server_binary, replicas=replicas, needs_all_slots=is_moving) as cluster:
        judge(storm(cluster, redis_server, seed, storm_seconds(60), faults, cast))
