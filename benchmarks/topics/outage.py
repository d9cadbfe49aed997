"""What calls cost while Redis refuses connections or hangs."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import redis

from benchmarks.functions import dict_function
from benchmarks.measure import percentile
from benchmarks.results import Row
from benchmarks.subjects.ours import DUALCACHE, KEY
from dualcache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from tests.servers import Server

WARM_UP: Final = 100


def run(bench: Bench) -> list[Row]:
    found: list[Row] = []
    for case, break_it in (("refuses", lambda server: server.kill()), ("hangs", pause)):
        found += outage(bench, case, break_it)
    return found if bench.is_quick else [*found, redis_defaults(bench)]


def pause(server: Server) -> None:
    server.pause()


def outage(bench: Bench, case: str, break_it: Callable[[Server], Any]) -> list[Row]:
    """Break the server under a warm cache; the load is free, so what a call takes is added."""
    server = bench.own_server()
    cache = Cache(server.url, namespace="outage")
    function: Any = cache(key=KEY, ttl=600)(dict_function())
    for _ in range(WARM_UP):
        function(7, 2)
    break_it(server)
    before = calls_until_quick(function)
    after = [added_ms(function, number) for number in range(bench.some(500, 20_000))]
    server.kill()
    cache.close()
    return [
        Row(f"{case}, slowest until the breaker opens", DUALCACHE, "ms", (max(before),)),
        Row(f"{case}, breaker open, p50", DUALCACHE, "ms", (percentile(after, 50),)),
        Row(f"{case}, breaker open, p99", DUALCACHE, "ms", (percentile(after, 99),)),
    ]


def calls_until_quick(function: Callable[..., Any]) -> list[float]:
    """Call until ten calls in a row take under a millisecond: the breaker is open."""
    taken: list[float] = []
    while len(taken) < 10 or max(taken[-10:]) > 1:
        taken.append(added_ms(function, -len(taken)))
        if len(taken) > 1_000:
            raise RuntimeError("the breaker does not open")
    return taken


def added_ms(function: Callable[..., Any], number: int) -> float:
    began = time.perf_counter()
    function(number, 2)
    return (time.perf_counter() - began) * 1000


def redis_defaults(bench: Bench) -> Row:
    """Measure one GET of redis-py as it comes, where nothing listens."""
    server = bench.own_server()
    server.kill()
    client = redis.Redis(port=server.port)
    began = time.perf_counter()
    with suppress(redis.RedisError):
        client.get("user:7:2")
    taken = (time.perf_counter() - began) * 1000
    client.close()
    return Row("refuses, one GET", "redis-py defaults", "ms", (taken,))
