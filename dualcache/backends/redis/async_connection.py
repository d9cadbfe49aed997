"""One life of an asyncio connection that many callers share.

Replies come back in the order of the commands. The commands of one loop turn go out in one write; a
reader task hands replies to futures; one watchdog bounds every wait, by the rule of `patience.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import coroutine
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from dualcache.backends.redis.errors import classify
from dualcache.backends.redis.push.tracking import UNTRACKED
from dualcache.backends.redis.watchdog import Watchdog
from dualcache.backends.redis.wire import ops as wire
from dualcache.errors import BackendError, BackendRefused, BackendUnavailable
from dualcache.options.patience import LARGE_BYTES, extra_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from dualcache.backends.redis.connections import AsyncConnection
    from dualcache.core.ops import Op
    from dualcache.options.target import Target


class MultiplexedConnection:
    """One life of a connection: what was sent, and who waits for the replies."""

    def __init__(
        self,
        connection: AsyncConnection,
        target: Target,
        loop: asyncio.AbstractEventLoop,
        *,
        began: float,
        on_end: Callable[[MultiplexedConnection], None],
        on_slow: Callable[[Op[Any]], None],
    ) -> None:
        self.is_up = True
        self.push_epoch = UNTRACKED
        self.client_id = 0
        self._on_end = on_end
        self._on_slow = on_slow
        self._connection = connection
        self._patience = target.socket_timeout
        self._watchdog = Watchdog(target.socket_timeout, target.longest_call)
        self._loop = loop
        # Connecting is part of the first calls: they wait no longer than others.
        self._turn_began = began
        self._is_first_turn = True
        self._answered = 0
        self._unsent: list[bytes] = []
        self._expected: deque[Expected] = deque()
        self._extra: WeakKeyDictionary[asyncio.Future[Any], float] = WeakKeyDictionary()
        self._draining: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reader = loop.create_task(self._read())

    def exchange(self, data: bytes, count: int, op: Op[Any] | None = None) -> asyncio.Future[Any]:
        """Send packed commands with others of this turn; give the replies, errors as values.

        Of an `op`, give what the replies mean; an error is raised then.
        """
        if not self.is_up:
            raise BackendUnavailable("the connection was closed", code="DC200")
        if not self._unsent:
            self._begin_turn()
        self._unsent.append(data)
        replied: asyncio.Future[Any] = self._loop.create_future()
        self._expected.append(Expected(replied, count, self._turn_began, [], op))
        if len(data) > LARGE_BYTES:
            self._extra[replied] = extra_seconds(len(data))
        return replied

    async def room(self) -> None:
        """Wait while the socket takes no more: back-pressure for new callers.

        The write is cancelled when the link fails; that is not the end of who waits for it.
        """
        while self.is_up and self._draining is not None:
            await asyncio.wait([self._draining])

    def _begin_turn(self) -> None:
        """Have all that is sent in this turn of the loop written at its end."""
        self._loop.call_soon(self._flush)
        if self._is_first_turn:
            self._is_first_turn = False
        else:
            self._turn_began = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_at(self._turn_began + self._patience, self._watch)

    def fail(self, error: BackendError) -> None:
        """End this link: everybody who waits for a reply gets `error`."""
        if not self.is_up:
            return
        self.is_up = False
        self._reader.cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self._draining is not None:
            self._draining.cancel()
        while self._expected:
            replied, _, _, _, op = self._expected.popleft()
            if not replied.done():
                replied.set_exception(
                    again(error) if op is None else of_a_living_link(again(error))
                )
        close_now(self._connection)
        self._on_end(self)

    @property
    def takes_more(self) -> bool:
        """Whether it is up, and its socket takes more."""
        return self.is_up and self._draining is None

    def forget(self) -> None:
        """Be down, and say nothing of the reader that a loop left which did not cancel it."""
        self.is_up = False
        reader: Any = self._reader
        reader._log_destroy_pending = False  # noqa: SLF001  as asyncio.gather does

    async def ended(self) -> None:
        """Wait until the reader task is gone."""
        await asyncio.wait([self._reader])

    def _flush(self) -> None:
        """Write what waits to be sent."""
        unsent = self._unsent
        if not unsent or not self.is_up or self._draining is not None:
            return
        self._unsent = []
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
        # A task that is cancelled before it began would leave the write to the garbage collector.
        self._draining.add_done_callback(lambda _: writing.close())

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
        read_response = self._connection.read_response
        while True:
            try:
                reply = await read_response(disable_decoding=True)
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
            replied, count, _, replies, op = expected[0]
            replies.append(reply)
            if len(replies) == count:
                self._answered += 1
                expected.popleft()
                if replied.done():
                    continue
                if op is None:
                    replied.set_result(replies)
                elif not self._answer(replied, op, replies):
                    return

    def _answer(self, replied: asyncio.Future[Any], op: Op[Any], replies: list[Any]) -> bool:
        """Give what the replies mean; what makes no sense ends the link. Return if it is up."""
        try:
            replied.set_result(wire.decode(op, replies))
        except BackendRefused as error:
            replied.set_exception(error)
        except Exception as error:  # noqa: BLE001  a reply of any shape
            made = of_a_living_link(classify(error))
            replied.set_exception(made)
            self.fail(made)
        return self.is_up

    def _watch(self) -> None:
        """See whether the oldest command has waited too long; one timer serves them all."""
        self._timer = None
        if not self._expected:
            return
        head = self._expected[0]
        connection = self._connection
        verdict = self._watchdog.look(
            now=self._loop.time(),
            answered=self._answered,
            began=head.began,
            extra=self._extra.get(head.replied, 0.0),
            heard_at=connection.heard.at,
            heard=connection.heard.bytes,
            unwritten=connection.transport.get_write_buffer_size(),
        )
        if verdict.is_slow and head.op is not None:
            self._on_slow(head.op)
        if verdict.error is None:
            self._timer = self._loop.call_at(verdict.next_look, self._watch)
            return
        if verdict.is_own:
            self._expected.popleft()
            if not head.replied.done():
                head.replied.set_exception(verdict.error)
            # The others may be answered on a fresh connection: their replies did not take long.
            self.fail(BackendUnavailable("the connection was closed", code="DC200"))
        else:
            self.fail(verdict.error)


class Expected(NamedTuple):
    """The replies that one caller waits for, and the op that they are of, if they are decoded."""

    replied: asyncio.Future[Any]
    awaits: int
    began: float
    replies: list[Any]
    op: Op[Any] | None


@coroutine
def rest_of(writing: Coroutine[Any, Any, None], held_up: object) -> Generator[Any, Any, None]:
    """Go on, inside a task, with a coroutine that was begun outside of one."""
    while True:
        try:
            try:
                yield held_up
            except BaseException as error:  # noqa: BLE001  it is the write that has to know
                held_up = writing.throw(error)
            else:
                held_up = writing.send(None)
        except StopIteration:
            return


def of_a_living_link(error: BackendError) -> BackendError:
    """Note on an error that the link was up when the op was sent."""
    error.was_connected = isinstance(error, BackendUnavailable)
    return error


def again(error: BackendError) -> BackendError:
    """Return a copy of an error: two callers must not share one traceback."""
    made = type(error)(error.what, code=error.code, details=error.details, help=error.help)
    made.__dict__.update(error.__dict__)
    return made


def close_now(connection: AsyncConnection) -> None:
    """Close a connection without waiting, also where its loop is closing."""
    closing = connection.disconnect(nowait=True)
    try:
        closing.send(None)
        closing.close()
    except BaseException:  # noqa: BLE001, S110  ended, or failed: nothing is asked of it any more
        pass
    # Outside of a task, as the watchdog is, redis-py before 8 fails before it comes to this.
    connection.transport.close()
