"""A value in Redis, read by one caller of a `def`: the whole decorator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.functions import dict_function
from benchmarks.measure import compare, compile_burst
from benchmarks.subjects import redis_sync
from benchmarks.subjects.ours import DUALCACHE, cached, default_key, tagged
from benchmarks.subjects.server_limit import server_gets

if TYPE_CHECKING:
    from benchmarks.bench import Bench, Maker
    from benchmarks.results import Row


def run(bench: Bench) -> list[Row]:
    makers = {DUALCACHE: cached, "dualcache, default key": default_key, **redis_sync.READS}
    tags: dict[str, Maker] = {"no tag": cached, "one tag": tagged(1), "three tags": tagged(3)}
    return [
        *hits(bench, "one caller", makers),
        *hits(bench, "tags", tags),
        *server_gets(bench, "one caller", 1),
    ]


def hits(bench: Bench, case: str, makers: dict[str, Maker]) -> list[Row]:
    ready = bench.ready(makers, dict_function)
    bursts = {name: compile_burst(function, "f(7, 2)") for name, function in ready.items()}
    return compare(case, bursts, bench.plan)
