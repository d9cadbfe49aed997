"""One test body for both colours: the fixture `colour` is an adapter to the sync or the async face.

The test itself is a plain function. In the async colour an event loop runs in a thread of its own,
so that the test can act while calls are under way: start callers, wait for the load, open the gate.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import pytest

from tests.bodies import WAIT_SECONDS, Checkpoint, Gate, recoloured

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from dualcache import Cache

Thunk: TypeAlias = "Callable[[], Any]"


PATIENT: Final = {"socket_timeout": 3, "socket_connect_timeout": 3}
OTHER_THREADS: Final = ("proxy", "Trio thread")
"""Names of threads that do not end with a cache: those of fixtures, and the idle ones of trio."""


class Handle:
    """One call under way."""

    def __init__(self, future: Future[Any], *, is_async: bool) -> None:
        self._future = future
        self._is_async = is_async

    @property
    def done(self) -> bool:
        return self._future.done()

    def result(self, timeout: float = WAIT_SECONDS) -> Any:
        """Wait for the call; return what it returned, or raise what it raised."""
        return self._future.result(timeout)

    def error(self, timeout: float = WAIT_SECONDS) -> BaseException | None:
        """Wait for the call; return what it raised."""
        return self._future.exception(timeout)

    def cancel(self) -> None:
        """Cancel its task; a thread cannot be cancelled."""
        assert self._is_async, "only a task can be cancelled"
        self._future.cancel()


class Colour(ABC):
    """What the sync and the async face have in common, as a test needs it."""

    name: Literal["sync", "async"]
    is_async: bool
    can_cancel_itself = False

    def __init__(self) -> None:
        self._caches: list[Cache] = []
        self._gates: list[Gate] = []
        self._threads_before = set(threading.enumerate())

    def cache(self, url: str | None = None, **options: Any) -> Cache:
        """Build a cache that is closed, in this colour, when the test ends.

        It is given long time-outs unless the test says which: what a busy machine makes slow would
        look like an outage.
        """
        from dualcache import Cache

        if url is not None and url.startswith("redis"):
            if "socket_timeout" not in options:
                options = {**PATIENT, **options}
            elif options["socket_timeout"] >= 1:
                options = {"socket_connect_timeout": options["socket_timeout"], **options}
        cache = Cache(url, **options)
        self._caches.append(cache)
        return cache

    def close_too(self, cache: Cache) -> Cache:
        """Close a cache that the test has from elsewhere, in this colour, when the test ends."""
        self._caches.append(cache)
        return cache

    def call(self, cache: Cache, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call that method of the cache's face of this colour."""
        return self.run(getattr(self.face(cache), method), *args, **kwargs)

    def ask_client(self, cache: Cache, method: str, /, *args: Any) -> Any:
        """Call that method of the raw redis-py client."""
        return self.run(lambda: getattr(self.face(cache).client, method)(*args))

    def gate(self) -> Gate:
        gate = Gate(is_async=self.is_async)
        self._gates.append(gate)
        return gate

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(is_async=self.is_async)

    def function(self, body: Callable[..., Any], *, yields: bool = False) -> Callable[..., Any]:
        """Return `body` as a `def` or an `async def`, to be decorated; all else stays the same.

        A body written as `async def` may await nothing but `gate.passed()` and `checkpoint()`.
        `yields` makes the async form of a plain `def` a true suspension.
        """
        return recoloured(body, is_async=self.is_async, yields=yields)

    @abstractmethod
    def face(self, cache: Cache) -> Any:
        """Return the face of this colour: `cache` itself or `cache.aio`."""

    @abstractmethod
    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function of this colour to its end."""

    @abstractmethod
    def start(self, thunk: Thunk) -> Handle:
        """Begin a call in a thread or task of its own; an awaitable it returns is awaited."""

    @abstractmethod
    def gather(self, *thunks: Thunk, return_exceptions: bool = False) -> list[Any]:
        """Run all at once, wait for all of them, and return their results in order."""

    @abstractmethod
    def close(self, *, grace: float = WAIT_SECONDS / 2) -> None:
        """Close the caches; fail if a task or a thread outlives them by `grace` seconds."""

    def _fail_on_threads(self, grace: float) -> None:
        new = set(threading.enumerate()) - self._threads_before
        left = [thread for thread in new if not thread.name.startswith(OTHER_THREADS)]
        for thread in left:
            thread.join(grace)
        names = sorted(thread.name for thread in left if thread.is_alive())
        assert not names, f"threads outlive the cache: {names}"


class SyncColour(Colour):
    name = "sync"
    is_async = False

    def face(self, cache: Cache) -> Any:
        return cache

    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    def start(self, thunk: Thunk) -> Handle:
        future: Future[Any] = Future()
        context = contextvars.copy_context()

        def work() -> None:
            try:
                future.set_result(context.run(thunk))
            except BaseException as error:  # noqa: BLE001  handed to whoever asks for the result
                future.set_exception(error)

        threading.Thread(target=work, name="caller", daemon=True).start()
        return Handle(future, is_async=False)

    def gather(self, *thunks: Thunk, return_exceptions: bool = False) -> list[Any]:
        barrier = threading.Barrier(len(thunks))

        def together(thunk: Thunk) -> Thunk:
            return lambda: (barrier.wait(WAIT_SECONDS), thunk())[1]

        handles = [self.start(together(thunk)) for thunk in thunks]
        errors = [handle.error() for handle in handles]
        return results_of(
            [error or handle.result() for error, handle in zip(errors, handles, strict=True)],
            return_exceptions=return_exceptions,
        )

    def close(self, *, grace: float = WAIT_SECONDS / 2) -> None:
        for gate in self._gates:
            gate.open()
        for cache in self._caches:
            cache.close()
        self._fail_on_threads(grace)


class AsyncColour(Colour):
    name = "async"
    is_async = True
    can_cancel_itself = True

    def __init__(
        self, new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    ) -> None:
        super().__init__()
        self._loop = new_loop()
        self._troubles: list[str] = []
        self._loop.set_exception_handler(
            lambda _, context: self._troubles.append(f"{context['message']}: {context}")
        )
        self._is_closing = False
        self._thread = threading.Thread(target=self._serve, name="loop", daemon=True)
        self._thread.start()

    def face(self, cache: Cache) -> Any:
        return cache.aio

    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return self.start(lambda: function(*args, **kwargs)).result()

    def start(self, thunk: Thunk) -> Handle:
        return Handle(self._submit(_awaited(thunk)), is_async=True)

    def gather(self, *thunks: Thunk, return_exceptions: bool = False) -> list[Any]:
        async def together() -> list[Any]:
            return await asyncio.gather(*map(_awaited, thunks), return_exceptions=True)

        results = self._submit(together()).result(WAIT_SECONDS)
        return results_of(results, return_exceptions=return_exceptions)

    def close(self, *, grace: float = WAIT_SECONDS / 2) -> None:
        for gate in self._gates:
            gate.open()
        try:
            left = self._submit(self._close_caches(grace)).result(WAIT_SECONDS)
        finally:
            self._is_closing = True
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(WAIT_SECONDS)
            self._loop.close()
        assert not left, f"tasks outlive the cache: {left}"
        assert not self._troubles, self._troubles
        self._fail_on_threads(grace)

    def _submit(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _serve(self) -> None:
        while not self._is_closing:
            try:
                self._loop.run_forever()
            except (KeyboardInterrupt, SystemExit):  # a body raised it: its task has it, too
                continue

    async def _close_caches(self, grace: float) -> list[str]:
        for cache in self._caches:
            await cache.aio.aclose()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        left = (await asyncio.wait(tasks, timeout=grace))[1] if tasks else set()
        names = [repr(task) for task in left]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._loop.shutdown_default_executor()
        return names


def async_colour(config: pytest.Config) -> Colour:
    """Return the adapter to the async face: under trio with `--on-trio`, else under asyncio."""
    if not config.getoption("--on-trio"):
        return AsyncColour()
    from tests.trio_colour import TrioColour

    return TrioColour()


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Iterator[Colour]:
    """The sync or the async face, behind one set of calls."""
    adapter = SyncColour() if request.param == "sync" else async_colour(request.config)
    yield adapter
    adapter.close()


@pytest.fixture(name="colour", params=["sync", "async", "uvloop", "reader task"])
def colour_of_every_io(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Colour]:
    """As `colour`, and besides over each way in which an asyncio connection reads its bytes.

    A module takes it in the place of `colour` by importing it.
    """
    adapter: Colour
    if request.param == "sync":
        adapter = SyncColour()
    elif request.param == "uvloop":
        adapter = AsyncColour(pytest.importorskip("uvloop").new_event_loop)
    else:
        adapter = async_colour(request.config)
    if request.param == "reader task":
        without_transport(monkeypatch)
    yield adapter
    adapter.close()


def without_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the streams of asyncio, and so redis-py, give transports away that nobody can take over.

    redis-py itself asks a transport for its socket, and needs no more of it.
    """
    veiled = property(lambda writer: _Veiled(writer._transport))
    monkeypatch.setattr(asyncio.StreamWriter, "transport", veiled)


class _Veiled:
    """A transport that knows no other protocol than its own."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        if name == "set_protocol":
            raise AttributeError(name)
        return getattr(self._transport, name)


async def _awaited(thunk: Thunk) -> Any:
    result = thunk()
    return await result if inspect.isawaitable(result) else result


def results_of(results: list[Any], *, return_exceptions: bool) -> list[Any]:
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors and not return_exceptions:
        raise errors[0]
    return results
