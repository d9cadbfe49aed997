"""A function whose writing ends later than its call: the awaitable that it returns decides."""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, Invalidated, UsageError
from tests.behaviour.seen import Seen
from tests.bodies import WAIT_SECONDS
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tests.colours import AsyncColour


pytestmark = pytest.mark.of_asyncio


class Lazy:
    """Runs when it is awaited, as the queries of some ORMs do."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work

    def __await__(self) -> Generator[Any, None, Any]:
        return (yield from self.work().__await__())


def passed_on(write: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(write)
    def outer(*args: Any, **kwargs: Any) -> Any:
        return write(*args, **kwargs)

    return outer


def as_task(write: Callable[..., Any]) -> Callable[..., Any]:
    def outer(n: int) -> asyncio.Task[Any]:
        return asyncio.create_task(write(n))

    return outer


def as_future(write: Callable[..., Any]) -> Callable[..., Any]:
    def outer(n: int) -> Any:
        return asyncio.gather(write(n), asyncio.sleep(0))

    return outer


def as_query(write: Callable[..., Any]) -> Callable[..., Any]:
    def outer(n: int) -> Any:
        return Lazy(lambda: write(n))

    return outer


def as_task_of_a_coroutine(write: Callable[..., Any]) -> Callable[..., Any]:
    async def outer(n: int) -> Any:
        return asyncio.create_task(write(n))

    return outer


def without_wraps(write: Callable[..., Any]) -> Callable[..., Any]:
    def outer(n: int) -> Any:
        return write(n)

    return outer


KINDS = [passed_on, as_task, as_future, as_query, as_task_of_a_coroutine, without_wraps]


async def finished(result: Any) -> Any:
    """Await a result until it is none that can be awaited."""
    while asyncio.iscoroutine(result) or hasattr(result, "__await__"):
        result = await result
    return result


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Callable[..., Any]:
    made: Callable[..., Any] = request.param
    return made


@pytest.mark.parametrize("front", [None, 100], ids=["one tier", "front"])
def test_a_reader_during_the_write_leaves_nothing_behind(
    tasks: AsyncColour, backend_url: str, front: int | None, kind: Callable[..., Any]
) -> None:
    cache, gate, rows = tasks.cache(backend_url, front=front), tasks.gate(), {1: "old"}

    async def write(n: int) -> str:
        await gate.passed()
        rows[n] = "new"
        return "done"

    @cache(key="row:{n}")
    async def read(n: int) -> str:
        return rows[n]

    decorated = cache.invalidates("row:{n}")(kind(write))
    writing = tasks.start(lambda: finished(decorated(1)))
    gate.wait_until_entered()
    assert tasks.run(read, 1) == "old"
    gate.open()
    assert writing.result() in ("done", ["done", None])
    assert tasks.run(read, 1) == "new"


def test_a_write_that_fails_later_invalidates_nothing(
    tasks: AsyncColour, backend_url: str, kind: Callable[..., Any]
) -> None:
    cache = tasks.cache(backend_url)
    seen = Seen(cache)

    async def write(n: int) -> None:
        raise KeyError(n)

    tasks.call(cache, "set", "row:1", "kept")
    decorated = cache.invalidates("row:{n}")(kind(write))
    with pytest.raises(KeyError):
        tasks.run(lambda: finished(decorated(1)))
    assert tasks.call(cache, "get", "row:1") == "kept"
    assert seen.of(Invalidated) == []


def test_a_task_that_nobody_awaits_invalidates_when_it_has_ended(
    tasks: AsyncColour, backend_url: str
) -> None:
    cache, gate = tasks.cache(backend_url), tasks.gate()
    seen = Seen(cache)

    async def write(n: int) -> None:
        await gate.passed()

    async def begin() -> asyncio.Task[Any]:
        started = cache.invalidates("row:{n}")(as_task(write))(1)
        assert isinstance(started, asyncio.Task)
        return started

    tasks.call(cache, "set", "row:1", "old")

    async def both() -> None:
        started = await begin()
        gate.open()
        await asyncio.wait([started])

    tasks.run(both)
    assert tasks.call(cache, "get", "row:1") is None
    assert len(seen.of(Invalidated)) == 1


def test_cancelling_what_stands_for_a_task_cancels_the_task(tasks: AsyncColour) -> None:
    cache, gate = tasks.cache("memory://"), tasks.gate()
    inner: list[asyncio.Task[Any]] = []

    def save(n: int) -> asyncio.Task[Any]:
        inner.append(asyncio.create_task(gate.passed()))
        return inner[0]

    async def cancelled() -> bool:
        started: Any = cache.invalidates("row:{n}")(save)(1)
        await asyncio.sleep(0)
        started.cancel()
        await asyncio.wait([started])
        return started.cancelled() and inner[0].cancelled()

    tasks.call(cache, "set", "row:1", "kept")
    assert tasks.run(cancelled)
    assert tasks.call(cache, "get", "row:1") == "kept"


def test_a_future_of_a_loop_may_come_from_a_plain_thread(tasks: AsyncColour) -> None:
    cache, rows = tasks.cache("memory://"), {1: "old"}

    async def write(n: int) -> None:
        rows[n] = "new"

    async def outer() -> None:
        loop = asyncio.get_running_loop()
        made = loop.create_future()
        made.set_result(None)
        save = cache.invalidates("row:{n}")(lambda n: made)  # noqa: ARG005  the template names it
        await (await asyncio.to_thread(save, 1))

    tasks.call(cache, "set", "row:1", "old")
    tasks.run(outer)
    assert tasks.call(cache, "get", "row:1") is None


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def test_a_future_of_a_thread_pool_is_waited_for(
    backend_url: str, pool: ThreadPoolExecutor
) -> None:
    cache, may_write, rows = Cache(patient(backend_url)), threading.Event(), {1: "old"}

    def write(n: int) -> str:
        assert may_write.wait(WAIT_SECONDS)
        rows[n] = "new"
        return "done"

    @cache(key="row:{n}")
    def read(n: int) -> str:
        return rows[n]

    @cache.invalidates("row:{n}")
    def begin(n: int) -> Future[str]:
        return pool.submit(write, n)

    writing = begin(1)
    assert (read(1), writing.done()) == ("old", False)
    may_write.set()
    assert writing.result(WAIT_SECONDS) == "done"
    assert read(1) == "new"
    cache.close()


def test_a_future_of_a_thread_pool_may_fail_or_be_cancelled(pool: ThreadPoolExecutor) -> None:
    cache, may_go = Cache("memory://"), threading.Event()

    @cache.invalidates("row:{n}")
    def begin(n: int) -> Future[Any]:
        return pool.submit(int, "wrong") if n else pool.submit(may_go.wait, WAIT_SECONDS)

    cache.set_many({"row:0": "kept", "row:1": "kept"})
    running, failing, waiting = begin(0), begin(1), begin(1)
    assert waiting.cancel()
    assert waiting.cancelled()
    assert running.running()
    assert not running.cancel()
    may_go.set()
    with pytest.raises(ValueError, match="wrong"):
        failing.result(WAIT_SECONDS)
    assert running.result(WAIT_SECONDS) is True
    assert list(cache.get_many(["row:0", "row:1"])) == ["row:1"]


def test_a_future_of_a_thread_pool_may_come_from_a_coroutine_function(
    tasks: AsyncColour, pool: ThreadPoolExecutor
) -> None:
    cache = tasks.cache("memory://")

    @cache.invalidates("row:{n}")
    async def begin(n: int) -> Future[int]:
        return pool.submit(abs, n)

    tasks.call(cache, "set", "row:1", "old")
    assert tasks.run(begin, 1).result(WAIT_SECONDS) == 1
    assert tasks.call(cache, "get", "row:1") is None


def test_a_static_method_stays_one() -> None:
    cache = Cache("memory://")

    class Repository:
        @cache.invalidates("row:{n}")
        @staticmethod
        def save(n: int) -> int:
            return n

    cache.set("row:1", "old")
    assert Repository().save(1) == 1
    assert cache.get("row:1") is None


def save(n: int) -> None: ...


@pytest.mark.parametrize(
    "decorate",
    [
        lambda cache: cache.invalidates(save),
        lambda cache: cache.invalidates(),
        lambda cache: cache.invalidates(tags=[], patterns=()),
        lambda cache: cache.invalidates("row:{n}", save),
    ],
)
def test_what_names_nothing_to_invalidate_is_refused_at_decoration(
    decorate: Callable[[Cache], Any],
) -> None:
    with pytest.raises(UsageError) as told:
        decorate(Cache("memory://"))
    assert told.value.code == "DC409"
    assert '@cache.invalidates("user:{user_id}")' in str(told.value)
