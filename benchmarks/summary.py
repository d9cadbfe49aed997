"""The answer in ten lines: how dualcache compares with what a reader uses today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import table
from benchmarks.results import cpu_ratio, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.results import Results, Row

AS_FAST: Final = 1.05
"""Up to this ratio, either way, nobody is called faster."""


class Compared(NamedTuple):
    """A peer, and the cases in which a reader would meet it."""

    today: str
    where: str
    topic: str
    subject: str
    cases: tuple[str, ...]


IN_PROCESS, IN_PROCESS_ASYNC = ("sync, two parameters",), ("async, two parameters",)
ONE_CALLER: Final = ("one caller",)
TASKS: Final = ("1 at once", "10 at once", "100 at once")
HIT: Final = "a hit in process"
HIT_ASYNC: Final = "a hit in process, `async def`"
REDIS: Final = "a hit in Redis"
REDIS_ASYNC: Final = "a hit in Redis, 1 / 10 / 100 tasks at once"
MISS: Final = "a miss, one load across processes"
COMPARED: Final = (
    Compared("`functools.lru_cache`", HIT, "front", "functools.lru_cache", IN_PROCESS),
    Compared("cachetools, TTL and lock", HIT, "front", "cachetools TTL + lock", IN_PROCESS),
    Compared("aiocache, in memory", HIT_ASYNC, "front", "aiocache", IN_PROCESS_ASYNC),
    Compared("`redis.get` and pickle", REDIS, "l2_sync", "redis.get + pickle", ONE_CALLER),
    Compared("django-redis", REDIS, "l2_sync", "django-redis", ONE_CALLER),
    Compared("Flask-Caching, memoize", REDIS, "l2_sync", "Flask-Caching memoize", ONE_CALLER),
    Compared("`redis.asyncio` and pickle", REDIS_ASYNC, "l2_async", "redis.asyncio get", TASKS),
    Compared("cashews", REDIS_ASYNC, "l2_async", "cashews", TASKS),
    Compared(
        "dogpile, distributed lock", MISS, "miss", "dogpile distributed lock", ("sync, one caller",)
    ),
    Compared("cashews, lock", MISS, "miss", "cashews lock", ("async, one caller",)),
)


def markdown(results: Results) -> str:
    """Return a line for each peer that the run has measured."""
    lines = [["today", "for", "dualcache, by the clock", "by processor time"]]
    for compared in COMPARED:
        topic = results.topics.get(compared.topic)
        pairs = [] if topic is None else pairs_of(compared, topic.rows)
        if pairs:
            clock = told([ratio(peer, ours) for ours, peer in pairs])
            processor = [cpu_ratio(peer, ours) for ours, peer in pairs]
            cpu = told([each for each in processor if each is not None])
            lines.append([compared.today, compared.where, clock, cpu])
    return table.piped(lines)


def pairs_of(compared: Compared, rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Return our row and the peer's, case by case."""
    by_name = {(row.case, row.subject): row for row in rows}
    names = [((case, table.US), (case, compared.subject)) for case in compared.cases]
    return [
        (by_name[ours], by_name[peer])
        for ours, peer in names
        if ours in by_name and peer in by_name
    ]


def told(ratios: Sequence[float]) -> str:
    """Write how many times as fast: "1.9 / 5.2 / 9.4 times faster"."""
    if all(each > AS_FAST for each in ratios):
        return f"{' / '.join(table.number(each) for each in ratios)} times faster"
    return ", ".join(map(one_told, ratios))


def one_told(value: float) -> str:
    if value > AS_FAST:
        return f"{table.number(value)} times faster"
    if value < 1 / AS_FAST:
        return f"{table.number(1 / value)} times slower"
    return "as fast"
