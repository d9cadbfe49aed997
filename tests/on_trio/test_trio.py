"""What is particular to trio; all else is covered by `pytest --on-trio tests/behaviour`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from dualcache import BackendTimeout, Cache, Miss, MissingClientError, UsageError
from dualcache.core.ops import Delete, Ping
from tests.behaviour.seen import Seen
from tests.bodies import WAIT_SECONDS, until_done
from tests.docs.pages import ROOT
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Server

trio = pytest.importorskip("trio")
pytest.importorskip("trio.testing")

from dualcache.backends.redis import trio_threads  # noqa: E402
from dualcache.backends.redis.trio_threads import TrioThreads  # noqa: E402


def made(url: str, **options: Any) -> Cache:
    return Cache(patient(url), ttl=60, **options)


@pytest.mark.parametrize("run", [trio.run, lambda main: anyio.run(main, backend="trio")])
def test_three_runs_in_a_row_share_what_is_stored(
    backend_url: str, run: Callable[[Any], Any]
) -> None:
    cache = made(backend_url)
    loads: list[int] = []

    @cache(key="price:{item}", tags=["prices"])
    async def price(item: int) -> int:
        loads.append(item)
        await anyio.lowlevel.checkpoint()
        return item * 2

    async def main() -> None:
        assert await price(1) == 2
        assert await cache.aio.get("price:1", type=int) == 2

    async def changed() -> None:
        assert (await cache.aio.invalidate(tags=["prices"])).pending == 0
        assert await price(1) == 2
        await cache.aclose()

    run(main)
    run(main)
    assert loads == [1]
    run(changed)
    assert loads == [1, 1]


def test_tasks_of_trio_and_asyncio_and_threads_share_one_load(backend_url: str) -> None:
    cache = made(backend_url)
    loads: list[str] = []
    entered, opened = threading.Event(), Future[None]()
    seen = Seen(cache)

    async def load() -> str:
        loads.append("async")
        entered.set()
        await until_done(opened)
        return "loaded"

    def load_in_thread() -> str:
        loads.append("sync")
        return "loaded"

    results: list[str] = []

    async def call() -> None:
        results.append(await cache.aio.get_or_load("k", load))

    async def many() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(call)

    async def all_closed() -> None:
        await many()
        await cache.aclose()

    def in_thread() -> None:
        entered.wait(WAIT_SECONDS)
        results.append(cache.get_or_load("k", load_in_thread))

    threads = [
        threading.Thread(target=trio.run, args=[all_closed]),
        threading.Thread(target=lambda: asyncio.run(many())),
        *[threading.Thread(target=in_thread) for _ in range(5)],
    ]
    for thread in threads:
        thread.start()
    seen.wait_for(Miss, 45)
    opened.set_result(None)
    for thread in threads:
        thread.join(WAIT_SECONDS)
    cache.close()
    assert results == ["loaded"] * 45
    assert loads == ["async"]


def test_a_leader_whose_scope_is_cancelled_hands_over(backend_url: str) -> None:
    cache = made(backend_url)
    loads: list[str] = []
    results: list[str] = []

    async def main() -> None:
        entered, opened = trio.Event(), trio.Event()

        @cache(key="k")
        async def load() -> str:
            loads.append(trio.lowlevel.current_task().name)
            entered.set()
            await opened.wait()
            return "loaded"

        async def lead(scope: Any) -> None:
            with scope:
                await load()

        async def follow() -> None:
            results.append(await load())

        scope = trio.CancelScope()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lead, scope, name="leader")
            await entered.wait()
            for _ in range(5):
                nursery.start_soon(follow, name="follower")
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            opened.set()
        assert await load() == "loaded"
        await cache.aclose()

    trio.run(main)
    assert results == ["loaded"] * 5
    assert loads == ["leader", "follower"]


def test_a_call_cancelled_while_the_server_stands_still_returns_soon(own_server: Server) -> None:
    cache = made(own_server.url, socket_timeout=5)

    @cache(key="k", tags=["t"])
    async def load() -> int:
        return 1

    async def main() -> None:
        calls: list[Callable[[], Any]] = [
            load,
            lambda: cache.aio.get("k"),
            lambda: cache.aio.set("k", 2),
            lambda: cache.aio.invalidate(tags=["t"]),
        ]
        await load()
        for call in calls:
            own_server.pause()
            try:
                began = trio.current_time()
                with trio.move_on_after(0.01) as scope:
                    await call()
                assert scope.cancelled_caught
                assert trio.current_time() - began < 3
            finally:
                own_server.resume()
            assert await load() in {1, 2}
            assert len(cache._runtime.backend.flights) == 0
        await cache.aclose()

    trio.run(main)


def test_a_load_in_the_background_outlives_the_scope_of_its_caller(backend_url: str) -> None:
    now = [1000.0]
    cache = made(backend_url, clock=lambda: now[0])
    versions = iter(range(10))
    finished: list[int] = []

    async def main() -> None:
        opened = trio.Event()

        @cache(key="k", ttl=10, stale_while_revalidate=100, jitter=0)
        async def load() -> int:
            version = next(versions)
            if version:
                await opened.wait()
            finished.append(version)
            return version

        assert await load() == 0
        now[0] += 20
        with trio.CancelScope() as scope:
            async with trio.open_nursery():
                assert await load() == 0  # stale: the next version is being loaded
                scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        opened.set()
        await cache.aclose()  # waits for it
        assert finished == [0, 1]

    trio.run(main)


def test_the_end_of_a_run_ends_its_loads_and_gives_their_leases_back(redis_server: Server) -> None:
    cache = made(redis_server.url)

    @cache(key="k", ttl=10, jitter=0, hard_timeout=0.01)
    async def endless() -> int:
        await trio.sleep_forever()
        return 1

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await endless()
        assert redis_server.cli("EXISTS", "k") == 1

    trio.run(main)
    assert redis_server.cli("PTTL", "k") <= 100  # given back by a marker that ends at once
    assert len(cache._runtime.backend.flights) == 0
    cache.close()


def test_many_more_tasks_than_connections_and_threads_of_trio_all_get_their_answer(
    redis_server: Server,
) -> None:
    cache = made(redis_server.url, max_connections=3)
    results: list[Any] = []

    async def main() -> None:
        limiter = trio.to_thread.current_default_thread_limiter()
        for borrower in range(int(limiter.total_tokens)):  # the program uses up all of trio's
            limiter.acquire_on_behalf_of_nowait(borrower)

        async def call(number: int) -> None:
            await cache.aio.set(f"k:{number}", number)
            results.append(await cache.aio.get(f"k:{number}"))

        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(call, number)
        await cache.aclose()

    trio.run(main)
    assert sorted(results) == list(range(200))


def test_a_caller_that_gets_no_thread_in_time_is_told_of_the_connections() -> None:
    opened = threading.Event()
    threads = TrioThreads(lambda op: opened.wait(WAIT_SECONDS) and op, 1, 0.01)
    replies: list[Any] = []

    async def ask() -> None:
        replies.append(await threads.perform(Ping()))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(BackendTimeout, match="DC208"):
                await threads.perform(Ping())
            opened.set()
        await ask()

    trio.run(main)
    assert replies == [Ping(), Ping()]


def test_a_deletion_needs_no_thread_that_reads_have_taken() -> None:
    opened = threading.Event()
    log: list[str] = []

    def perform(op: Any) -> None:
        if isinstance(op, Ping):
            opened.wait(WAIT_SECONDS)
        log.append(type(op).__name__)

    threads = TrioThreads(perform, 1, 5)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(threads.perform, Ping())
            nursery.start_soon(threads.perform, Ping())
            await trio.testing.wait_all_tasks_blocked()
            await threads.perform(Delete(("k",)))
            opened.set()

    trio.run(main)
    assert log == ["Delete", "Ping", "Ping"]


def test_what_is_sent_after_a_cancelled_op_does_not_overtake_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trio_threads, "SETTLE_SECONDS", WAIT_SECONDS)
    opened = threading.Event()
    log: list[str] = []

    def perform(op: Any) -> None:
        opened.wait(WAIT_SECONDS)
        log.append("performed")

    threads = TrioThreads(perform, 2, 5)

    async def main() -> None:
        scope = trio.CancelScope()

        async def call() -> None:
            with scope:
                await threads.perform(Ping())
            log.append("cancelled")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            opened.set()

    trio.run(main)
    assert log == ["performed", "cancelled"]


@pytest.mark.parametrize("kind", ["nested", "guest"])
def test_trio_above_a_loop_of_asyncio_is_trio(backend_url: str, kind: str) -> None:
    """As in a notebook, whose loop is asyncio's, and in guest mode."""
    cache = made(backend_url)

    @cache(key="k:{n}")
    async def load(n: int) -> int:
        await anyio.lowlevel.checkpoint()
        return n

    async def main() -> int:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(load, 1)
        return await load(2)

    async def beneath() -> None:
        assert await load(3) == 3
        if kind == "nested":
            assert trio.run(main) == 2
        else:
            ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            trio.lowlevel.start_guest_run(
                main,
                run_sync_soon_threadsafe=asyncio.get_running_loop().call_soon_threadsafe,
                done_callback=ended.set_result,
            )
            assert (await ended).unwrap() == 2
        assert await load(1) == 1
        await cache.aclose()

    asyncio.run(beneath())


def test_a_load_that_asks_for_itself_does_not_wait_for_itself(backend_url: str) -> None:
    cache = made(backend_url)

    @cache(key="fib:{n}")
    async def fibonacci(n: int) -> int:
        if n < 2:
            return n
        values: list[int] = []

        async def add(of: int) -> None:
            values.append(await fibonacci(of))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(add, n - 1)
            nursery.start_soon(add, n - 2)
        return sum(values)

    @cache(key="self")
    async def asks_for_itself() -> int:
        return 1 + await cache.aio.get_or_load("self", lambda: 5)

    async def main() -> None:
        with trio.fail_after(WAIT_SECONDS):
            assert await fibonacci(12) == 144
            assert await asks_for_itself() == 6
        await cache.aclose()

    trio.run(main)


def test_the_lifespan_opens_and_closes_a_cache(backend_url: str) -> None:
    cache = made(backend_url)

    async def main() -> None:
        async with cache.lifespan(None):
            assert await cache.aio.set("k", 1)
            assert await cache.aio.get("k") == 1

    trio.run(main)


def test_the_async_client_is_refused_with_the_way_out(redis_server: Server) -> None:
    cache = made(redis_server.url)

    async def main() -> None:
        with pytest.raises(MissingClientError, match="DC481"):
            _ = cache.aio.client
        assert await trio.to_thread.run_sync(cache.client.ping)
        await cache.aclose()

    trio.run(main)


def test_where_no_known_loop_runs_an_error_says_so(backend_url: str) -> None:
    cache = made(backend_url)

    async def load() -> int:
        return 1

    if "redis" in backend_url:
        trio.run(cache.aio.ping)  # so that nothing is left to import
    with pytest.raises(UsageError, match="DC480"):
        cache.aio.get_or_load("k", load).send(None)
    cache.close()


def test_a_child_forked_from_a_process_that_ran_trio_runs_trio_too(redis_server: Server) -> None:
    program = f"""
import os, trio
from dualcache import Cache
cache = Cache({patient(redis_server.url)!r}, ttl=60)
async def main():
    await cache.aio.set(f"k:{{os.getpid()}}", 1)
    assert await cache.aio.get(f"k:{{os.getpid()}}") == 1
trio.run(main)
child = os.fork()
trio.run(main)
if child:
    assert os.waitpid(child, 0)[1] == 0
    cache.close()
"""
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", program]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
