"""The demo: slow functions, cached, in a few scenes that check what they show."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from shutil import get_terminal_size
from threading import Event as Signal
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from dualcache import BackendDown, Cache
from dualcache.cli.answers import unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

NAMESPACE: Final = "dualcache-demo"
SLOW_SECONDS: Final = 0.2
CALLERS: Final = 20
PATIENCE_SECONDS: Final = 10.0
WIDE_ENOUGH: Final = 79
"""Columns that a row takes; on a narrower terminal it takes two lines."""


class Row(NamedTuple):
    """One line of the table: what was done, what came of it, and whether that is right."""

    what: str
    result: str
    ms: float
    is_right: bool


def demonstrate(url: str | None) -> int:
    """Run every scene against `url`, print a table, and return the exit code.

    Without a URL, where the environment says; without that, in memory.
    """
    cache = Cache(url, namespace=NAMESPACE, settings=address_variables())
    failures: list[BackendDown] = []
    cache.on_event(lambda e: failures.append(e) if isinstance(e, BackendDown) else None)
    try:
        # A server that answers too late may do so once more: the breaker opens at the second time.
        if not (cache.ping() or cache.ping()):
            print(unusable(cache.stats().backend, failures), file=sys.stderr)
            return 1
        return shown(cache)
    finally:
        cache.close()


def address_variables() -> dict[str, str]:
    """Return the variables that say where the cache lives: the demo takes no other."""
    names = (each for each in os.environ if each.startswith(("DUALCACHE_URL", "REDIS_CACHE_")))
    return {name: os.environ[name] for name in names}


def shown(cache: Cache) -> int:
    """Play the scenes in an empty namespace, and leave it empty."""
    print(f"dualcache demo on {cache.stats().backend}; a load takes {SLOW_SECONDS * 1000:.0f} ms\n")
    rows: list[Row] = []
    try:
        cache.clear()
        for scene in SCENES:
            for row in scene(cache):
                rows.append(row)
                print(line_of(row), flush=True)
    finally:
        cache.clear()
    wrong = sum(not row.is_right for row in rows)
    print(f"\n{len(rows) - wrong} of {len(rows)} as promised", end="; ")
    counted = cache.stats()
    print(f"{counted.hits} hits, {counted.loads} loads, {counted.coalesced} callers shared one")
    print(next_step(cache.stats().backend))
    return 1 if wrong else 0


def line_of(row: Row) -> str:
    """Return a row as text; times are at the right, so that they can be compared."""
    mark = "ok   " if row.is_right else "WRONG"
    digits = 0 if row.ms >= 10 else 2
    time = f"{row.ms:>8.{digits}f} ms"
    if get_terminal_size().columns < WIDE_ENOUGH:
        return f"  {mark} {row.what}\n        {row.result:<28}{time}"
    return f"  {mark} {row.what:<40}{row.result:<20}{time}"


def next_step(backend: str) -> str:
    """Say how to go on."""
    if backend != "memory://":
        return "The keys of the demo are gone again."
    return (
        'On to Redis: write Cache("redis://localhost:6379/0"), or set DUALCACHE_URL and change no '
        "line;\n             python -m dualcache demo --url redis://localhost:6379/0"
    )


def timed(function: Callable[[], T]) -> tuple[T, float]:
    """Call a function; return its result and the ms it took."""
    began = perf_counter()
    result = function()
    return result, (perf_counter() - began) * 1000


def outcome(*, is_loaded: bool) -> str:
    return "loaded" if is_loaded else "hit"


def a_slow_function(cache: Cache) -> Iterator[Row]:
    """A `def`, called twice."""
    runs: list[int] = []

    @cache(key="report:{year}")
    def report(year: int) -> dict[str, int]:
        sleep(SLOW_SECONDS)
        runs.append(year)
        return {"year": year, "sales": 4_711}

    first, ms = timed(lambda: report(2026))
    yield Row("def: first call", outcome(is_loaded=bool(runs)), ms, len(runs) == 1)
    second, ms = timed(lambda: report(2026))
    is_right = len(runs) == 1 and second == first
    yield Row("def: the same call again", outcome(is_loaded=len(runs) > 1), ms, is_right)


def a_slow_coroutine(cache: Cache) -> Iterator[Row]:
    """An `async def`, called twice."""
    runs: list[str] = []

    @cache(key="forecast:{city}")
    async def forecast(city: str) -> tuple[str, float]:
        await asyncio.sleep(SLOW_SECONDS)
        runs.append(city)
        return city, 21.5

    async def twice() -> tuple[Row, Row]:
        began = perf_counter()
        first = await forecast("Oslo")
        between = perf_counter()
        second = await forecast("Oslo")
        ms, again_ms = (between - began) * 1000, (perf_counter() - between) * 1000
        is_right = len(runs) == 1 and first == second == ("Oslo", 21.5)
        again = "hit" if len(runs) == 1 else "loaded"
        await cache.aio.aclose()
        return (
            Row("async def: first call", "loaded", ms, is_right),
            Row("async def: the same call again", again, again_ms, is_right),
        )

    yield from asyncio.run(twice())


def many_callers_at_once(cache: Cache) -> Iterator[Row]:
    """Twenty threads that miss together."""
    runs: list[int] = []

    @cache(key="stock:{item}")
    def stock(item: int) -> int:
        sleep(SLOW_SECONDS)
        runs.append(item)
        return 12

    with ThreadPoolExecutor(CALLERS) as pool:
        found, ms = timed(lambda: list(pool.map(stock, [7] * CALLERS)))
    loads = f"{len(runs)} load" + ("s" if len(runs) > 1 else "")
    is_right = len(runs) == 1 and found == [12] * CALLERS
    yield Row(f"{CALLERS} callers at once", loads, ms, is_right)


def an_invalidation_during_a_load(cache: Cache) -> Iterator[Row]:
    """A load reads the old price; the price changes and is invalidated before the load ends."""
    prices = {1: 10}
    has_read, may_end = Signal(), Signal()

    @cache(key="price:{item}")
    def price(item: int) -> int:
        seen = prices[item]
        if not has_read.is_set():
            has_read.set()
            may_end.wait(PATIENCE_SECONDS)
        return seen

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(price, 1)
        has_read.wait(PATIENCE_SECONDS)
        prices[1] = 12
        _, ms = timed(lambda: cache.invalidate("price:1"))
        may_end.set()
        is_late_old = late.result(PATIENCE_SECONDS) == 10
    yield Row("invalidated while a load is under way", "invalidated", ms, is_late_old)
    now, ms = timed(lambda: price(1))
    told = "new value" if now == 12 else "STALE VALUE"
    yield Row("the late load stored nothing: next call", told, ms, now == 12)


def a_tag(cache: Cache) -> Iterator[Row]:
    """Three entries under one tag, and one deletion."""
    runs: list[int] = []

    @cache(key="user:{user_id}", tags=["users"])
    def user(user_id: int) -> str:
        runs.append(user_id)
        return f"user {user_id}"

    for each in (1, 2, 3, 1, 2, 3):
        user(each)
    loads_before = len(runs)
    _, ms = timed(lambda: cache.invalidate(tags=["users"]))
    for each in (1, 2, 3):
        user(each)
    told = f"{len(runs) - loads_before} of 3 loaded again"
    yield Row("3 entries, one tag invalidated", told, ms, (loads_before, len(runs)) == (3, 6))


def an_outage_of_the_source(cache: Cache) -> Iterator[Row]:
    """The value has gone stale, and what it is made from does not answer."""
    is_down = False

    @cache(key="rate:{currency}", ttl=SLOW_SECONDS, stale_if_error="1m")
    def rate(currency: str) -> float:
        if is_down:
            raise ConnectionError(currency)
        return 1.08

    rate("EUR")
    is_down = True
    sleep(1.5 * SLOW_SECONDS)
    try:
        value, ms = timed(lambda: rate("EUR"))
    except ConnectionError:
        yield Row("the source is down, the value is old", "an error", 0, is_right=False)
    else:
        yield Row("the source is down, the value is old", "stale value served", ms, value == 1.08)


SCENES: Final[tuple[Callable[[Cache], Iterator[Row]], ...]] = (
    a_slow_function,
    a_slow_coroutine,
    many_callers_at_once,
    an_invalidation_during_a_load,
    a_tag,
    an_outage_of_the_source,
)
