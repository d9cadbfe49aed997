"""What `dualcache bench` measures, and how."""

from __future__ import annotations

import asyncio
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache import MISSING, FrontTier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualcache import Cache
    from dualcache.cli.session import Session

NAMESPACE: Final = "dualcache-bench"
TOGETHER: Final = 100
"""Keys of one trip, and callers at once."""
ROUNDS: Final = 50
"""How often a deletion is followed to another process's front tier."""
PATIENCE_SECONDS: Final = 1.0
FEWEST: Final = 20
"""Runs of each row, however slow."""


class Measured(NamedTuple):
    """One row: the times of one operation, and their ratio to another row's."""

    what: str
    p50_us: float
    p99_us: float
    against: str = ""
    ratio: float | None = None


def rows_of(session: Session, value: bytes, seconds: float) -> Iterator[Measured]:
    """Measure row by row, and leave nothing behind."""
    cache = session.another(namespace=NAMESPACE) if session.is_own else session.cache
    key = f"{NAMESPACE}:value"
    try:
        yield from rows_of_redis(cache, key, value, seconds)
        if session.is_own:
            yield from rows_in_front(session, key, value, seconds)
    finally:
        cache.invalidate(patterns=[f"{NAMESPACE}:*"])


def rows_of_redis(cache: Cache, key: str, value: bytes, seconds: float) -> Iterator[Measured]:
    """Measure what goes to the server."""
    client: Any = cache.client
    raw = f"{cache.namespace}:{key}:raw" if cache.namespace else f"{key}:raw"
    client.set(raw, value, px=600_000)
    bare = measured("GET by redis-py", lambda: client.get(raw), seconds)
    yield bare
    cache.set(key, value, ttl=600)
    yield against(bare, measured("hit, def", lambda: cache.get(key), seconds))
    alone, together = asyncio.run(measured_async(cache, key, seconds))
    yield against(bare, alone)
    yield against(bare, together)
    names = [f"{key}:{number}" for number in range(TOGETHER)]
    cache.set_many(dict.fromkeys(names, value), ttl=600)
    many = measured("", lambda: cache.get_many(names), seconds)
    yield against(bare, shared(many, f"hit, each of {TOGETHER} in one trip (get_many)"))
    numbers = count()

    def bare_miss() -> None:
        name = f"{raw}:{next(numbers)}"
        client.get(name)
        client.set(name, value, px=60_000)

    written = measured("GET and SET by redis-py", bare_miss, seconds)
    yield written

    def miss() -> object:
        return cache.get_or_load(f"{key}:miss:{next(numbers)}", lambda: value, ttl=60)

    yield against(written, measured("miss: load and store", miss, seconds))
    yield against(bare, measured("invalidate", lambda: cache.invalidate(key), seconds))


def rows_in_front(session: Session, key: str, value: bytes, seconds: float) -> Iterator[Measured]:
    """Measure the front tier, and how long a deletion takes to another one."""
    here = session.another(namespace=NAMESPACE, front=FrontTier(max_entries=100))
    there = session.another(namespace=NAMESPACE, front=FrontTier(max_entries=100))

    @here(key=key, ttl=600)
    def load() -> bytes:
        return value

    load()
    yield measured("front hit, def", load, seconds)
    times: list[float] = []
    for _ in range(ROUNDS):
        here.set(key, value, ttl=600)
        there.get(key)
        there.get(key)
        began = perf_counter()
        here.invalidate(key)
        while there.get(key, MISSING) is not MISSING:
            if perf_counter() - began > PATIENCE_SECONDS:
                return
        times.append(perf_counter() - began)
    yield row("invalidate, until another front tier has heard it", times)


def measured(what: str, call: Callable[[], object], seconds: float) -> Measured:
    """Call again and again for some seconds."""
    call()
    times: list[float] = []
    until = perf_counter() + seconds
    while (began := perf_counter()) < until or len(times) < FEWEST:
        call()
        times.append(perf_counter() - began)
    return row(what, times)


async def measured_async(cache: Cache, key: str, seconds: float) -> tuple[Measured, Measured]:
    """Measure hits of the async face: one caller, and many at once."""
    get = cache.aio.get
    await get(key)
    times: list[float] = []
    until = perf_counter() + seconds
    while (began := perf_counter()) < until or len(times) < FEWEST:
        await get(key)
        times.append(perf_counter() - began)
    alone = row("hit, async def", times)
    times = []
    until = perf_counter() + seconds
    while (began := perf_counter()) < until or len(times) < FEWEST:
        await asyncio.gather(*(get(key) for _ in range(TOGETHER)))
        times.append(perf_counter() - began)
    await cache.aio.aclose()
    return alone, shared(row("", times), f"hit, async def, each of {TOGETHER} at once")


def row(what: str, times: list[float]) -> Measured:
    """Make a row of times in seconds."""
    ordered = sorted(times)
    last = len(ordered) - 1
    return Measured(what, ordered[last // 2] * 1e6, ordered[round(last * 0.99)] * 1e6)


def shared(all_together: Measured, what: str) -> Measured:
    """Return the time of each of many that went together."""
    p50, p99 = all_together.p50_us / TOGETHER, all_together.p99_us / TOGETHER
    return Measured(what, p50, p99)


def against(other: Measured, one: Measured) -> Measured:
    """Compare a row with another."""
    return one._replace(against=other.what, ratio=one.p50_us / other.p50_us)
