"""Invalidating a tag and a pattern, however many keys there are."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import redis

from benchmarks.functions import async_dict_function
from benchmarks.measure import percentile
from benchmarks.processes import together
from benchmarks.results import Row
from benchmarks.subjects.ours import DUALCACHE, open_cache
from benchmarks.subjects.redis_async import open_cashews
from benchmarks.subjects.redis_sync import django_cache

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Barrier

    from benchmarks.bench import Bench

FILL: Final = """
local value = redis.call('GET', KEYS[1])
for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  redis.call('SET', ARGV[1] .. number, value)
end
"""
CHUNK: Final = 50_000
MATCHING: Final = 1_000


def run(bench: Bench) -> list[Row]:
    sizes = bench.some((1_000, 10_000), (1_000, 10_000, 100_000, 1_000_000))
    return [*by_tag(bench, sizes), *by_pattern(bench, sizes[-1])]


def by_tag(bench: Bench, sizes: tuple[int, ...]) -> list[Row]:
    """Copy one tagged entry to so many keys, then invalidate its tag."""
    cache = open_cache(bench)
    found: list[Row] = []
    filled = 0
    cache.set("seed", async_dict_function().__name__, tags=["users"])
    for size in sizes:
        fill(bench, "ours:seed", "ours:user:", filled, size)
        filled = size
        rounds = [milliseconds(lambda: cache.invalidate(tags=["users"])) for _ in range(50)]
        found.append(Row(f"tag, {size} keys", DUALCACHE, "ms", tuple(rounds), x=size))
    bench.server.cli("FLUSHALL")
    return found


def by_pattern(bench: Bench, size: int) -> list[Row]:
    """Delete 1 000 keys among many others, while another client goes on reading."""
    bench.server.cli("SET", "seed", "x" * 200)
    fill(bench, "seed", "other:", 0, size)
    case = f"pattern, {MATCHING} of {size} keys"
    waits = f"longest wait of another client, {size} keys"
    found: list[Row] = []
    rounds: dict[str, list[float]] = {}
    waited: dict[str, list[float]] = {}
    ways = pattern_ways(bench)
    for _ in range(bench.some(1, 3)):
        for name, (prefix, delete) in ways.items():
            fill(bench, "seed", prefix, 0, MATCHING)
            taken, longest = beside_a_reader(bench, delete)
            rounds.setdefault(name, []).append(taken)
            waited.setdefault(name, []).append(longest)
    for name in ways:
        found.append(Row(case, name, "ms", tuple(rounds[name])))
        found.append(Row(waits, name, "ms", tuple(waited[name])))
    return found


def pattern_ways(bench: Bench) -> dict[str, tuple[str, Callable[[], Any]]]:
    """Return for each subject where it keeps what matches, and how it deletes that."""
    cache = open_cache(bench)
    ways: dict[str, tuple[str, Callable[[], Any]]] = {
        DUALCACHE: ("ours:search_", lambda: cache.invalidate(patterns=["search_*"]))
    }
    try:
        django = django_cache(bench)
        ways["django-redis"] = (":1:search_", lambda: django.delete_pattern("search_*"))
    except ImportError as error:
        bench.note(f"django-redis: not installed ({error})")
    try:
        cashews = open_cashews(bench)
        ways["cashews"] = ("search_", lambda: bench.run(cashews.delete_match("search_*")))
    except ImportError as error:
        bench.note(f"cashews: not installed ({error})")
    return ways


def beside_a_reader(bench: Bench, delete: Callable[[], Any]) -> tuple[float, float]:
    """Return how long a deletion takes, and the longest that a reader elsewhere waits (ms)."""
    waits: list[float] = []
    reading = threading.Thread(target=lambda: waits.extend(together(reads, 1, bench.server.port)))
    reading.start()
    port = bench.server.port
    gate = redis.Redis(port=port)
    while gate.get("reading") is None:
        time.sleep(0.01)
    taken = milliseconds(delete)
    gate.set("stop", 1)
    reading.join()
    gate.delete("reading", "stop")
    gate.close()
    return taken, waits[0]


def reads(_: Barrier, port: int) -> float:
    """Read one key until another says stop; return the longest wait in ms."""
    client = redis.Redis(port=port)
    waits: list[float] = []
    client.set("reading", 1)
    while client.get("stop") is None:
        waits.append(milliseconds(lambda: client.get("seed")))
        time.sleep(0.0002)
    client.close()
    return percentile(waits, 100)


def fill(bench: Bench, seed: str, prefix: str, first: int, last: int) -> None:
    """Let the server copy a value to numbered keys, in portions that do not block it for long."""
    for start in range(first, last, CHUNK):
        end = min(start + CHUNK, last)
        bench.server.client.eval(FILL, 1, seed, prefix, start + 1, end)


def milliseconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
