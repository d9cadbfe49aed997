from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache
from tests.behaviour.seen import ROOT, run_script, wait_until_only_us
from tests.behaviour.test_invalidation import WAYS
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.colours import Colour
    from tests.servers import Server


class Worker:
    """A process of `tests/behaviour/worker.py`."""

    def __init__(self, url: str, colour: str, callers: int, **options: Any) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-W", "error", "-m", "tests.behaviour.worker"),
                *(url, colour, str(callers), json.dumps(options)),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines = self.process.stdout
        self.requests = self.process.stdin

    def wait_until_ready(self) -> None:
        assert self.lines is not None
        assert self.lines.readline() == "ready\n"

    def ask(self, n: int) -> None:
        assert self.requests is not None
        self.requests.write(f"{n}\n")
        self.requests.flush()

    def answer(self) -> list[str]:
        assert self.lines is not None
        return self.lines.readline().split()

    def end(self) -> None:
        try:
            self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


@contextlib.contextmanager
def workers(url: str, colours: list[str], callers: int, **options: Any) -> Generator[list[Worker]]:
    made = [Worker(url, colour, callers, **options) for colour in colours]
    try:
        for each in made:
            each.wait_until_ready()
        yield made
    finally:
        for each in made:
            each.end()
        assert [each.process.returncode for each in made] == [0] * len(made)


def test_eight_processes_with_four_callers_each_load_a_cold_key_once(redis_server: Server) -> None:
    with workers(redis_server.url, ["sync", "async"] * 4, 4) as made:
        for n in range(5):
            redis_server.cli("SET", f"source:{n}", f"value-{n}")
            for each in made:
                each.ask(n)
            redis_server.cli("BLPOP", f"started:{n}", 20)
            redis_server.cli("RPUSH", f"gate:{n}", 1)
            assert [each.answer() for each in made] == [[f"value-{n}"] * 4] * 8
            assert redis_server.cli("GET", f"loads:{n}") == b"1"
            for each in made:
                each.wait_until_ready()


def test_an_invalidation_here_revokes_a_load_in_another_process(
    colour: Colour, any_server: Server
) -> None:
    cache = colour.cache(any_server.url, namespace="shop")
    client = any_server.client()

    def body(n: int) -> str:
        value: Any = client.get(f"source:{n}")
        return str(value.decode())

    load = cache(key="user:{n}", tags=["users", "user:{n}"])(colour.function(body))
    other = "async" if colour.name == "sync" else "sync"
    with workers(any_server.url, [other], 1) as (worker,):
        for revoke in WAYS:
            any_server.cli("SET", "source:1", "old")
            worker.ask(1)
            any_server.cli("BLPOP", "started:1", 20)
            any_server.cli("SET", "source:1", "new")
            revoke(colour, cache, load)
            any_server.cli("RPUSH", "gate:1", 1)
            assert worker.answer() == ["old"]
            assert colour.run(load, 1) == "new", revoke.__name__
            assert colour.call(cache, "clear").pending == 0
            worker.wait_until_ready()


@pytest.mark.parametrize("other", ["sync", "async"])
def test_a_value_stored_by_one_process_is_a_hit_in_another(
    redis_server: Server, other: str
) -> None:
    with (
        workers(redis_server.url, [other], 2) as (worker,),
        Cache(patient(redis_server.url), namespace="shop") as cache,
    ):
        cache.set("user:5", "stored", tags=["users", "user:5"])
        worker.ask(5)
        assert worker.answer() == ["stored"] * 2
        assert redis_server.cli("EXISTS", "loads:5") == 0
        worker.wait_until_ready()


def test_a_holder_that_is_killed_delays_others_and_no_more(
    colour: Colour, redis_server: Server
) -> None:
    redis_server.cli("SET", "source:1", "old")
    dying = Worker(redis_server.url, "sync", 1)
    dying.wait_until_ready()
    cache = colour.cache(redis_server.url, namespace="shop")
    load = cache(key="user:{n}")(colour.function(lambda n: f"own {n}"))
    assert colour.run(load, 0) == "own 0"  # a load is measured now: waiters wait one second
    dying.ask(1)
    redis_server.cli("BLPOP", "started:1", 20)
    os.kill(dying.process.pid, signal.SIGKILL)
    dying.process.communicate()
    assert colour.run(load, 1) == "own 1"


# Loops, forks and the end of the interpreter

THREE_RUNS = """
import asyncio, gc, sys
from dualcache import Cache

cache = Cache(sys.argv[1], namespace="n")

@cache(key="k:{n}")
async def load(n):
    await asyncio.sleep(0)
    return [n]

async def main(n):
    assert await load(n) == [n]
    assert await load(n) == [n]
    assert await asyncio.gather(*[load(n + i) for i in range(50)]) == [[n + i] for i in range(50)]
    assert (await cache.aio.invalidate(f"k:{n}")).pending == 0
    if sys.argv[2] == "closed":
        await cache.aio.aclose()
    if sys.argv[2] == "with":
        async with cache.aio:
            assert await load(n) == [n]

for n in range(3):
    asyncio.run(main(n))
    gc.collect()
print("done")
"""


@pytest.mark.parametrize("ending", ["closed", "with", "left open"])
def test_three_runs_of_asyncio_in_a_row_work_and_leak_nothing(
    backend_url: str, ending: str
) -> None:
    assert run_script(THREE_RUNS, patient(backend_url), ending) == "done\n"


LOOPS_IN_THREADS = """
import asyncio, sys
from concurrent.futures import ThreadPoolExecutor
from dualcache import Cache

cache = Cache(sys.argv[1], namespace="n")
loads = []

@cache(key="k:{n}")
async def load(n):
    loads.append(n)
    await asyncio.sleep(0)
    return [n]

@cache(key="k:{n}")
def load_here(n):
    loads.append(n)
    return [n]

async def main():
    for n in range(30):
        assert await load(n) == [n]
        assert load_here(n) == [n]
        assert await asyncio.gather(*[load(n) for _ in range(5)]) == [[n]] * 5
    await cache.aio.aclose() if sys.argv[1] != "memory://" else None

with ThreadPoolExecutor(4) as pool:
    for each in [pool.submit(asyncio.run, main()) for _ in range(4)]:
        each.result()
assert sorted(loads) == list(range(30)), sorted(loads)
cache.close()
print("done")
"""


def test_one_loop_in_each_of_four_threads_works_and_shares_flights(backend_url: str) -> None:
    assert run_script(LOOPS_IN_THREADS, patient(backend_url)) == "done\n"


FORK = """
import asyncio, os, sys
from dualcache import Cache

cache = Cache(sys.argv[1], namespace="n")

@cache(key="k:{n}", tags=["t"])
async def load(n):
    return os.getpid()

@cache(key="here:{n}", tags=["t"])
def load_here(n):
    return os.getpid()

async def both(n):
    return load_here(n), await load(n)

async def main(base):
    for n in range(base, base + 20):
        assert await both(n) == await both(n) == (os.getpid(),) * 2
    if sys.argv[1] != "memory://":
        assert cache.client.ping()
        assert await cache.aio.client.ping()
        await cache.aio.aclose()

loop = asyncio.new_event_loop()
(loop.run_until_complete if len(sys.argv) > 2 else asyncio.run)(both(0))
cache.ping()
child = os.fork()
if child == 0:
    asyncio.run(main(1000))
    cache.invalidate("k:0")
    cache.close()
    if len(sys.argv) > 2:
        os._exit(0)
    loop.close()
else:
    loop.run_until_complete(main(2000))
    loop.close()
    asyncio.run(main(3000))
    assert os.waitpid(child, 0)[1] == 0
    cache.close()
    print("done")
"""


@pytest.mark.parametrize("ending", [[], ["_exit"]])
def test_parent_and_child_go_on_after_a_fork(backend_url: str, ending: list[str]) -> None:
    assert run_script(FORK, patient(backend_url), *ending) == "done\n"


FORK_WHILE_LOADING = """
import os, sys, threading
from dualcache import Cache

cache = Cache(sys.argv[1], namespace="n")
started, gate = threading.Event(), threading.Event()

@cache(key="k")
def load():
    if threading.current_thread() is not threading.main_thread():
        started.set()
        gate.wait()
    return "value"

@cache(key="other")
def other():
    return "other"

thread = threading.Thread(target=load)
thread.start()
started.wait()
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    child = os.fork()
if child == 0:
    assert other() == "other"
    assert len(cache._runtime.backend.flights) == 0
    if sys.argv[1] == "memory://":  # the parent's load ends in the parent's memory
        events = []
        cache.on_event(events.append)
        assert load() == "value"
        assert [type(event).__name__ for event in events] == ["Miss", "Loaded"]
        assert events[1].outcome == "stored"
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
gate.set()
thread.join()
assert load() == "value"
cache.close()
print("done")
"""


def test_a_child_forked_during_a_load_has_no_flights_of_its_parent(backend_url: str) -> None:
    assert run_script(FORK_WHILE_LOADING, patient(backend_url)) == "done\n"


EXIT = """
import asyncio, sys, threading
from dualcache import Cache

cache = Cache(sys.argv[1], namespace="n")

@cache(key="k:{n}")
async def load(n):
    return n

@cache(key="here:{n}")
def load_here(n):
    return n

load_here(1)
threading.Thread(target=load_here, args=[2], daemon=True).start()
if sys.argv[2] == "run":
    asyncio.run(load(1))
if sys.argv[2] == "killed":
    async def main():
        await load(1)
        sys.exit(0)
    asyncio.run(main())
if sys.argv[2] == "executor":
    async def main():
        await asyncio.gather(load(1), asyncio.to_thread(load_here, 3))
    asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["run", "killed", "executor", "sync alone"])
def test_the_interpreter_ends_without_a_message(backend_url: str, how: str) -> None:
    assert run_script(EXIT, patient(backend_url), how) == ""


def test_a_process_leaves_no_connection_open_after_close(own_server: Server) -> None:
    wait_until_only_us(own_server)
    with Cache(patient(own_server.url)) as cache:
        cache.set("k", 1)
        cache.client.ping()
        assert len(own_server.cli("CLIENT", "LIST").splitlines()) == 3
    wait_until_only_us(own_server)
