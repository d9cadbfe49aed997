"""What a call leaves behind when it has ended: nothing. Objects are counted, not megabytes."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import traceback
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest

from dualcache import Cache, Miss
from dualcache.core.flight import Flight
from dualcache.drivers.flights import led
from dualcache.runtime import registry
from tests.behaviour.seen import Seen
from tests.bodies import WAIT_SECONDS
from tests.patience import patient
from tests.tls import TlsLink

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.colours import Colour
    from tests.servers import Server

CALLERS = 8


class Local:
    """Stands for what a user's function has in its frame."""


@contextmanager
def without_collector() -> Generator[None, None, None]:
    """Let only what nobody refers to be freed; what cycles hold stays."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


KINDS = [
    "function",
    "refresh",
    "get_or_load",
    "get_or_load_many",
    "condition",
    "condition, with a time-out",
    "condition, of many",
    "ttl 0",
]


def failing(cache: Cache, kind: str, *, is_async: bool) -> tuple[Callable[[], Any], list[Any]]:
    """Return a call whose function raises, and the references to what its frames hold."""
    held: list[Any] = []

    def body(*_: Any) -> Any:
        local = Local()
        held.append(ref(local))
        try:
            int("k")
        except ValueError:
            raise LookupError("v")  # noqa: B904  its context is to be kept too

    async def later(*_: Any) -> Any:
        await asyncio.sleep(0)
        return body()

    face = cache.aio if is_async else cache
    loader: Any = later if is_async else body
    plain = (lambda: asyncio.sleep(0, 1)) if is_async else (lambda: 1)
    mapping: Any = (lambda _: asyncio.sleep(0, {"k": 1})) if is_async else (lambda _: {"k": 1})
    options: dict[str, Any] = {"ttl": 0} if kind == "ttl 0" else {}
    function = cache(key="k", **options)(loader)
    calls: dict[str, Callable[[], Any]] = {
        "refresh": function.refresh,
        "get_or_load": lambda: face.get_or_load("k", loader),
        "get_or_load_many": lambda: face.get_or_load_many(["k", "l"], loader),
        "condition": lambda: face.get_or_load("k", plain, condition=body),
        "condition, of many": lambda: face.get_or_load_many(["k"], mapping, condition=body),
        "condition, with a time-out": lambda: face.get_or_load(
            "k", plain, condition=body, hard_timeout=5
        ),
    }
    return calls.get(kind, function), held


@pytest.mark.parametrize("kind", KINDS)
def test_a_users_frame_goes_with_its_exception_in_threads(backend_url: str, kind: str) -> None:
    with Cache(patient(backend_url)) as cache:
        call, held = failing(cache, kind, is_async=False)
        with suppress(LookupError):
            call()
        with without_collector():
            with suppress(LookupError):
                call()
            assert [each() for each in held[1:]] == [None]


@pytest.mark.parametrize("kind", KINDS)
def test_a_users_frame_goes_with_its_exception_in_tasks(backend_url: str, kind: str) -> None:
    async def main() -> None:
        async with Cache(patient(backend_url)) as cache:
            call, held = failing(cache, kind, is_async=True)
            with suppress(LookupError):
                await call()
            with without_collector():
                with suppress(LookupError):
                    await call()
                await asyncio.sleep(0)
                assert [each() for each in held[1:]] == [None]

    asyncio.run(main())


def frames_of(error: BaseException | None) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__ if error else None)]


@pytest.mark.parametrize("kind", ["function", "get_or_load", "ttl 0"])
def test_no_waiters_frames_show_in_the_report_of_another(
    colour: Colour, backend_url: str, kind: str
) -> None:
    cache, gate = colour.cache(backend_url), colour.gate()
    seen = Seen(cache)

    async def body() -> int:
        await gate.passed()
        raise ValueError("v")

    one = colour.function(body)
    options: dict[str, Any] = {"ttl": 0} if kind == "ttl 0" else {}
    load = cache(key="k", **options)(one)
    call = load if kind != "get_or_load" else lambda: colour.face(cache).get_or_load("k", one)
    callers = [colour.start(call) for _ in range(CALLERS)]
    seen.wait_for(Miss, CALLERS)
    gate.open()
    errors = [caller.error() for caller in callers]
    assert {str(error) for error in errors} == {"v"}
    assert len({id(error) for error in errors}) == 1
    longest = max(len(frames_of(error)) for error in errors)
    assert longest <= 12
    assert "body" in frames_of(errors[0])


def test_what_a_caller_was_handling_does_not_show_in_the_report_of_another(
    threads: Any, backend_url: str
) -> None:
    cache, gate = threads.cache(backend_url), threads.gate()
    seen = Seen(cache)

    async def body() -> int:
        await gate.passed()
        try:
            return int("inner")
        except ValueError:
            raise LookupError("v")  # noqa: B904  as users do

    load = cache(key="k")(threads.function(body))

    def handling() -> Any:
        try:
            int("a caller's own")
        except ValueError:
            return load()

    callers = [threads.start(each) for each in (handling, load, load)]
    seen.wait_for(Miss, 3)
    gate.open()
    for caller in callers:
        error = caller.error()
        assert isinstance(error, LookupError)
        assert isinstance(error.__context__, ValueError)
        assert error.__context__.__context__ is None


@pytest.mark.of_asyncio
def test_a_function_that_starts_the_next_round_holds_no_flights(
    colour: Colour, backend_url: str
) -> None:
    cache, most = colour.cache(backend_url), 60
    found: list[int] = []
    ended = threading.Event()

    def begin(n: int) -> None:
        if colour.is_async:
            task = asyncio.ensure_future(rounds(n))
            task.add_done_callback(lambda _: None)
        else:
            context = contextvars.copy_context()
            threading.Thread(target=context.run, args=(rounds, n)).start()

    def body(n: int) -> int:
        found.append(len(led.get()))
        if n < most:
            begin(n + 1)
        else:
            ended.set()
        return n

    rounds: Any = cache(key="k:{n}")(colour.function(body))
    colour.run(rounds, 0)
    assert ended.wait(30)
    assert colour.run(rounds, most) == most  # the last round has ended too
    assert max(found) < 20


@pytest.mark.of_asyncio
def test_a_context_that_lives_on_keeps_no_flight(colour: Colour, backend_url: str) -> None:
    cache, contexts = colour.cache(backend_url), []

    async def body() -> int:
        contexts.append(contextvars.copy_context())
        return 3

    load = cache(key="a key of this test")(colour.function(body))
    colour.run(load)
    gc.collect()
    assert [each() for each in contexts[0][led]] == [None]
    flights = [each for each in gc.get_objects() if type(each) is Flight]
    assert not [each for each in flights if each.key == "a key of this test"]


# Functions, and loops


@pytest.mark.parametrize("front", [None, 100])
def test_a_function_that_nobody_refers_to_goes_and_its_counters_stay(
    colour: Colour, backend_url: str, front: int | None
) -> None:
    cache = colour.cache(backend_url, front=front)

    class Large:
        """Stands for what a closure holds."""

    def made(number: int) -> Any:
        large = Large()

        def body(n: int) -> int:
            assert large is not None
            return n

        return ref(large), cache(key=f"k{number}:{{n}}")(colour.function(body))

    held = []
    for number in range(5):
        large, load = made(number)
        held.append(large)
        for _ in range(3):
            colour.run(load, 1)
        del load
    gc.collect()
    assert [each() for each in held] == [None] * 5
    assert not list(cache._runtime.functions)
    stats = cache.stats()
    assert (stats.loads, stats.misses) == (5, 5)
    assert stats.hits == 10
    assert stats.templates["k3:{n}"].loads == 1


def test_counters_of_functions_that_have_gone_are_told_apart_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "MOST_LABELS", 3)
    cache = Cache("memory://")
    for number in range(5):
        cache(key=f"k{number}")(lambda: 1)()
        gc.collect()
    templates = cache.stats().templates
    assert [name for name in templates if name != "direct"] == ["k0", "k1", "k2", "others"]
    assert templates["others"].loads == 2


def test_a_bound_method_and_a_decorated_one_keep_their_function(backend_url: str) -> None:
    cache = Cache(patient(backend_url))

    class Repository:
        @cache(key="k:{n}")
        def load(self, n: int) -> int:
            return n

    bound = Repository().load
    wrapped = cache(key="outer:{n}")(bound)
    gc.collect()
    assert [bound(1), bound(1), wrapped(2), wrapped(2)] == [1, 1, 2, 2]
    assert cache.stats().loads == 3
    assert len(list(cache._runtime.functions)) == 2
    cache.close()


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": lambda: pytest.importorskip("uvloop").new_event_loop(),
}


def await_connectors() -> None:
    """Wait for the threads that have connected: each holds its loop until it ends."""
    for thread in threading.enumerate():
        if thread.name == "dualcache-connect":
            thread.join(WAIT_SECONDS)


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_loop_that_ends_leaves_no_connection_and_no_object(
    redis_server: Server, kind: str, scheme: str
) -> None:
    with TlsLink(redis_server.port) as link:
        url = redis_server.url if scheme == "redis" else link.url()
        cache = Cache(url, socket_timeout=20, socket_connect_timeout=20)
        loops: list[Any] = []

        async def main() -> None:
            loops.append(ref(asyncio.get_running_loop()))
            assert await cache.aio.set("k", 1)
            cleaning.append(asyncio.create_task(clean_up()))
            await asyncio.sleep(0)

        async def clean_up() -> None:
            try:
                await asyncio.Event().wait()
            finally:  # the connection is there until the user's tasks have ended
                stored.append(await cache.aio.set("l", 1))

        cleaning: list[asyncio.Task[None]] = []
        stored: list[bool] = []
        for _ in range(3):
            with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
                runner.run(main())
            cleaning.clear()
        await_connectors()
        gc.collect()
        assert [each() for each in loops[1:]] == [None] * 2  # the first one imported
        assert stored == [True] * 3
        cache.close()


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_loop_that_has_ended_goes_when_the_next_one_comes(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch, *, is_cancelled: bool
) -> None:
    # Nobody closes the cache in those loops: the last connection has a warning of its own, and
    # redis-py 5 closes one in its finalizer, which fails where the loop is closed. pytest would
    # keep that error, and with it the loop. All is collected here: else a later test is blamed.
    monkeypatch.setattr("sys.unraisablehook", lambda _: None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        left = loops_left(patient(redis_server.url), is_cancelled=is_cancelled)
        gc.collect()
    assert left == [None] * 4


def loops_left(url: str, *, is_cancelled: bool) -> list[object]:
    """Use a cache in six loops; return what is left of each but the first and the last."""
    cache = Cache(url)
    loops: list[Any] = []

    async def main() -> None:
        loops.append(ref(asyncio.get_running_loop()))
        assert await cache.aio.set("k", 1)

    for _ in range(6):
        if is_cancelled:
            asyncio.run(main())
            continue
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
    await_connectors()
    gc.collect()
    cache.close()
    return [each() for each in loops[1:-1]]  # the first one imported
