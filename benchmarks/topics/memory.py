"""Memory: of one entry in process beyond what it must hold, and what is left by what has gone."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from benchmarks.bench import Bench
from benchmarks.functions import text_function
from benchmarks.processes import together
from benchmarks.results import Row
from benchmarks.subjects import in_process
from benchmarks.subjects.ours import DUALCACHE, KEY, open_cache, open_fronted
from benchmarks.topics.front import settle
from dualcache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Barrier

    from benchmarks.bench import Function, Maker
    from tests.servers import Binary

FIRST: Final = 1_000_000
"""Numbers from here on are objects of their own, as the ids of users are."""


def fronted(function: Function, bench: Bench) -> Function:
    return open_fronted(bench, in_process.SIZE * 2)(key=KEY, ttl=600)(function)


SUBJECTS: Final[dict[str, Maker]] = {
    DUALCACHE: fronted,
    "functools.lru_cache": in_process.lru_cache,
    "cachetools TTL + lock": in_process.cachetools_ttl_lock,
    "dogpile memory": in_process.dogpile_memory,
}


def run(bench: Bench) -> list[Row]:
    open_fronted(bench)
    count = bench.some(500, in_process.SIZE)
    found: list[Row] = []
    for name in SUBJECTS:
        told = together(work, 1, name, bench.address, count)[0]
        if told is None:
            bench.note(f"{name}: not installed")
        else:
            found.append(Row("beyond key, value and arguments", name, "bytes", (told,)))
    for what in bench.some([*PASSING][:2], [*PASSING]):
        rounds, count = bench.some((1, 20), (6, 200))
        left = together(left_by, 1, what, bench.address, rounds, count)[0]
        found.append(Row(f"left by {what}", DUALCACHE, "bytes", (left,)))
    return found


def work(_: Barrier, name: str, address: tuple[Binary, int], count: int) -> float | None:
    """Return the bytes of one entry in a process that does nothing else."""
    with Bench.visit(*address) as bench:
        ready = bench.ready({name: SUBJECTS[name]}, fresh_text)
        if name not in ready:
            return None
        function = ready[name]
        if name == DUALCACHE:
            settle(function, bench)
            store(function, count)
        tracemalloc.start()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        fill(function, count)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        return grown / count - content_bytes(name)


def fresh_text() -> Function:
    """Return a function that makes a new text for each call."""

    def get_user(user_id: int, page: int = 1) -> str:
        return f"{user_id:>100}{page:>100}"

    return get_user


def store(function: Any, count: int) -> None:
    """Put all values on the server; what this process reads then, it keeps in front."""
    plain = fresh_text()
    for number in range(FIRST, FIRST + count):
        function.store(plain(number, 2), number, 2)


def fill(function: Function, count: int) -> None:
    for number in range(FIRST, FIRST + count):
        function(number, 2)


def content_bytes(name: str) -> float:
    """Return the size of what an entry must hold: the value, the arguments, and a text as key."""
    arguments: tuple[Any, ...] = (FIRST, 2)
    held = sys.getsizeof(text_function()(1)) + sys.getsizeof(arguments) + sys.getsizeof(FIRST)
    if name == DUALCACHE:
        held += sys.getsizeof(f"ours:user:{FIRST}:2")
    return float(held)


def left_by(
    barrier: Barrier, what: str, address: tuple[Binary, int], rounds: int, count: int
) -> float:
    """Return the bytes that one of these leaves, in a process that does nothing else.

    The round that grew least counts. What is left behind is left in every round; the interpreter's
    table of interned names (a megabyte at once) and its cache of attributes grow in a few of them.
    """
    del barrier
    with Bench.visit(*address) as bench:
        pass_by = PASSING[what]
        cache = open_cache(bench)
        for _ in range(
            WARM_UPS
        ):  # what is made once, such as imports and tables, is not left by one
            pass_by(bench, cache)
        tracemalloc.start()
        sizes = [traced_bytes()]
        for _ in range(rounds):
            for _ in range(count):
                pass_by(bench, cache)
            sizes.append(traced_bytes())
        tracemalloc.stop()
        return max(0.0, min(after - before for before, after in pairwise(sizes)) / count)


def traced_bytes() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def an_event_loop(_: Bench, cache: Cache) -> None:
    asyncio.run(cache.aio.get("k"))


def a_thread(_: Bench, cache: Cache) -> None:
    thread = threading.Thread(target=cache.get, args=("k",))
    thread.start()
    thread.join()


def a_cache(bench: Bench, _: Cache) -> None:
    with Cache(bench.server.url) as cache:
        cache.get("k")


def a_decorated_closure(_: Bench, cache: Cache) -> None:
    value = object()

    def get_it(user_id: int) -> str:
        return f"{user_id} {value}"

    cache(name="closure", ttl=600)(get_it)(1)


PASSING: Final[dict[str, Callable[[Bench, Cache], None]]] = {
    "an event loop": an_event_loop,
    "a thread": a_thread,
    "a cache": a_cache,
    "a decorated closure": a_decorated_closure,
}
WARM_UPS: Final = 10
