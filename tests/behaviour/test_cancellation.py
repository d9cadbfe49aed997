from __future__ import annotations

import asyncio
import gc
import sys
from functools import partial
from types import coroutine
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import pytest

from dualcache.backends.redis.sync_connections import BoundedPlain
from dualcache.drivers import async_driver, sync_driver
from tests.bodies import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterator

    from tests.bodies import Gate
    from tests.colours import AsyncColour, SyncColour
    from tests.proxy import Proxy
    from tests.servers import Server

MOST_STEPS = 40


@pytest.fixture
def whole_clean_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a caller that is interrupted wait until all is given back, on a busy machine, too."""
    for driver in (sync_driver, async_driver):
        monkeypatch.setattr(driver, "CLEAN_UP_SECONDS", WAIT_SECONDS)
    if "trio" in sys.modules:
        monkeypatch.setattr("dualcache.backends.redis.trio_threads.SETTLE_SECONDS", WAIT_SECONDS)


@coroutine
def cancelled_at(
    step: int, inner: Coroutine[Any, Any, Any], cancel: Callable[[], object]
) -> Generator[Any, Any, Any]:
    """Await `inner`; call `cancel`, which cancels this task, at its `step`-th suspension."""
    try:
        awaited = inner.send(None)
        while True:
            step -= 1
            if step == 0:
                cancel()
            try:
                reply = yield awaited
            except BaseException as error:  # noqa: BLE001  handed on to the inner one
                awaited = inner.throw(error)
            else:
                awaited = inner.send(reply)
    except StopIteration as end:
        return end.value


async def attempt(call: Callable[..., Any], step: int, *args: Any) -> bool:
    """Make a call in a task of its own, cancelled at that step; return whether it was."""

    if asyncio._get_running_loop() is None:
        with anyio.CancelScope() as scope:
            await cancelled_at(step, call(*args), scope.cancel)
        return scope.cancelled_caught

    async def cancelled() -> bool:
        task = asyncio.current_task()
        assert task is not None
        try:
            await cancelled_at(step, call(*args), task.cancel)
        except asyncio.CancelledError:
            return True
        return False

    return await asyncio.create_task(cancelled())


def each_step(tasks: AsyncColour, call: Callable[[], Any]) -> Iterator[int]:
    """Cancel a call at its first suspension, the next at its second, until one ends by itself."""
    for step in range(1, MOST_STEPS):
        was_cancelled = tasks.run(attempt, call, step)
        yield step
        if not was_cancelled:
            return
    raise AssertionError(f"the call still suspends after {MOST_STEPS} steps")


@pytest.mark.usefixtures("whole_clean_up")
def test_a_load_cancelled_at_any_step_leaves_nothing_behind(
    tasks: AsyncColour, redis_server: Server, proxy: Proxy
) -> None:
    cache = tasks.cache(proxy.url, socket_timeout=5)
    values: dict[str, int] = {}

    @cache(key="k", tags=["t"])
    async def load() -> dict[str, int]:
        await anyio.lowlevel.checkpoint()
        return dict(values)

    tasks.call(cache, "set", "other", "its own value")
    steps = 0
    for step in each_step(tasks, load):
        steps = step
        assert tasks.call(cache, "get", "other") == "its own value"
        assert len(cache._runtime.backend.flights) == 0
        assert tasks.run(load) == values
        assert tasks.call(cache, "get", "k") == values
        values = {"step": step}
        assert tasks.call(cache, "invalidate", "k").pending == 0
    assert steps >= 4
    assert proxy.accepted == 1


@pytest.mark.usefixtures("whole_clean_up")
@pytest.mark.parametrize("names", [{"keys": ["k"]}, {"tags": ["t"]}, {"patterns": ["k*"]}])
def test_an_invalidation_cancelled_at_any_step_holds_nevertheless(
    tasks: AsyncColour, redis_server: Server, proxy: Proxy, names: dict[str, list[str]]
) -> None:
    cache = tasks.cache(proxy.url, socket_timeout=5)
    keys = names.get("keys", [])
    others = {name: value for name, value in names.items() if name != "keys"}
    tasks.call(cache, "ping")
    for _ in each_step(tasks, lambda: cache.aio.invalidate(*keys, **others)):
        # Whether it was delivered, or owed and replayed: no read may see what it deleted.
        assert tasks.call(cache, "get", "k", "none") == "none"
        assert tasks.call(cache, "set", "k", 1, tags=["t"]) is True
        assert tasks.call(cache, "get", "k") == 1
    assert proxy.accepted == 1


@pytest.mark.usefixtures("whole_clean_up")
def test_a_set_cancelled_at_any_step_is_there_or_nothing_is(
    tasks: AsyncColour, redis_server: Server, proxy: Proxy
) -> None:
    cache = tasks.cache(proxy.url, socket_timeout=5)
    tasks.call(cache, "set", "k", "old")
    for _ in each_step(tasks, lambda: cache.aio.set("k", "new")):
        assert tasks.call(cache, "get", "k", "none") in {"none", "new"}
        assert tasks.call(cache, "set", "k", "old") is True
        assert tasks.call(cache, "get", "k") == "old"
    assert proxy.accepted == 1


def test_a_first_call_cancelled_while_it_connects_leaves_a_whole_connection(
    tasks: AsyncColour, redis_server: Server
) -> None:
    redis_server.cli("SET", "k", "of db 0")
    url = f"redis://127.0.0.1:{redis_server.port}/3"
    for step in range(1, 4):
        cache = tasks.cache(url, namespace=f"n{step}")
        tasks.run(attempt, cache.aio.get, step, "k")
        assert tasks.call(cache, "get", "k", "none") == "none"
        assert tasks.call(cache, "set", "k", step) is True
        assert tasks.call(cache, "get", "k") == step
    assert redis_server.cli("KEYS", "*") == [b"k"]


@pytest.mark.of_asyncio
@pytest.mark.parametrize("way", ["cancel", "wait_for", "timeout"])
@pytest.mark.parametrize("name", ["get", "function", "many", "set", "invalidate"])
def test_a_call_cancelled_while_the_server_stands_still_raises(
    tasks: AsyncColour, own_server: Server, name: str, way: str
) -> None:
    cache = tasks.cache(own_server.url, socket_timeout=30)

    async def many(names: list[str]) -> dict[str, int]:
        return dict.fromkeys(names, 1)

    @cache(key="k")
    async def load() -> int:
        return 1

    calls: dict[str, Callable[[], Any]] = {
        "get": lambda: cache.aio.get("k"),
        "function": load,
        "many": lambda: cache.aio.get_or_load_many(["a", "b"], many),
        "set": lambda: cache.aio.set("k", 2),
        "invalidate": lambda: cache.aio.invalidate("k"),
    }

    async def stopped() -> Any:
        if way == "wait_for":
            return await asyncio.wait_for(calls[name](), 0.01)
        if way == "timeout":
            async with asyncio.timeout(0.01):
                return await calls[name]()
        task = asyncio.create_task(calls[name]())
        await asyncio.sleep(0)  # it has asked the server by now
        task.cancel()
        return await task

    async def stopping() -> None:
        with pytest.raises(asyncio.CancelledError if way == "cancel" else TimeoutError):
            await stopped()

    tasks.call(cache, "ping")
    own_server.pause()
    try:
        tasks.run(stopping)
    finally:
        own_server.resume()
    tasks.run(calls[name])  # waits for what is still being given back
    tasks.run(load)
    assert len(cache._runtime.backend.flights) == 0
    assert tasks.call(cache, "get", "k") in {1, 2}  # no lease is left: what was loaded is stored


def test_followers_cancelled_at_any_step_leave_the_flight_whole(
    tasks: AsyncColour, backend_url: str
) -> None:
    cache = tasks.cache(backend_url)
    gates: list[Gate] = []

    @cache(key="k:{step}")
    async def load(step: int) -> int:
        await gates[-1].passed()
        return 3

    for step in range(1, 6):
        gates.append(tasks.gate())
        leader = tasks.start(partial(load, step))
        gates[-1].wait_until_entered()
        follower = tasks.start(partial(attempt, load, step, step))
        gates[-1].open()
        assert leader.result() == 3
        assert follower.result() in {True, False}
        assert len(cache._runtime.backend.flights) == 0


class Interrupts:
    """Raises `kind` at the step that `countdown` names: before a read, or after a write."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind
        self.countdown = 0

    def around(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self.countdown -= 1
            if self.countdown == 0 and method.__name__ == "recv":
                raise self.kind
            result = method(*args)
            if self.countdown == 0:
                raise self.kind
            return result

        return call


@pytest.mark.usefixtures("whole_clean_up")
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_at_any_read_or_write_leaves_no_dirty_connection(
    threads: SyncColour,
    redis_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[BaseException],
) -> None:
    cache = threads.cache(redis_server.url)
    interrupts = Interrupts(kind)
    connect = BoundedPlain._connect

    def connected(self: BoundedPlain) -> Any:
        made = connect(self)
        made.receive_first = interrupts.around(made.receive_first)
        made.send_small = interrupts.around(made.send_small)
        return made

    monkeypatch.setattr(BoundedPlain, "_connect", connected)

    @cache(key="k", tags=["t"])
    def load() -> str:
        return "value"

    cache.set("other", "its own value")
    interrupted = 0
    for step in range(1, MOST_STEPS):
        interrupts.countdown = step
        try:
            load()
            break
        except kind:
            interrupted += 1
        finally:
            interrupts.countdown = 0
        assert cache.get("other") == "its own value"
        assert len(cache._runtime.backend.flights) == 0
        assert load() == "value"
        assert cache.get("k") == "value"
        cache.invalidate("k")
    assert interrupted >= 6


def test_a_connection_that_ends_while_a_large_write_is_held_up_says_nothing(
    tasks: AsyncColour, redis_server: Server, proxy: Proxy
) -> None:
    for _ in range(5):
        cache = tasks.cache(proxy.url, socket_timeout=0.1)
        tasks.call(cache, "ping")
        proxy.black_hole()
        large = "x" * 20_000_000
        calls = [tasks.start(partial(cache.aio.set, f"k:{n}", large)) for n in range(3)]
        assert [call.result() for call in calls] == [False] * 3
        proxy.reset()
        proxy.heal()
    gc.collect()
