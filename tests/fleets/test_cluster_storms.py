"""Processes at work on a Cluster whose slots move and whose nodes fail: no read is stale."""

from __future__ import annotations

import json
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest
import redis

from tests.fleets.cluster import Cluster, slot_of
from tests.fleets.storms import at_work, harms
from tests.storms.asked import storm_seconds
from tests.storms.ends import TOLD
from tests.storms.history import Step
from tests.storms.test_storms import COLOURS, check, is_expected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers import Binary, Server

GENTLE: Final = ("move", "promote", "cut", "forget scripts", "nothing")
"""Faults by which no node forgets a deletion that it acknowledged, and none is down."""
HARSH: Final = (*GENTLE[:1], *GENTLE[2:], "kill", "pause")
LOST: Final = ("move", "cut", "forget scripts", "kill", "stand still", "stand still")
"""A node has to be silent for long, so that deletions are kept for it, and an old value is left."""
NAMES: Final = [f"storm:{kind}:{n}" for kind in ("item", "plain") for n in range(6)] + [
    "storm:~t:all",
    *[f"storm:~t:item:{n}" for n in range(6)],
]


def storm(
    cluster: Cluster, source: Server, seed: int, seconds: float, faults: Sequence[str]
) -> list[Step]:
    """Let processes work on a cluster that is harmed meanwhile; return all that they did."""
    print(f"{', '.join(faults)}: seed {seed} on {cluster.nodes[0].name} for {seconds} s")
    arguments = [
        (cluster.url(), source.url, str(seed + number), TOLD, colour)
        for number, colour in enumerate(COLOURS)
    ]
    draw = random.Random(seed)
    with at_work("tests.storms.worker", source, arguments) as workers:
        for fault in harms(draw, faults, seconds, (0.05, 0.4)):
            # What another fault has left behind may stand in the way of this one.
            with suppress(redis.RedisError, StopIteration, IndexError, AssertionError):
                harm(cluster, draw, fault)
        workers.wait_for_writes(60)
    told = workers.end()
    for worker, (_, complaints) in zip(workers.processes, told, strict=True):
        lines = [
            line
            for line in complaints.splitlines()
            if not is_expected(line) and "the node" not in line
        ]
        assert (worker.returncode, lines) == (0, []), complaints
    return [
        Step(process, *json.loads(line))
        for process, (output, _) in enumerate(told)
        for line in output.splitlines()
    ]


def harm(cluster: Cluster, draw: random.Random, fault: str) -> None:
    node = draw.choice(cluster.primaries)
    if fault == "move":
        slot = slot_of(draw.choice(NAMES))
        move = cluster.begin_move(slot, draw.choice(cluster.primaries))
        for _ in range(3):
            time.sleep(draw.uniform(0, 0.05))  # callers meet the slot in between
            if not move.move_keys(1):
                break
        move.move_keys()
        move.end()
    elif fault == "promote":
        cluster.promote(draw.choice(cluster.replicas_of(node)))
    elif fault == "kill":
        cluster.kill(node)
        time.sleep(draw.uniform(0, 0.5))
        node.start()
        cluster.wait_until_ready()
    elif fault == "pause":
        cluster.pause(node)
        time.sleep(draw.uniform(0.05, 0.6))
        cluster.resume(node)
    elif fault == "stand still":
        cluster.pause(node)
        time.sleep(draw.uniform(0.5, 2.0))  # longer than a proof may take, and than the bound
        cluster.resume(node)
    elif fault == "cut":
        node.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    elif fault == "forget scripts":
        node.cli("SCRIPT", "FLUSH")


def test_a_short_storm_of_resharding_and_failovers_leaves_no_stale_read(
    own_cluster: Cluster, redis_server: Server
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    check(storm(own_cluster, redis_server, seed, 0, 2 * GENTLE))


def test_a_short_storm_of_lost_nodes_leaves_no_stale_read(
    lonely_cluster: Cluster, redis_server: Server
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    check(storm(lonely_cluster, redis_server, seed, 0, LOST))


@pytest.mark.storm
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["gentle", "harsh"])
def test_a_storm_leaves_no_stale_read(
    any_server_binary: Binary, redis_server: Server, kind: str, seed: int
) -> None:
    replicas = 1 if kind == "gentle" else 0
    with Cluster(any_server_binary, replicas=replicas, needs_all_slots=not replicas) as cluster:
        faults = GENTLE if kind == "gentle" else HARSH
        check(storm(cluster, redis_server, seed, storm_seconds(30), faults))
