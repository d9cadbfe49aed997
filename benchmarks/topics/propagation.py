"""How soon an invalidation in one process reaches the front tier of another."""

from __future__ import annotations

import multiprocessing
import time
from typing import TYPE_CHECKING, Any, Final

import redis

from benchmarks.measure import percentile
from benchmarks.results import Row
from benchmarks.subjects.ours import DUALCACHE, KEY, open_cache, open_fronted
from dualcache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from benchmarks.bench import Bench

PATIENCE_SECONDS: Final = 10.0
HITS_BEFORE: Final = 200
GET: Final = "one GET"


def run(bench: Bench) -> list[Row]:
    open_fronted(bench)
    count = bench.some(20, 500)
    cache = open_cache(bench)
    client = redis.Redis(port=bench.server.port)
    bench.on_close(client.close)
    ways: dict[str, tuple[Callable[..., None], Callable[[int], Any]]] = {
        DUALCACHE: (watch_front, lambda number: cache.invalidate(f"user:{number}:2")),
        "redis-py pub/sub": (watch_channel, lambda number: client.publish("news", number)),
    }
    found: list[Row] = []
    for name, (watch, tell) in ways.items():
        gets, delays = delays_of(watch, tell, client, bench.server.url, count)
        get = (percentile(gets, 50),)
        for percent in (50, 99):
            told = (percentile(delays, percent),)
            found.append(Row(f"p{percent}", name, "ms", told))
            if name == DUALCACHE:  # both are held to the median of a GET
                found.append(Row(f"p{percent}", GET, "ms", get))
    return found


def delays_of(
    watch: Callable[..., None],
    tell: Callable[[int], Any],
    client: redis.Redis,
    url: str,
    count: int,
) -> tuple[list[float], list[float]]:
    """Let another process watch; return how long a GET takes, and how long each message (ms).

    A GET goes before each message, so that both meet the same load of the machine.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=watch, args=(there, url, count), daemon=True)
    process.start()
    gets, delays = [], []
    for number in range(count):
        receive(here)  # it is watching
        time.sleep(0.002)
        asked = time.perf_counter()
        client.get("absent")
        began = time.perf_counter()
        tell(number)
        gets.append((began - asked) * 1000)
        delays.append((receive(here) - began) * 1000)
    process.join(PATIENCE_SECONDS)
    return gets, delays


def receive(connection: Connection) -> Any:
    if not connection.poll(PATIENCE_SECONDS):
        raise RuntimeError("the invalidation never reached the other process")
    return connection.recv()


def watch_front(connection: Connection, url: str, count: int) -> None:
    """Hit the front tier again and again; tell when a hit was no longer one.

    The clock is the machine's, so that both processes read the same.
    """
    loads: list[int] = []
    cache = Cache(url, namespace="ours", front=10_000)

    @cache(key=KEY, ttl=600)
    def get_user(user_id: int, page: int = 1) -> int:
        loads.append(user_id)
        return page

    for number in range(count):
        for _ in range(HITS_BEFORE):
            get_user(number, 2)
        connection.send("watching")
        loaded = len(loads)
        while True:
            seen = time.perf_counter()
            get_user(number, 2)
            if len(loads) > loaded:
                break
            time.sleep(0)  # lets the thread that listens run
        connection.send(seen)
    cache.close()


def watch_channel(connection: Connection, url: str, count: int) -> None:
    """Wait for published messages; tell when each came."""
    client = redis.Redis.from_url(url)
    channel = client.pubsub()
    channel.subscribe("news")
    channel.get_message(timeout=1)
    for _ in range(count):
        connection.send("watching")
        while channel.get_message(timeout=1) is None:
            pass
        connection.send(time.perf_counter())
    channel.close()
    client.close()
