"""How the cost of a hit in Redis grows: with keys, callers, tags, sizes and processes."""

from __future__ import annotations

import pickle
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.bench import Bench
from benchmarks.functions import async_dict_function, dict_function
from benchmarks.measure import async_burst, compare, compile_burst
from benchmarks.processes import together
from benchmarks.results import Row
from benchmarks.subjects import redis_async
from benchmarks.subjects.ours import DUALCACHE, cached, tagged
from benchmarks.subjects.redis_sync import redis_pickle
from benchmarks.topics.invalidate import fill
from benchmarks.topics.l2_async import fill as fill_async

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

    from benchmarks.bench import Maker
    from tests.servers import Binary

BY_HAND: Final = "redis.get + pickle"
MAKERS: Final[dict[str, Maker]] = {DUALCACHE: cached, BY_HAND: redis_pickle}


def run(bench: Bench) -> list[Row]:
    return [
        *with_size(bench),
        *with_tags(bench),
        *with_callers(bench),
        *with_processes(bench),
        *with_keys(bench),
    ]


def with_keys(bench: Bench) -> list[Row]:
    """Give the server more and more other keys."""
    ready = bench.ready(MAKERS, dict_function)
    bursts = {name: compile_burst(function, "f(7, 2)") for name, function in ready.items()}
    bench.server.cli("SET", "seed", "x" * 200)
    found: list[Row] = []
    filled = 0
    for keys in bench.some((1_000, 10_000), (1_000, 10_000, 100_000, 1_000_000)):
        fill(bench, "seed", "other:", filled, keys)
        filled = keys
        found += compare("keys", bursts, bench.plan, x=keys)
    return found


def with_tags(bench: Bench) -> list[Row]:
    found: list[Row] = []
    for tags in bench.some((0, 4), (0, 1, 2, 4, 8, 16)):
        ready = bench.ready({DUALCACHE: tagged(tags)}, dict_function)
        bursts = {name: compile_burst(function, "f(7, 2)") for name, function in ready.items()}
        found += compare("tags per entry", bursts, bench.plan, x=tags)
    return found


def with_size(bench: Bench) -> list[Row]:
    """Let the value be a list of lines, pickled to about so many bytes."""
    found: list[Row] = []
    for number, size in enumerate(bench.some((100, 10_000), (100, 1_000, 10_000, 100_000, 10**6))):
        value = {"lines": [f"{line:050}" for line in range(size // 53 + 1)]}
        ready = bench.ready(MAKERS, partial(dict_function, value))
        call = f"f({number}, 1)"
        bursts = {name: compile_burst(function, call) for name, function in ready.items()}
        found += compare("bytes per value", bursts, bench.plan, x=len(pickle.dumps(value, 5)))
    return found


def with_callers(bench: Bench) -> list[Row]:
    makers: dict[str, Maker] = {DUALCACHE: cached, BY_HAND: redis_async.redis_pickle}
    ready = bench.ready(makers, async_dict_function)
    found: list[Row] = []
    for callers in bench.some((1, 10), (1, 3, 10, 30, 100, 300, 1_000)):
        for function in ready.values():
            bench.run(fill_async(function, callers))
        bursts = {name: async_burst(f, callers, bench.runner) for name, f in ready.items()}
        found += compare("callers at once", bursts, bench.plan, x=callers)
    return found


def with_processes(bench: Bench) -> list[Row]:
    """Measure what one call costs where several processes call at once, all told."""
    rounds, seconds = bench.some((1, 0.05), (5, 0.5))
    found: list[Row] = []
    for processes in bench.some((2,), (1, 2, 4, 8, 16)):
        for name in MAKERS:
            told = together(calls_of_a_process, processes, name, bench.address, rounds, seconds)
            by_round = zip(*told, strict=True)
            each = tuple(1e6 * seconds / sum(counts) for counts in by_round)
            found.append(Row("processes", name, "µs", each, x=processes))
    return found


def calls_of_a_process(
    barrier: Barrier, name: str, address: tuple[Binary, int], rounds: int, seconds: float
) -> list[int]:
    """Return how many calls this process made in each round."""
    with Bench.visit(*address) as bench:
        function: Any = bench.ready({name: MAKERS[name]}, dict_function)[name]
        for _ in range(100):
            function(7, 2)
        counts = []
        for _ in range(rounds):
            barrier.wait()
            counts.append(0)
            ends = time.perf_counter() + seconds
            while time.perf_counter() < ends:
                function(7, 2)
                counts[-1] += 1
        barrier.wait()
        return counts
