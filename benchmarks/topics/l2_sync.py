"""A value in Redis, read by one caller of a `def`: the whole decorator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.functions import INT_AND_INT, TEXT_AND_INT, dict_function, named_dict_function
from benchmarks.measure import compare, pairs_burst
from benchmarks.subjects import redis_sync
from benchmarks.subjects.ours import DUALCACHE, cached, default_key, named, tagged
from benchmarks.subjects.server_limit import server_gets

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench, Function, Maker
    from benchmarks.results import Row

    Pairs = list[tuple[Any, ...]]


BY_HAND: Final = "redis.get + pickle"


def run(bench: Bench) -> list[Row]:
    makers = {DUALCACHE: cached, "dualcache, default key": default_key, **redis_sync.READS}
    tags: dict[str, Maker] = {"no tag": cached, "one tag": tagged(1), "three tags": tagged(3)}
    texts = {DUALCACHE: named, BY_HAND: redis_sync.READS[BY_HAND]}
    return [
        *hits(bench, "one caller", makers),
        *server_gets(bench, "one caller", 1),
        *hits(bench, "one caller, text and int", texts, named_dict_function, TEXT_AND_INT),
        *hits(bench, "tags", tags),
    ]


def hits(
    bench: Bench,
    case: str,
    makers: dict[str, Maker],
    make_function: Callable[[], Function] = dict_function,
    pairs: Pairs = INT_AND_INT,
) -> list[Row]:
    """Call with many different arguments; the first time round loads them all."""
    ready = bench.ready(makers, make_function)
    bursts = {name: pairs_burst(function, pairs) for name, function in ready.items()}
    return compare(case, bursts, bench.plan)
