"""Taking times: calibrated bursts of calls, one subject after the other, round by round."""

from __future__ import annotations

import asyncio
import gc
import math
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks.results import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Burst = Callable[[int], int]
    """Performs at least so many calls; returns how many."""

PER_SECOND: Final = {"ns": 1e9, "µs": 1e6, "ms": 1e3, "s": 1.0}
WARM_UPS: Final = 5


class Plan(NamedTuple):
    """How often each subject is measured, and for about how long each time."""

    rounds: int
    seconds: float


class Lap(NamedTuple):
    """Seconds per call of one burst, and how many calls it was."""

    wall: float
    cpu: float
    done: int


def compare(
    case: str, bursts: Mapping[str, Burst], plan: Plan, *, unit: str = "µs", x: float | None = None
) -> list[Row]:
    """Measure subjects in turn, A B, B A, …, so that a busy machine troubles them all alike."""
    # A collection precedes each lap: without modules and subjects it takes no time to speak of.
    gc.collect()
    gc.freeze()
    try:
        counts = {name: calibrated(burst, plan.seconds) for name, burst in bursts.items()}
        laps: dict[str, list[Lap]] = {name: [] for name in bursts}
        order = list(bursts)
        for _ in range(plan.rounds):
            for name in order:
                laps[name].append(timed(bursts[name], counts[name]))
            order.reverse()
    finally:
        gc.unfreeze()
    return [row_of(case, name, laps[name], unit, x) for name in bursts]


def row_of(case: str, name: str, laps: Iterable[Lap], unit: str, x: float | None) -> Row:
    per_second = PER_SECOND[unit]
    walls, cpus, _ = zip(*laps, strict=True)
    return Row(
        case,
        name,
        unit,
        tuple(wall * per_second for wall in walls),
        tuple(cpu * per_second for cpu in cpus),
        x,
    )


def timed(burst: Burst, count: int) -> Lap:
    """Measure one burst without the garbage collector, as `timeit` does."""
    gc.collect()
    gc.disable()
    try:
        cpu, wall = time.process_time(), time.perf_counter()
        done = burst(count)
        ended, cpu_ended = time.perf_counter(), time.process_time()
    finally:
        gc.enable()
    return Lap((ended - wall) / done, (cpu_ended - cpu) / done, done)


def calibrated(
    burst: Burst, seconds: float, time_burst: Callable[[Burst, int], Lap] = timed
) -> int:
    """Return how many calls take about so long; warms up first: connections, code, the loader.

    The quickest of three bursts counts: one beside which another program ran would make later
    bursts so short that what surrounds the calls is measured instead.
    """
    for _ in range(WARM_UPS):
        burst(1)
    count = 1
    while True:
        per_call = math.inf
        for _ in range(3):
            lap = time_burst(burst, count)
            per_call = min(per_call, lap.wall)
            if per_call * lap.done <= seconds / 4:
                break
        else:
            return max(1, round(seconds / per_call))
        count *= 4


def compile_burst(function: Callable[..., Any], call: str, **names: Any) -> Burst:
    """Return a loop around one call as it is written: `compile_burst(f, "f(7, 2)")`."""
    source = (
        f"def burst(count):\n    for _ in repeat(None, count):\n        {call}\n    return count\n"
    )
    known: dict[str, Any] = {"f": function, "repeat": repeat, **names}
    exec(source, known)
    burst: Burst = known["burst"]
    return burst


def pairs_burst(function: Callable[..., Any], pairs: Sequence[tuple[Any, ...]]) -> Burst:
    """Return a loop over many different calls: `f(*pair)`, round and round."""

    def burst(count: int) -> int:
        rounds = -(-count // len(pairs))
        for _ in repeat(None, rounds):
            for pair in pairs:
                function(*pair)
        return rounds * len(pairs)

    return burst


def async_burst(function: Callable[..., Any], callers: int, runner: asyncio.Runner) -> Burst:
    """Return calls `await f(number, 2)` by several tasks at once, each with a key of its own."""

    async def caller(number: int, count: int) -> None:
        for _ in repeat(None, count):
            await function(number, 2)

    async def all_callers(count: int) -> int:
        each = -(-count // callers)
        if callers == 1:
            await caller(0, count)
        else:
            await asyncio.gather(*[caller(number, each) for number in range(callers)])
        return each * callers

    return lambda count: runner.run(all_callers(count))


def threaded_burst(function: Callable[..., Any], threads: int) -> Burst:
    """Return calls by several threads at once, each with a key of its own."""
    bursts = [compile_burst(function, f"f({number}, 2)") for number in range(threads)]

    def burst(count: int) -> int:
        each = -(-count // threads)
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(lambda one: one(each), bursts))  # raises what a thread raised

    return burst


def percentile(values: Iterable[float], percent: float) -> float:
    """Return the value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
