"""A value in Redis, read by 1 to 16 threads at once, and by a redis-py pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.functions import dict_function
from benchmarks.measure import compare, threaded_burst
from benchmarks.subjects.ours import DUALCACHE, cached
from benchmarks.subjects.redis_sync import glide, redis_pickle

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.results import Row

THREADS: Final = (1, 4, 16)


def run(bench: Bench) -> list[Row]:
    makers = {DUALCACHE: cached, "redis-py pool": redis_pickle, "valkey-glide": glide}
    ready = bench.ready(makers, dict_function)
    found: list[Row] = []
    for threads in THREADS:
        bursts = {name: threaded_burst(f, threads) for name, f in ready.items()}
        found += compare(f"{threads} at once", bursts, bench.plan, x=threads)
    return found
