"""A value in Redis, read by 1 to 1 000 tasks at once: the whole decorator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from benchmarks.functions import async_dict_function
from benchmarks.measure import async_burst, compare
from benchmarks.subjects import redis_async
from benchmarks.subjects.ours import DUALCACHE, cached
from benchmarks.subjects.server_limit import server_gets

if TYPE_CHECKING:
    from benchmarks.bench import Bench, Function
    from benchmarks.results import Row

CALLERS: Final = (1, 10, 100, 1_000)


def run(bench: Bench) -> list[Row]:
    ready = bench.ready({DUALCACHE: cached, **redis_async.READS}, async_dict_function)
    found: list[Row] = []
    for callers in bench.some((1, 10), CALLERS):
        for function in ready.values():
            bench.run(fill(function, callers))
        case = f"{callers} at once"
        bursts = {name: async_burst(f, callers, bench.runner) for name, f in ready.items()}
        found += compare(case, bursts, bench.plan, x=callers)
        found += server_gets(bench, case, callers, x=callers)
    return found


async def fill(function: Function, keys: int) -> None:
    """Load the value of each caller, and open the connections that they take at once."""
    for _ in range(2):
        await asyncio.gather(*[function(number, 2) for number in range(keys)])
