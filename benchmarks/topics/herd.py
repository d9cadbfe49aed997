"""A stampede: 8 processes with 32 callers each want one cold key whose load takes 20 ms."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from benchmarks.bench import Bench
from benchmarks.processes import together
from benchmarks.results import Row
from benchmarks.subjects.in_process import bare
from benchmarks.subjects.ours import DUALCACHE, cached
from benchmarks.subjects.redis_async import cashews
from benchmarks.subjects.redis_sync import dogpile

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

    from benchmarks.bench import Maker
    from tests.servers import Binary

PROCESSES: Final = 8
CALLERS: Final = 32
LOAD_SECONDS: Final = 0.02
NO_CACHE: Final = "no cache, every caller loads"
"""The limit: so many callers on so many processors, none of whom waits for another."""
ASYNC: Final[dict[str, Maker]] = {
    DUALCACHE: cached,
    "cashews lock": cashews("locked", lock=True),
    NO_CACHE: bare,
}
SYNC: Final[dict[str, Maker]] = {
    DUALCACHE: cached,
    "dogpile distributed lock": dogpile(
        "dist", distributed_lock=True, lock_timeout=5, thread_local_lock=False
    ),
    NO_CACHE: bare,
}


def run(bench: Bench) -> list[Row]:
    processes, rounds = bench.some((1, 2), (PROCESSES, 9))
    found: list[Row] = []
    for colour, makers in (("async", ASYNC), ("sync", SYNC)):
        load = tuple([LOAD_SECONDS * 1000] * rounds)
        found.append(Row(f"{colour}, slowest caller", "the load", "ms", load))
        for name in makers:
            arguments = (colour, name, bench.address, rounds)
            told = [each for each in together(work, processes, *arguments) if each is not None]
            if not told:
                bench.note(f"{name}: not installed")
                continue
            found += rows_of(colour, name, told)
            bench.server.cli("FLUSHALL")  # the next ones want the same keys, cold
    return found


def rows_of(colour: str, name: str, told: list[list[tuple[int, float]]]) -> list[Row]:
    """Add up the loads of all processes, round by round; take the slowest of their callers."""
    by_round = list(zip(*told, strict=True))
    loads = tuple(float(sum(count for count, _ in each)) for each in by_round)
    slowest = tuple(max(seconds for _, seconds in each) * 1000 for each in by_round)
    return [
        Row(f"{colour}, loads", name, "loads", loads),
        Row(f"{colour}, slowest caller", name, "ms", slowest),
    ]


def work(
    barrier: Barrier, colour: str, name: str, address: tuple[Binary, int], rounds: int
) -> list[tuple[int, float]] | None:
    """Return for each round how often this process loaded and its slowest caller's seconds."""
    with Bench.visit(*address) as bench:
        herd = AsyncHerd() if colour == "async" else SyncHerd()
        ready = bench.ready({name: (ASYNC if colour == "async" else SYNC)[name]}, herd.function)
        if name not in ready:
            return None
        told = []
        for key in range(rounds + 1):
            barrier.wait()
            before = herd.loads
            slowest = max(herd.calls(ready[name], key, bench))
            told.append((herd.loads - before, slowest))
        barrier.wait()
        return told[1:]  # the first round connects


class AsyncHerd:
    """Tasks that want one key at once."""

    loads = 0

    def function(self) -> Any:
        async def get_user(user_id: int, page: int = 1) -> dict[str, Any]:
            self.loads += 1
            await asyncio.sleep(LOAD_SECONDS)
            return {"id": user_id, "page": page}

        return get_user

    def calls(self, function: Any, key: int, bench: Bench) -> list[float]:
        async def caller() -> float:
            began = time.perf_counter()
            await function(key, 2)
            return time.perf_counter() - began

        async def callers() -> list[float]:
            return await asyncio.gather(*[caller() for _ in range(CALLERS)])

        found: list[float] = bench.run(callers())
        return found


class SyncHerd:
    """Threads that want one key at once."""

    loads = 0

    def function(self) -> Any:
        def get_user(user_id: int, page: int = 1) -> dict[str, Any]:
            self.loads += 1
            time.sleep(LOAD_SECONDS)
            return {"id": user_id, "page": page}

        return get_user

    def calls(self, function: Any, key: int, _: Bench) -> list[float]:
        gate = threading.Barrier(CALLERS)
        taken: list[float] = []

        def caller() -> None:
            gate.wait()
            began = time.perf_counter()
            function(key, 2)
            taken.append(time.perf_counter() - began)

        threads = [threading.Thread(target=caller) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return taken
