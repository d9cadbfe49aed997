"""A miss: every call is for a new key, the load itself costs nothing."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from benchmarks.functions import async_dict_function, dict_function
from benchmarks.measure import compare, compile_burst
from benchmarks.subjects import redis_async, redis_sync
from benchmarks.subjects.ours import DUALCACHE, cached

if TYPE_CHECKING:
    from benchmarks.bench import Bench, Function, Maker
    from benchmarks.measure import Burst
    from benchmarks.results import Row

OURS: Final[dict[str, Maker]] = {DUALCACHE: cached}


def run(bench: Bench) -> list[Row]:
    sync_ready = bench.ready(OURS | redis_sync.MISSES, dict_function)
    sync_bursts = {name: missing(function) for name, function in sync_ready.items()}
    found = compare("sync, one caller", sync_bursts, bench.plan)
    bench.server.cli("FLUSHALL")
    async_ready = bench.ready(OURS | redis_async.MISSES, async_dict_function)
    async_bursts = {name: missing_async(f, bench) for name, f in async_ready.items()}
    return found + compare("async, one caller", async_bursts, bench.plan)


def missing(function: Function) -> Burst:
    return compile_burst(function, "f(next(numbers), 2)", numbers=itertools.count())


def missing_async(function: Function, bench: Bench) -> Burst:
    numbers = itertools.count()

    async def calls(count: int) -> int:
        for _ in itertools.repeat(None, count):
            await function(next(numbers), 2)
        return count

    return lambda count: bench.runner.run(calls(count))
