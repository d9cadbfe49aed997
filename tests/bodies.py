"""What a test decorates: bodies written once, that run as `def` and as `async def`."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

import anyio.lowlevel

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

WAIT_SECONDS: Final = 30.0
"""No test waits longer for anything; reaching it is a failure."""


class Checkpoint:
    """Lets other tasks run in the async colour; does nothing in the sync one."""

    def __init__(self, *, is_async: bool) -> None:
        self._is_async = is_async

    def __await__(self) -> Generator[Any, None, None]:
        if self._is_async:
            yield from anyio.lowlevel.checkpoint().__await__()


class Gate:
    """Holds the bodies that `await gate.passed()` until the test opens it; then lets all pass."""

    def __init__(self, *, is_async: bool) -> None:
        self._is_async = is_async
        self._opened: Future[None] = Future()
        self._entered = 0
        self._changed = threading.Condition()

    @property
    def entered(self) -> int:
        """How many have come to the gate so far."""
        return self._entered

    async def passed(self) -> None:
        with self._changed:
            self._entered += 1
            self._changed.notify_all()
        if self._is_async:
            await until_done(self._opened)
        else:
            self._opened.result(WAIT_SECONDS)

    def wait_until_entered(self, count: int = 1) -> None:
        """Block the test until `count` bodies have come to the gate."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._entered >= count, WAIT_SECONDS)
        assert came, f"{self._entered} came to the gate, not {count}"

    def open(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)


async def until_done(future: Future[None]) -> None:
    """Wait in a task, of asyncio or of trio, for what another thread brings about."""
    if asyncio._get_running_loop() is not None:
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), WAIT_SECONDS)
        return
    trio = sys.modules["trio"]
    token, done = trio.lowlevel.current_trio_token(), trio.Event()

    def wake(_: object) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(done.set)

    future.add_done_callback(wake)
    with trio.fail_after(WAIT_SECONDS):
        await done.wait()


def recoloured(body: Callable[..., Any], *, is_async: bool, yields: bool) -> Callable[..., Any]:
    """Return `body` as an `async def` or a `def` of the same name, signature and module."""
    if inspect.iscoroutinefunction(body) == is_async:
        return body
    assert isinstance(body, FunctionType)
    call = f"_body({_forwarded(body)})"
    if not is_async:
        return _rebuilt(body, "def", f"return _drive({call})")
    pause = "await _pause(); " if yields else ""
    return _rebuilt(body, "async def", f"{pause}return {call}")


def _drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in this thread, to its end: what it awaits blocks instead of suspending."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise AssertionError("a body may await only gate.passed() and colour.checkpoint()")


def _forwarded(body: Callable[..., Any]) -> str:
    forms = {"VAR_POSITIONAL": "*{0}", "VAR_KEYWORD": "**{0}", "KEYWORD_ONLY": "{0}={0}"}
    parameters = inspect.signature(body).parameters.values()
    return ", ".join(forms.get(p.kind.name, "{0}").format(p.name) for p in parameters)


def _rebuilt(body: FunctionType, kind: str, line: str) -> Callable[..., Any]:
    """Compile a real function with the parameters, defaults, annotations and globals of `body`."""
    signature = inspect.signature(body)
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty, default=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
    ]
    head = signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)
    source = f"def _make(_body, _drive, _pause):\n {kind} function{head}: {line}\n return function"
    made: dict[str, Any] = {}
    exec(source, body.__globals__, made)
    function: FunctionType = made["_make"](body, _drive, lambda: Checkpoint(is_async=True))
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__defaults__"):
        setattr(function, name, getattr(body, name))
    function.__kwdefaults__ = body.__kwdefaults__
    function.__annotations__ = body.__annotations__
    return function
