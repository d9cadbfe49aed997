"""One life of an asyncio connection that many callers share.

Replies come back in the order of the commands. The commands of one loop turn go out in one write; a
reader task hands replies to futures; one watchdog bounds every wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import coroutine
from typing import TYPE_CHECKING, Any

from dualcache.drivers.backend_errors import classify
from dualcache.drivers.tracking import UNTRACKED
from dualcache.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from redis.asyncio.connection import AbstractConnection


class Link:
    """One life of a connection: what was sent, and who waits for the replies."""

    def __init__(
        self,
        connection: AbstractConnection,
        timeout: float,
        loop: asyncio.AbstractEventLoop,
        on_end: Callable[[Link], None],
    ) -> None:
        self.is_up = True
        self.stream = UNTRACKED
        self.client_id = 0
        self._on_end = on_end
        self._connection = connection
        self._timeout = timeout
        self._loop = loop
        self._unsent: list[bytes] = []
        self._expected: deque[Expected] = deque()
        self._draining: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._reader = loop.create_task(self._read())

    async def exchange(self, data: bytes, count: int) -> list[Any]:
        """Send packed commands with others of this turn; return the replies, errors as values."""
        if not self.is_up:
            raise BackendUnavailable("the connection was closed", code="DC200")
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(data)
        expected = Expected(self._loop.create_future(), count, self._loop.time() + self._timeout)
        self._expected.append(expected)
        if self._watchdog is None:
            self._watchdog = self._loop.call_at(expected.deadline, self._watch)
        if self._draining is not None:
            await asyncio.shield(self._draining)
        return await expected.replied

    def fail(self, error: BackendError) -> None:
        """End this link: everybody who waits for a reply gets `error`."""
        if not self.is_up:
            return
        self.is_up = False
        self._reader.cancel()
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._draining is not None:
            self._draining.cancel()
        while self._expected:
            replied = self._expected.popleft().replied
            if not replied.done():
                replied.set_exception(again(error))
        close_now(self._connection)
        self._on_end(self)

    async def ended(self) -> None:
        """Wait until the reader task is gone."""
        await asyncio.wait([self._reader])

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if not self.is_up or self._draining is not None:
            self._unsent = unsent
            return
        writing = self._connection.send_packed_command(unsent, check_health=False)
        try:
            held_up = writing.send(None)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001  whatever redis-py raises ends this link
            self.fail(classify(error))
            return
        # The socket is full: new callers wait until this write is through.
        self._draining = self._loop.create_task(self._drain(writing, held_up))

    async def _drain(self, writing: Coroutine[Any, Any, None], held_up: object) -> None:
        try:
            await rest_of(writing, held_up)
        except Exception as error:  # noqa: BLE001  whatever redis-py raises ends this link
            self._draining = None
            self.fail(classify(error))
            return
        self._draining = None
        if self._unsent:
            self._flush()

    async def _read(self) -> None:
        expected = self._expected
        while True:
            try:
                reply = await self._connection.read_response(disable_decoding=True)
            except asyncio.CancelledError:
                self.fail(BackendUnavailable("the event loop ends", code="DC200"))
                raise
            except Exception as error:  # noqa: BLE001  whatever redis-py raises
                reply = classify(error)
                if not isinstance(reply, BackendRefused) or not self._connection.is_connected:
                    self.fail(reply)
                    return
            if not expected:
                self.fail(BackendUnavailable("a reply came that nobody waits for", code="DC204"))
                return
            first = expected[0]
            first.replies.append(reply)
            if len(first.replies) == first.count:
                expected.popleft()
                if not first.replied.done():
                    first.replied.set_result(first.replies)

    def _watch(self) -> None:
        """See whether the oldest command has waited too long; one timer serves them all."""
        self._watchdog = None
        if not self._expected:
            return
        deadline = self._expected[0].deadline
        if deadline <= self._loop.time():
            self.fail(BackendTimeout("the server gave no answer in time", code="DC201"))
        else:
            self._watchdog = self._loop.call_at(deadline, self._watch)


class Expected:
    """The replies that one caller waits for."""

    __slots__ = ("count", "deadline", "replied", "replies")

    def __init__(self, replied: asyncio.Future[list[Any]], count: int, deadline: float) -> None:
        self.replied = replied
        self.count = count
        self.deadline = deadline
        self.replies: list[Any] = []


@coroutine
def rest_of(writing: Coroutine[Any, Any, None], held_up: object) -> Generator[Any, Any, None]:
    """Go on, inside a task, with a coroutine that was begun outside of one."""
    while True:
        yield held_up
        try:
            held_up = writing.send(None)
        except StopIteration:
            return


def again(error: BackendError) -> BackendError:
    """Return a copy of an error: two callers must not share one traceback."""
    made = type(error)(error.what, code=error.code, details=error.details, help=error.help)
    made.__dict__.update(error.__dict__)
    return made


def close_now(connection: AbstractConnection) -> None:
    """Close a connection without waiting, also where its loop is closing."""
    closing = connection.disconnect(nowait=True)
    try:
        closing.send(None)
    except BaseException:  # noqa: BLE001  ended, or failed: nothing is asked of it any more
        return
    closing.close()
