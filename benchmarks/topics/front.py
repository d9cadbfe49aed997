"""A hit in the front tier: second calls of a function whose value is already in this process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from benchmarks.functions import (
    INT_AND_INT,
    PAIRS,
    TEXT_AND_INT,
    async_dict_function,
    async_text_function,
    dict_function,
    named_function,
    one_parameter_function,
    text_function,
)
from benchmarks.measure import async_burst, compare, compile_burst, pairs_burst, threaded_burst
from benchmarks.results import Row
from benchmarks.subjects import in_process
from benchmarks.subjects.ours import DUALCACHE, KEY, fronted, open_fronted
from benchmarks.subjects.redis_sync import redis_client_side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.bench import Bench, Function
    from benchmarks.measure import Burst

SETTLE_SECONDS: Final = 20.0
PROBES: Final = 200
LRU: Final = "functools.lru_cache"


def run(bench: Bench) -> list[Row]:
    open_fronted(bench)  # skips the topic where there is no front tier
    return [
        *two_parameters(bench),
        *one_parameter(bench),
        *many_pairs(bench),
        *coroutines(bench),
        *four_threads(bench),
        *mutable(bench),
    ]


def two_parameters(bench: Bench) -> list[Row]:
    makers = {DUALCACHE: fronted, **in_process.SYNC, "redis-py client-side": redis_client_side}
    ready = bench.ready(makers, text_function)
    settle(ready[DUALCACHE], bench)
    bursts = {name: compile_burst(function, "f(7, 2)") for name, function in ready.items()}
    return compare("sync, two parameters", bursts, bench.plan, unit="ns")


def one_parameter(bench: Bench) -> list[Row]:
    def ours(function: Function, bench: Bench) -> Function:
        return open_fronted(bench, namespace="one")(key="user:{user_id}", ttl=600)(function)

    ready = bench.ready({DUALCACHE: ours, LRU: in_process.lru_cache}, one_parameter_function)
    settle(ready[DUALCACHE], bench, (7,))
    bursts = {name: compile_burst(function, "f(7)") for name, function in ready.items()}
    return compare("sync, one parameter", bursts, bench.plan, unit="ns")


def many_pairs(bench: Bench) -> list[Row]:
    """Call with as many different arguments as the pages of a shop have: each is looked up anew."""
    ints = [(number,) for number in range(PAIRS)]
    return [
        *over_pairs(bench, "one int", one_parameter_function(), ints),
        *over_pairs(bench, "int and int", text_function(), INT_AND_INT),
        *over_pairs(bench, "text and int", named_function(), TEXT_AND_INT),
    ]


def over_pairs(
    bench: Bench, shape: str, function: Function, pairs: Sequence[tuple[Any, ...]]
) -> list[Row]:
    cache = open_fronted(bench, namespace=shape.replace(" ", "-"))
    ours = cache(ttl=600)(function)
    limits = {LRU: in_process.lru_cache}
    if len(pairs[0]) == 2:
        limits["dict + TTL by hand"] = in_process.dict_by_hand
    ready: dict[str, Function] = {DUALCACHE: ours}
    ready |= {name: maker(function, bench) for name, maker in limits.items()}

    def call_all() -> None:
        for pair in pairs:
            for each in ready.values():
                each(*pair)

    settle(call_all, bench, (), probes=1)
    bursts = {name: pairs_burst(each, pairs) for name, each in ready.items()}
    return compare(f"sync, {PAIRS} pairs, {shape}", bursts, bench.plan, unit="ns")


def coroutines(bench: Bench) -> list[Row]:
    ready = bench.ready({DUALCACHE: fronted, **in_process.ASYNC}, async_text_function)
    settle(lambda *args: bench.run(ready[DUALCACHE](*args)), bench, (0, 2))
    bursts = {name: async_burst(f, 1, bench.runner) for name, f in ready.items()}
    hit = bench.ready({"the sync hit": fronted}, text_function)["the sync hit"]
    settle(hit, bench)
    bursts["the sync hit"] = compile_burst(hit, "f(7, 2)")
    rows = compare("async, two parameters", bursts, bench.plan, unit="ns")
    return [*rows, *beyond_await(rows)]


def beyond_await(rows: Sequence[Row]) -> list[Row]:
    """Return what a hit costs beyond the await itself, as a multiple of the sync hit."""
    known = {row.subject: row for row in rows}
    if not {DUALCACHE, "bare await", "the sync hit"} <= known.keys():
        return []
    rows_of_it = [known[name] for name in (DUALCACHE, "bare await", "the sync hit")]
    wall, cpu = (
        tuple((ours - bare) / sync for ours, bare, sync in zip(*times, strict=True))
        for times in ([row.rounds for row in rows_of_it], [row.cpu for row in rows_of_it])
    )
    unit = "× the sync hit"  # noqa: RUF001
    return [Row("async, beyond a bare await", DUALCACHE, unit, wall, cpu)]


def four_threads(bench: Bench) -> list[Row]:
    function = bench.ready({DUALCACHE: fronted}, text_function)[DUALCACHE]
    for number in range(4):
        settle(function, bench, (number, 2))
    bursts: dict[str, Burst] = {
        "one thread": threaded_burst(function, 1),
        "four threads": threaded_burst(function, 4),
    }
    return compare("threads at once", bursts, bench.plan, unit="ns")


def mutable(bench: Bench) -> list[Row]:
    # A namespace of its own: an entry of text under the same key is one of another shape.
    def ours(function: Function, bench: Bench) -> Function:
        return open_fronted(bench, namespace="mutable")(key=KEY, ttl=600)(function)

    ready = bench.ready({DUALCACHE: ours, LRU: in_process.lru_cache}, dict_function)
    settle(ready[DUALCACHE], bench)
    bursts = {name: compile_burst(function, "f(7, 2)") for name, function in ready.items()}
    bursts |= cashews_burst(bench)
    return compare("mutable value of 200 bytes", bursts, bench.plan, unit="ns")


def cashews_burst(bench: Bench) -> dict[str, Burst]:
    """cashews has no sync face: its async one is the nearest."""
    ready = bench.ready({"cashews": in_process.cashews_memory}, async_dict_function)
    return {name: async_burst(f, 1, bench.runner) for name, f in ready.items()}


def settle(
    function: Callable[..., Any],
    bench: Bench,
    args: tuple[int, ...] = (7, 2),
    *,
    probes: int = PROBES,
) -> None:
    """Call until the front tier serves: until calls reach the server no more."""
    ends = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < ends:
        for _ in range(3):
            function(*args)
        before = commands(bench)
        for _ in range(probes):
            function(*args)
        if commands(bench) - before < PROBES / 2:  # heartbeats and this very question count too
            return
    raise RuntimeError("the front tier does not serve a value that was read again and again")


def commands(bench: Bench) -> int:
    return int(bench.server.cli("INFO", "stats")["total_commands_processed"])
