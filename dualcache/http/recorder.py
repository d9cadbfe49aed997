"""One run of an ASGI application whose response may be kept: recorded until that is decided.

A response that is not kept goes out as the application sends it: nothing is buffered, and a stream
begins with its first chunk.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from dualcache.drivers.async_loop import asyncio_loop
from dualcache.errors import UsageError
from dualcache.http.decisions import is_server_error, why_unstored
from dualcache.http.fields import field
from dualcache.http.stored import StoredResponse, stored_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import TypeAlias

    from dualcache.http.cache_status import CacheStatus
    from dualcache.http.policy import HttpPolicy

    Message: TypeAlias = MutableMapping[str, Any]
    Scope: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["Decision", "Recorder", "announced", "finishing"]

MOST_HELD: Final = 1_048_576
"""How many bytes of a response in parts are held before the client gets the first."""
_unfinished: Final[set[asyncio.Task[None]]] = set()
"""Applications that still run when their request has its answer: a loop keeps no task alive."""


class Decision(Enum):
    """What becomes of a response, as far as it has come."""

    OPEN = "open"
    KEPT = "kept"
    FAILED = "failed"
    PASSED = "passed"


class Recorder:
    """Takes the messages of one run of an application.

    `reason` tells why a response passes. `has_background` is set by the endpoint. With
    `holds_parts` a response in several parts is no stream if its `Content-Length` says where it
    ends: files, and all responses of some frameworks, are sent in this way.
    """

    def __init__(
        self, policy: HttpPolicy, now_ms: Callable[[], int], *, holds_parts: bool = False
    ) -> None:
        self.decision = Decision.OPEN
        self.reason = ""
        self.response: StoredResponse | None = None
        self.has_background = False
        self._policy = policy
        self._now_ms = now_ms
        self._holds_parts = holds_parts
        self._left = -1  # bytes that may still come before this is a stream
        self._held: list[Message] = []
        self._is_decided = asyncio.Event()
        self._sink: asyncio.Future[Send] = _asyncio_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def run(self, app: Application, scope: Scope, receive: Receive) -> Decision:
        """Run the application until its response is complete or passes; raise its exception.

        The application runs in a separate task: the load ends when a response passes, while the
        application goes on sending.
        """
        coroutine: Any = app(scope, receive, self.send)
        task = self._task = asyncio.create_task(coroutine, name="dualcache-http")
        task.add_done_callback(lambda _: self._is_decided.set())
        try:
            await self._is_decided.wait()
        except BaseException:
            await finishing(task)
            raise
        if self.decision is Decision.OPEN:
            try:
                task.result()  # raises what the application has raised
            finally:
                # The traceback leads to this frame: it would keep the task, and that the exception.
                self._task = None
                del task
            raise RuntimeError("the application returned without a response")
        if not task.done():
            _unfinished.add(task)
            task.add_done_callback(_unfinished.discard)
        return self.decision

    async def send(self, message: Message) -> None:
        """Take a message of the application."""
        if self._sink.done():
            await self._sink.result()(message)
            return
        self._held.append(message)
        decision = self._decided_by(message)
        if decision is Decision.OPEN:
            return
        self.decision = decision
        self._is_decided.set()
        if decision is Decision.PASSED:
            # The application waits until there is a client to send to.
            send = await self._sink
            for held in self._held:
                await send(held)
            self._held.clear()

    async def pass_on(self, send: Send, status: CacheStatus) -> None:
        """Send what is there to the client, and all that is still to come; end with the run."""
        self._sink.set_result(announced(send, replace(status, detail=self.reason)))
        await self.end()

    async def end(self) -> None:
        """Wait for the application; raise what it raises."""
        if self._task is not None:
            await self._task

    async def drop(self) -> None:
        """End a run whose response nobody takes."""
        if self._task is not None and not self._task.done():
            await finishing(self._task)

    def _decided_by(self, message: Message) -> Decision:
        kind = message["type"]
        if kind == "http.response.debug":  # of Starlette's test client, before the response
            return Decision.OPEN
        if kind == "http.response.start":
            return self._decided_by_start(message)
        if kind != "http.response.body":  # a file that the server is to send, trailers
            return self._passed("extension")
        if message.get("more_body", False):
            self._left -= len(message.get("body", b""))
            return Decision.OPEN if self._left >= 0 else self._passed("stream")
        start = next(held for held in self._held if held["type"] == "http.response.start")
        parts = [held for held in self._held if held["type"] == "http.response.body"]
        status, body = start["status"], b"".join(bytes(part.get("body", b"")) for part in parts)
        if len(body) > self._policy.max_bytes:
            return self._passed("size")
        self.response = stored_response(status, _fields(start), body, self._now_ms())
        return Decision.FAILED if is_server_error(status, self._policy) else Decision.KEPT

    def _decided_by_start(self, message: Message) -> Decision:
        status, fields = message["status"], _fields(message)
        reason = why_unstored(status, fields, self._policy)
        if self.has_background:
            return self._passed("background")
        if reason == "status" and is_server_error(status, self._policy):
            return Decision.OPEN  # a failure like any other, and shared with those who wait for it
        if reason:
            return self._passed(reason)
        if self._holds_parts:
            length = field(fields, b"content-length")
            self._left = int(length) if length.isdecimal() and int(length) <= MOST_HELD else -1
        return self._passed("extension") if message.get("trailers") else Decision.OPEN

    def _passed(self, reason: str) -> Decision:
        self.reason = reason
        return Decision.PASSED


def announced(send: Send, status: CacheStatus) -> Send:
    """Return a `send` that adds a `Cache-Status` to the response."""

    async def announcing(message: Message) -> None:
        if message["type"] == "http.response.start":
            line = (b"cache-status", status.written())
            message = {**message, "headers": [*message.get("headers", ()), line]}
        await send(message)

    return announcing


def _asyncio_loop() -> asyncio.AbstractEventLoop:
    """Return the running loop. Raises `UsageError` where it is trio's."""
    loop = asyncio_loop()
    if loop is None:
        raise UsageError(
            "HTTP mode needs asyncio, and this application runs on another event loop",
            code="DC482",
            help="use an ASGI server on asyncio, such as uvicorn; or decorate the functions that "
            "the endpoint calls",
        )
    return loop


async def finishing(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end, whatever it raises."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # seen: asyncio reports those that nobody has looked at


def _fields(start: Message) -> list[tuple[bytes, bytes]]:
    return [(bytes(name).lower(), bytes(value)) for name, value in start.get("headers", ())]
