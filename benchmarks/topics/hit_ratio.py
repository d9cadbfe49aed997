"""The share of hits in process: 1 000 slots, 100 000 keys, Zipf, with and without scans."""

from __future__ import annotations

import functools
import itertools
import random
from typing import TYPE_CHECKING, Any, Final

from benchmarks.results import Row
from benchmarks.subjects.ours import DUALCACHE, open_fronted
from benchmarks.topics.front import settle
from dualcache import FrontTier

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench

    Counted = Callable[[list[int]], int]
    """Asks for keys, returns how many were not in process."""

SIEVE: Final = f"{DUALCACHE}, sieve"
SLOTS: Final = 1_000
KEYS: Final = 100_000
SCAN_EVERY: Final = 10_000
SCAN_LENGTH: Final = 2_000


def run(bench: Bench) -> list[Row]:
    open_fronted(bench)
    keys, requests = bench.some((500, 1_500), (KEYS, 300_000))
    found: list[Row] = []
    for case, trace in (
        ("Zipf 1.0", zipf(keys, requests)),
        ("Zipf 1.0 with scans", with_scans(zipf(keys, requests), keys)),
    ):
        for name, misses_of in subjects(bench, case).items():
            share = 100 * (1 - misses_of(trace) / len(trace))
            found.append(Row(case, name, "%", (share,)))
    return found


def zipf(keys: int, requests: int) -> list[int]:
    """Draw keys with a probability that falls with their rank, always the same ones."""
    drawn = random.Random(1)
    weights = list(itertools.accumulate(1 / rank for rank in range(1, keys + 1)))
    names = list(range(keys))
    drawn.shuffle(names)
    return drawn.choices(names, cum_weights=weights, k=requests)


def with_scans(trace: list[int], keys: int) -> list[int]:
    """Run over keys in their order now and then, as a crawler does."""
    mixed: list[int] = []
    for number, start in enumerate(range(0, len(trace), SCAN_EVERY)):
        first = number * SCAN_LENGTH % keys
        mixed += trace[start : start + SCAN_EVERY]
        mixed += [key % keys for key in range(first, first + SCAN_LENGTH)]
    return mixed


def subjects(bench: Bench, case: str) -> dict[str, Counted]:
    found: dict[str, Counted] = {
        DUALCACHE: ours(bench, case, "lru"),
        SIEVE: ours(bench, case, "sieve"),
        "functools.lru_cache": lru(),
    }
    for name, make in {"cachetools LRU": cachetools, "cachebox LFU": cachebox}.items():
        try:
            found[name] = counted(make())
        except ImportError as error:
            bench.note(f"{name}: not installed ({error})")
    for name, adder in {"theine": theine, "moka-py": moka}.items():
        try:
            found[name] = adder()
        except ImportError as error:
            bench.note(f"{name}: not installed ({error})")
    return found


def ours(bench: Bench, case: str, policy: Any) -> Counted:
    """Count what reaches the server, where all values are: a hit in front does not."""
    front = FrontTier(max_entries=SLOTS, policy=policy)
    cache = open_fronted(bench, front, namespace=f"{case} {policy}".replace(" ", "-"))

    @cache(key="item:{number}", ttl=3_600)
    def item(number: int) -> int:
        return number

    def misses(trace: list[int]) -> int:
        for number in set(trace):
            item.store(number, number)
        settle(item, bench, (trace[0],))
        before = reads(bench)
        for number in trace:
            item(number)
        return reads(bench) - before

    return misses


def reads(bench: Bench) -> int:
    """Return how often keys were read; the keyspace's own hits count questions for a ttl, too."""
    return int(bench.server.cli("INFO", "commandstats")["cmdstat_get"]["calls"])


def lru() -> Counted:
    @functools.lru_cache(maxsize=SLOTS)
    def item(number: int) -> int:
        return number

    def misses(trace: list[int]) -> int:
        for number in trace:
            item(number)
        return item.cache_info().misses

    return misses


def counted(cache: Any) -> Counted:
    """Use what looks like a dict."""

    def misses(trace: list[int]) -> int:
        missed = 0
        for number in trace:
            if cache.get(number) is None:
                missed += 1
                cache[number] = str(number)
        return missed

    return misses


def cachetools() -> Any:
    from cachetools import LRUCache

    return LRUCache[int, str](SLOTS)


def cachebox() -> Any:
    from importlib import import_module

    return import_module("cachebox").LFUCache(SLOTS)


def theine() -> Counted:
    from importlib import import_module

    cache = import_module("theine").Cache(SLOTS)

    def misses(trace: list[int]) -> int:
        missed = 0
        for number in trace:
            if not cache.get(number)[1]:
                missed += 1
                cache.set(number, number)
        return missed

    return misses


def moka() -> Counted:
    from importlib import import_module

    cache = import_module("moka_py").Moka(SLOTS)

    def misses(trace: list[int]) -> int:
        missed = 0
        for number in trace:
            if cache.get(number) is None:
                missed += 1
                cache.set(number, number)
        return missed

    return misses
