"""What a call costs on a cluster of 1 to 3 primaries, beside redis-py's own cluster client.

All clusters run at once and take turns, so that the number of primaries is all that differs.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from benchmarks.bench import Bench
from benchmarks.functions import INT_AND_INT, USER, async_dict_function, dict_function
from benchmarks.measure import async_burst, compare, compile_burst, pairs_burst
from benchmarks.processes import together
from benchmarks.results import Row
from benchmarks.subjects import ours, redis_cluster, redis_sync
from benchmarks.topics.l2_async import fill
from tests.fleets.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.synchronize import Barrier

    from benchmarks.bench import Maker
    from benchmarks.measure import Burst
    from tests.servers import Binary

BY_HAND: Final = "redis.cluster get + pickle"
ALONE: Final = "one server, "
MANY: Final = 100


def run(bench: Bench) -> list[Row]:
    clusters = {
        number: bench.closing.enter_context(Cluster(bench.binary, primaries=number, replicas=0))
        for number in bench.some((1, 2), (1, 2, 3))
    }
    return [
        *sync_hits(bench, clusters),
        *async_hits(bench, clusters),
        *tags(bench, clusters),
        *batches(bench, clusters),
        *throughput(bench, clusters),
    ]


def sync_hits(bench: Bench, clusters: Mapping[int, Cluster]) -> list[Row]:
    ready = {
        number: bench.ready(
            {
                ours.DUALCACHE: redis_cluster.cached(cluster),
                BY_HAND: redis_cluster.redis_pickle(cluster),
            },
            dict_function,
        )
        for number, cluster in clusters.items()
    }
    alone: dict[str, Maker] = {
        f"{ALONE}{ours.DUALCACHE}": ours.cached,
        f"{ALONE}redis.get + pickle": redis_sync.redis_pickle,
    }
    ready[1] |= bench.ready(alone, dict_function)
    bursts = {
        number: {name: pairs_burst(function, pairs(bench)) for name, function in made.items()}
        for number, made in ready.items()
    }
    return by_primaries(bench, "one caller, over primaries", bursts)


def pairs(bench: Bench) -> list[tuple[Any, ...]]:
    few: list[tuple[Any, ...]] = bench.some(INT_AND_INT[:20], INT_AND_INT)
    return few


def async_hits(bench: Bench, clusters: Mapping[int, Cluster]) -> list[Row]:
    ready = {
        number: bench.ready(
            {
                ours.DUALCACHE: redis_cluster.cached(cluster),
                BY_HAND: redis_cluster.redis_pickle_async(cluster),
            },
            async_dict_function,
        )
        for number, cluster in clusters.items()
    }
    ready[1] |= bench.ready({f"{ALONE}{ours.DUALCACHE}": ours.cached}, async_dict_function)
    found: list[Row] = []
    for callers in bench.some((10,), (10, 100)):
        bursts: dict[int, dict[str, Burst]] = {}
        for number, made in ready.items():
            for function in made.values():
                bench.run(fill(function, callers))
            bursts[number] = {
                name: async_burst(function, callers, bench.runner)
                for name, function in made.items()
            }
        found += by_primaries(bench, f"{callers} tasks, over primaries", bursts)
    return found


def tags(bench: Bench, clusters: Mapping[int, Cluster]) -> list[Row]:
    """Read entries whose tags lie on other nodes: a trip to each of them."""
    bursts: dict[int, dict[str, Burst]] = {}
    for number, cluster in clusters.items():
        makers = {
            "no tag": redis_cluster.cached(cluster),
            "one tag": redis_cluster.cached(cluster, 1),
            "three tags": redis_cluster.cached(cluster, 3),
        }
        ready = bench.ready(makers, dict_function)
        bursts[number] = {name: pairs_burst(f, pairs(bench)) for name, f in ready.items()}
    return by_primaries(bench, "tags, over primaries", bursts)


def batches(bench: Bench, clusters: Mapping[int, Cluster]) -> list[Row]:
    bursts = {
        number: {
            name: compile_burst(read, "f()")
            for name, read in redis_cluster.get_many(bench, cluster, MANY, USER).items()
        }
        for number, cluster in clusters.items()
    }
    return by_primaries(bench, f"{MANY} keys in one call, over primaries", bursts)


def by_primaries(bench: Bench, case: str, bursts: Mapping[int, Mapping[str, Burst]]) -> list[Row]:
    """Measure all subjects on all clusters in turn; the number of primaries is the x."""
    places = [(number, name) for number, made in bursts.items() for name in made]
    every = {f"{number} {name}": bursts[number][name] for number, name in places}
    found = compare(case, every, bench.plan)
    return [
        replace(row, subject=name, x=number)
        for row, (number, name) in zip(found, places, strict=True)
    ]


def throughput(bench: Bench, clusters: Mapping[int, Cluster]) -> list[Row]:
    """Measure what one call costs where several processes call at once, all told."""
    processes, rounds, seconds = bench.some((2, 1, 0.05), (4, 7, 0.4))
    urls = [cluster.url() for cluster in clusters.values()]
    counts = together(calls_of_a_process, processes, bench.binary, urls, rounds, seconds)
    found = []
    for place, number in enumerate(clusters):
        for subject, name in enumerate((ours.DUALCACHE, BY_HAND)):
            column = 2 * place + subject
            by_round = zip(*[[turn[column] for turn in each] for each in counts], strict=True)
            values = tuple(1e6 * seconds / sum(done) for done in by_round)
            case = f"{processes} processes, over primaries"
            found.append(Row(case, name, "µs", values, x=number))
    return found


def calls_of_a_process(
    barrier: Barrier, binary: Binary, urls: list[str], rounds: int, seconds: float
) -> list[list[int]]:
    """Return for each round how many calls this process made by each subject on each cluster."""
    with Bench(binary, is_quick=True) as bench:
        functions: list[Any] = []
        for url in urls:
            place = redis_cluster.Elsewhere(url)
            makers = {
                ours.DUALCACHE: redis_cluster.cached(place),
                BY_HAND: redis_cluster.redis_pickle(place),
            }
            functions += bench.ready(makers, dict_function).values()
        for function in functions:
            for pair in INT_AND_INT:
                function(*pair)
        counts = []
        for _ in range(rounds):
            turn = []
            for function in functions:
                barrier.wait()
                turn.append(calls_within(function, seconds))
            counts.append(turn)
        barrier.wait()
        return counts


def calls_within(function: Any, seconds: float) -> int:
    done, ends = 0, time.perf_counter() + seconds
    while time.perf_counter() < ends:
        function(*INT_AND_INT[done % len(INT_AND_INT)])
        done += 1
    return done
