"""Forks, exits, loops, and what is left of a cache that nobody holds any more."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import pytest

from dualcache import Cache, FrontTier
from tests.behaviour.seen import run_script
from tests.front.tiers import eventually, is_open, tier_of
from tests.patience import patient

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.servers import Server

START = """
import asyncio, gc, os, sys, threading, time, warnings
from dualcache import Cache, FrontTier
front = FrontTier(transport=sys.argv[2])
cache = Cache(sys.argv[1], front=front)
def keep(key):
    ends = time.monotonic() + 30
    while True:
        before = cache.stats().front.hits
        found = cache.get(key)
        if cache.stats().front.hits > before:
            return found
        assert time.monotonic() < ends
"""


def test_a_forked_child_begins_clean_and_leaves_its_parent_alone(
    redis_server: Server, transport: str
) -> None:
    source = (
        START
        + """
warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads, which is the point
cache.set("k", "old")
keep("k")
losses = cache.stats().front.losses
child = os.fork()
if child == 0:
    front = cache.stats().front
    assert (front.entries, front.is_open) == (0, False), front
    assert cache.get("k") == "old"
    keep("k")
    cache.set("k", "by the child")
    assert keep("k") == "by the child"
    cache.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
cache.fence()
assert cache.get("k") == "by the child"
assert keep("k") == "by the child"
assert cache.stats().front.losses == losses
print("fine")
"""
    )
    assert run_script(source, patient(redis_server.url), transport) == "fine\n"


def test_a_child_forked_from_a_running_loop_begins_clean(
    redis_server: Server, transport: str
) -> None:
    source = (
        START
        + """
warnings.simplefilter("ignore", DeprecationWarning)
async def keep_here(key):
    before = cache.stats().front.hits
    while cache.stats().front.hits == before:
        found = await cache.aio.get(key)
    return found
async def child():
    assert await cache.aio.get("k") == "old"
    assert await keep_here("k") == "old"
    await cache.aio.set("k", "by the child")
    await cache.aio.fence()
    assert await keep_here("k") == "by the child"
    await cache.aio.aclose()
async def parent():
    await cache.aio.set("k", "old")
    assert await keep_here("k") == "old"
    losses = cache.stats().front.losses
    pid = os.fork()
    if pid == 0:
        front = cache.stats().front
        assert (front.entries, front.is_open) == (0, False), front
        assert cache.get("k") == "old"
        worker = threading.Thread(target=asyncio.run, args=[child()])
        worker.start()
        worker.join()
        assert cache.get("k") == "by the child"
        os._exit(0)
    status = await asyncio.to_thread(os.waitpid, pid, 0)
    assert os.waitstatus_to_exitcode(status[1]) == 0
    await cache.aio.fence()
    assert await keep_here("k") == "by the child"
    assert cache.stats().front.losses == losses
asyncio.run(parent())
print("fine")
"""
    )
    assert run_script(source, patient(redis_server.url), transport) == "fine\n"


def test_children_forked_while_threads_and_loops_read_find_no_lock_taken(
    redis_server: Server, transport: str
) -> None:
    source = (
        START
        + """
import signal
warnings.simplefilter("ignore", DeprecationWarning)
stop, begun = threading.Event(), [threading.Event() for _ in range(4)]
@cache(key="n:{n}", tags=["t{n}"])
def load(n: int) -> list[int]:
    return [n]
def use():
    for n in range(20):
        assert load(n) == [n]
        load.invalidate(n)
    cache.fence()
async def use_here(key):
    await cache.aio.set(key, 2)
    assert await cache.aio.get(key) == 2
async def go_on(key, event):
    while not stop.is_set():
        await use_here(key)
        event.set()
def work(event):
    while not stop.is_set():
        use()
        event.set()
workers = [
    *(threading.Thread(target=work, args=[event]) for event in begun[:2]),
    threading.Thread(target=asyncio.run, args=[go_on("a", begun[2])]),
    threading.Thread(target=asyncio.run, args=[go_on("b", begun[3])]),
]
for worker in workers:
    worker.start()
for event in begun:
    event.wait(30)
for _ in range(8):
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # a lock that is taken would hold it for ever
        assert cache.stats().front.entries == 0
        use()
        asyncio.run(use_here("c"))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
stop.set()
for worker in workers:
    worker.join()
print("fine")
"""
    )
    assert run_script(source, patient(redis_server.url), transport) == "fine\n"


def test_a_child_forked_inside_of_override_begins_clean_at_home_too(
    redis_server: Server, transport: str
) -> None:
    source = (
        START
        + """
warnings.simplefilter("ignore", DeprecationWarning)
@cache(key="n:{n}")
def load(n: int) -> int:
    return n
cache.set("k", "old")
keep("k")
with cache.override("memory://"), cache._runtime._null_backend.flights._lock:
    child = os.fork()
if child == 0:
    front = cache.stats().front
    assert (front.entries, front.is_open) == (0, False), front
    with cache.disabled():
        assert load(1) == 1
        assert cache.get_or_load("k", lambda: "loaded") == "loaded"
    assert cache.get("k") == "old"
    cache.set("k", "by the child")
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
cache.fence()
assert keep("k") == "by the child"
assert cache.stats().front.losses == 0
print("fine")
"""
    )
    assert run_script(source, patient(redis_server.url), transport) == "fine\n"


def test_a_child_does_not_wait_for_the_lock_of_a_tier_before_memory() -> None:
    source = (
        START
        + """
import signal
warnings.simplefilter("ignore", DeprecationWarning)
cache.set("k", "old")
keep("k")
is_taken, is_over = threading.Event(), threading.Event()
def hold(lock):
    with lock:
        is_taken.set()
        is_over.wait(30)
holder = threading.Thread(target=hold, args=[cache._runtime.backend.front.lock])
holder.start()
is_taken.wait(30)
signal.alarm(30)
child = os.fork()
if child == 0:
    front = cache.stats().front
    assert (front.entries, front.is_open, front.transport) == (0, True, "local"), front
    cache.set("k", "by the child")
    assert keep("k") == "by the child"
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
is_over.set()
holder.join()
print("fine")
"""
    )
    assert run_script(source, "memory://", "auto") == "fine\n"


def test_a_child_ends_as_any_program_does(redis_server: Server, transport: str) -> None:
    source = (
        START
        + """
warnings.simplefilter("ignore", DeprecationWarning)
cache.set("k", "old")
keep("k")
child = os.fork()
if child == 0:
    keep("k")
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert keep("k") == "old"
assert cache.stats().front.losses == 0
print("fine")
"""
    )
    assert run_script(source, patient(redis_server.url), transport) == "fine\n"


@pytest.mark.parametrize("end", ["", "cache.close()", "del cache; gc.collect()", "sys.exit(0)"])
def test_an_interpreter_ends_at_once_and_says_nothing(
    redis_server: Server, transport: str, end: str
) -> None:
    source = (
        START
        + f"""
cache.set("k", 1)
keep("k")
print("fine", flush=True)
{end}
"""
    )
    assert run_script(source, patient(redis_server.url), transport) == "fine\n"


def test_an_interpreter_ends_while_daemon_threads_read(
    redis_server: Server, transport: str
) -> None:
    source = (
        START
        + """
reading = [threading.Event() for _ in range(4)]
@cache(key="n:{n}")
def load(n: int) -> list[int]:
    return [n]
def read(begun, number):
    while True:
        cache.set("k", number)
        cache.get("k")
        load(number)
        begun.set()
async def read_here(begun, number):
    while True:
        await cache.aio.set("k", number)
        await cache.aio.get("k")
        begun.set()
def run(begun, number):
    asyncio.run(read_here(begun, number))
for number, begun in enumerate(reading):
    threading.Thread(target=(read, run)[number % 2], args=[begun, number], daemon=True).start()
for begun in reading:
    begun.wait(30)
print("fine", flush=True)
"""
    )
    assert run_script(source, patient(redis_server.url), transport) == "fine\n"


def test_an_interpreter_ends_while_the_server_is_away(own_server: Server) -> None:
    source = (
        START
        + """
import logging
logging.getLogger("dualcache").addHandler(logging.NullHandler())
assert cache.get("k") is None
print("fine")
"""
    )
    url = own_server.url
    own_server.kill()
    assert run_script(source, url, "auto") == "fine\n"


def test_pushes_are_heard_without_hiredis_too(redis_server: Server, transport: str) -> None:
    source = (
        "import sys; sys.modules['hiredis'] = None\n"
        + START
        + """
from redis.connection import DefaultParser
assert "Hiredis" not in DefaultParser.__name__
other = Cache(sys.argv[1])
for turn in range(5):
    cache.set("k", "old", tags=["t"])
    assert keep("k") == "old"
    other.invalidate(tags=["t"])
    cache.fence()
    assert cache.get("k") is None
assert cache.stats().front.transport == sys.argv[2]
print("fine")
"""
    )
    assert run_script(source, patient(redis_server.url), transport) == "fine\n"


def test_an_interpreter_ends_while_the_server_stands_still(
    own_server: Server, transport: str
) -> None:
    source = (
        START
        + """
import signal
cache.set("k", 1)
keep("k")
print("fine", flush=True)
os.kill(int(sys.argv[3]), signal.SIGSTOP)
"""
    )
    try:
        assert run_script(source, own_server.url, transport, own_server.pid) == "fine\n"
    finally:
        own_server.resume()


def test_several_loops_one_after_another_share_the_tier(
    redis_server: Server, transport: str
) -> None:
    source = (
        START
        + """
async def use(n):
    await cache.aio.set("k", n)
    for _ in range(200):
        assert await cache.aio.get("k") == n
    await cache.aio.fence()
for n in range(5):
    asyncio.run(use(n))
    assert cache.get("k") == n
print("fine")
"""
    )
    assert run_script(source, patient(redis_server.url), transport) == "fine\n"


def test_loops_in_threads_share_the_tier(redis_server: Server, transport: Any) -> None:
    cache = Cache(redis_server.url, front=FrontTier(transport=transport))
    wrong: list[object] = []

    async def use(n: int) -> None:
        for version in range(40):
            await cache.aio.set(f"k{n}", version)
            found = [await cache.aio.get(f"k{n}") for _ in range(3)]
            wrong.extend(each for each in found if each != version)

    def serve(n: int) -> None:
        async def whole() -> None:
            try:
                await use(n)
            finally:
                await cache._runtime.backend._server._by_loop.aclose()  # type: ignore[union-attr]

        asyncio.run(whole())

    workers = [threading.Thread(target=serve, args=[n]) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    cache.close()
    assert wrong == []


def listeners() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "dualcache-listener"]


def test_a_cache_that_nobody_holds_ends_its_listener(redis_server: Server, transport: Any) -> None:
    before = len(listeners())
    cache: Cache | None = Cache(redis_server.url, front=FrontTier(transport=transport))
    assert cache is not None
    cache.get("k")
    eventually(lambda: cache is not None and is_open(cache))
    assert len(listeners()) == before + 1
    cache._runtime.backend.close()
    cache.get("k")
    cache = None
    gc.collect()
    eventually(lambda: len(listeners()) == before, "the end of the thread")


def test_many_caches_on_one_server_hear_each_other(
    threads: Colour, redis_server: Server, transport: Any
) -> None:
    caches = [
        threads.cache(redis_server.url, front=FrontTier(transport=transport)) for _ in range(12)
    ]
    for each in caches:
        each.get("k")
    eventually(lambda: all(map(is_open, caches)))
    for version in range(5):
        caches[version].set("k", version)
        for each in caches:
            each.fence()
            assert each.get("k") == version
            assert each.get("k") == version


def test_a_function_gets_its_part_under_the_lock_of_the_pushes(redis_server: Server) -> None:
    cache = Cache(redis_server.url, front=10)
    front = tier_of(cache)
    held: list[bool] = []

    class Watched(WeakSet[Any]):
        def add(self, item: Any) -> None:
            held.append(front.lock._is_owned())  # type: ignore[attr-defined]  # of RLock
            super().add(item)

    front._stores = Watched(front._stores)
    cache(key="n:{n}", front=FrontTier(max_entries=2))(lambda n: n)
    assert held[-1]


def test_nothing_is_connected_before_the_first_call(redis_server: Server) -> None:
    before = len(listeners())
    cache = Cache(redis_server.url, front=10)

    @cache(key="n:{n}")
    def load(n: int) -> int:
        return n

    assert len(listeners()) == before
    assert load.cache_info() == (0, 0, 10, 0)
