"""One run of an ASGI application whose response may be kept: recorded until that is decided.

A response that is not kept goes out as the application sends it: nothing is buffered, and a stream
begins with its first chunk.
"""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from dualcache.drivers.async_loop import running_loop
from dualcache.http.decisions import is_server_error, why_unstored
from dualcache.http.fields import field
from dualcache.http.stored import StoredResponse, stored_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import TypeAlias

    from dualcache.drivers.async_loop import Task
    from dualcache.http.cache_status import CacheStatus
    from dualcache.http.policy import HttpPolicy

    Message: TypeAlias = MutableMapping[str, Any]
    Scope: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["Decision", "Recorder", "announced"]

MOST_HELD: Final = 1_048_576
"""How many bytes of a response in parts are held before the client gets the first."""
_unfinished: Final[set[Task]] = set()
"""Applications that still run when their request has its answer: asyncio keeps no task alive."""


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
        loop = self._loop = running_loop()
        self._is_decided = loop.event()
        self._has_ended = loop.event()
        self._has_client = loop.event()
        self._client: Send | None = None
        self._task: Task | None = None

    async def run(self, app: Application, scope: Scope, receive: Receive) -> Decision:
        """Run the application until its response is complete or passes; raise its exception.

        The application runs in a separate task: the load ends when a response passes, while the
        application goes on sending.
        """
        work: Any = partial(app, scope, receive, self.send)
        self._task = task = self._loop.start(work, "dualcache-http")
        task.add_done_callback(self._note_end)
        try:
            await self._is_decided.wait()
        except BaseException:
            await self._loop.stop(task)
            raise
        if self.decision is Decision.OPEN:
            del task
            self._raise_error()
            raise RuntimeError("the application returned without a response")
        if not self._has_ended.is_set():
            _unfinished.add(task)
            task.add_done_callback(_unfinished.discard)
        return self.decision

    async def send(self, message: Message) -> None:
        """Take a message of the application."""
        if self._client is not None:
            await self._client(message)
            return
        self._held.append(message)
        decision = self._decided_by(message)
        if decision is Decision.OPEN:
            return
        self.decision = decision
        self._is_decided.set()
        if decision is Decision.PASSED:
            # The application waits until there is a client to send to.
            await self._has_client.wait()
            send: Any = self._client
            for held in self._held:
                await send(held)
            self._held.clear()

    async def pass_on(self, send: Send, status: CacheStatus) -> None:
        """Send what is there to the client, and all that is still to come; end with the run."""
        self._client = announced(send, replace(status, detail=self.reason))
        self._has_client.set()
        await self.end()

    async def end(self) -> None:
        """Wait for the application; raise what it raises."""
        if self._task is None:
            return
        try:
            await self._has_ended.wait()
        except BaseException:
            await self.drop()
            raise
        self._raise_error()

    async def drop(self) -> None:
        """End a run whose response nobody takes."""
        if self._task is not None and not self._has_ended.is_set():
            await self._loop.stop(self._task)

    def _note_end(self, _: object) -> None:
        self._has_ended.set()
        self._is_decided.set()

    def _raise_error(self) -> None:
        """Raise what the application has raised, if anything."""
        task, self._task = self._task, None
        error = None if task is None else task.exception()
        # The traceback leads to this frame and its callers': none of them may lead back to it.
        del task
        try:
            if error is not None:
                raise error
        finally:
            del error

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


def _fields(start: Message) -> list[tuple[bytes, bytes]]:
    return [(bytes(name).lower(), bytes(value)) for name, value in start.get("headers", ())]
