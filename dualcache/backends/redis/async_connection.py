"""One life of an asyncio connection that many callers share.

Replies come back in the order of the commands. The first command of an idle connection goes out at
once, those of a busy turn of the loop in one write; one watchdog bounds every wait, by the rule of
`patience.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

from dualcache.backends.redis.async_reader_task import ReaderTaskIO
from dualcache.backends.redis.async_transport import take_over
from dualcache.backends.redis.errors import classify
from dualcache.backends.redis.push.tracking import UNTRACKED
from dualcache.backends.redis.watchdog import Watchdog
from dualcache.backends.redis.wire import ops as wire
from dualcache.errors import BackendError, BackendRefused, BackendUnavailable
from dualcache.options.patience import LARGE_BYTES, extra_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.backends.redis.async_io import ConnectionIO
    from dualcache.backends.redis.connections import AsyncConnection
    from dualcache.backends.redis.errors import OnRefused
    from dualcache.core.ops import Op
    from dualcache.options.target import Target

    Expected: TypeAlias = tuple[asyncio.Future[Any], int, float, Op[Any] | None]

__all__ = ["MultiplexedConnection"]


class MultiplexedConnection:
    """One life of a connection: its commands, and the callers that wait for the replies."""

    def __init__(
        self,
        connection: AsyncConnection,
        target: Target,
        loop: asyncio.AbstractEventLoop,
        *,
        began: float,
        on_end: Callable[[MultiplexedConnection], None],
        on_slow: Callable[[Op[Any]], None],
        on_refused: OnRefused = lambda _: None,
    ) -> None:
        self.is_up = True
        self.takes_more = True
        """Whether it is up and its socket takes more: a field, since every hit asks."""
        self.push_epoch = UNTRACKED
        self.client_id = 0
        self._on_end = on_end
        self._on_slow = on_slow
        self._on_refused = on_refused
        self._patience = target.socket_timeout
        self._watchdog = Watchdog(target.socket_timeout, target.longest_call)
        self._loop = loop
        self._new_future = _maker_of_futures(loop)
        # Connecting is part of the first calls: they wait no longer than others.
        self._turn_began = began
        self._is_first_turn = True
        self._is_busy = False
        """Whether the last turn had several commands: then this one may have, too."""
        self._answered = 0
        self._unsent: list[bytes] = []
        self._expected: deque[Expected] = deque()
        """For each caller: the future, how many replies it takes, when it was sent, and its op."""
        self._came: list[Any] = []
        """Replies of the oldest command that needs more of them."""
        self._extra: WeakKeyDictionary[asyncio.Future[Any], float] = WeakKeyDictionary()
        self._timer: asyncio.TimerHandle | None = None
        self._io: ConnectionIO = take_over(connection, loop, self) or ReaderTaskIO(
            connection, loop, self
        )
        self._io.begin()

    async def room(self) -> None:
        """Wait while the socket takes no more: back-pressure for new callers."""
        while self.is_up and not self.takes_more:
            await self._io.room()

    def exchange(self, data: bytes, count: int, op: Op[Any] | None = None) -> asyncio.Future[Any]:
        """Send packed commands; give the replies, errors as values.

        Of an `op`, give what the replies mean; an error is raised then.
        """
        if not self.is_up:
            raise BackendUnavailable("the connection was closed", code="DC200")
        replied = self._new_future()
        try:
            if self._unsent:
                self._unsent.append(data)
                self._expected.append((replied, count, self._turn_began, op))
            elif self._expected or self._is_busy or not self.takes_more:
                self._begin_turn()
                self._loop.call_soon(self.flush)
                self._unsent.append(data)
                self._expected.append((replied, count, self._turn_began, op))
            else:
                # Nobody else asks for anything: to wait for the end of the turn would cost a turn.
                self._begin_turn()
                self._expected.append((replied, count, self._turn_began, op))
                self._io.write([data])
        except BaseException:
            # A signal's exception, between what is sent and who waits for the reply: from here on
            # replies would go to the wrong callers.
            replied.cancel()  # nobody has it
            self.fail(BackendUnavailable("sending was interrupted", code="DC200"))
            raise
        if len(data) > LARGE_BYTES:
            self._extra[replied] = extra_seconds(len(data))
        return replied

    def flush(self) -> None:
        """Write the commands that are queued."""
        unsent = self._unsent
        if not unsent or not self.takes_more:
            return
        self._unsent = []
        self._is_busy = len(self._expected) > 1
        self._io.write(unsent)

    def pause(self) -> None:
        """Have new callers wait: the socket takes no more."""
        self.takes_more = False

    def resume(self) -> None:
        """Write the commands that are queued: the socket takes more _again."""
        self.takes_more = self.is_up
        self.flush()

    def receive(self, replies: Sequence[Any]) -> None:
        """Hand out replies, in the order in which they came, to the waiting callers."""
        expected, came = self._expected, self._came
        for each in replies:
            reply = each
            if type(reply) is not bytes and isinstance(reply, Exception):
                reply = self._refusal(reply)
                if reply is None:
                    return
            if not expected:
                self.fail(BackendUnavailable("a reply came that nobody waits for", code="DC204"))
                return
            replied, count, _, op = expected[0]
            found: Sequence[Any] = (reply,)
            if count > 1:
                came.append(reply)
                if len(came) < count:
                    continue
                found = tuple(came)
                came.clear()
            self._answered += 1
            expected.popleft()
            if replied.done():  # its caller was cancelled; the reply is taken all the same
                continue
            if op is None:
                replied.set_result(found)
                continue
            try:
                replied.set_result(wire.decode(op, found))
            except Exception as error:  # noqa: BLE001  a reply of any shape
                self._refuse(replied, error)

    def _refusal(self, error: Exception) -> BackendRefused | None:
        """Return an error reply as a value; end the connection at any other error."""
        made = classify(error)
        if not isinstance(made, BackendRefused):
            self.fail(made)
            return None
        if made.right:
            # Later: what an observer raises here would give the next replies to wrong callers.
            self._loop.call_soon(self._on_refused, made)
        return made

    def fail(self, error: BackendError) -> None:
        """End this connection; every waiting caller gets `error`."""
        if not self.is_up:
            return
        self.is_up = self.takes_more = False
        if self._timer is not None:
            self._timer.cancel()
        while self._expected:
            replied, _, _, op = self._expected.popleft()
            if not replied.done():
                made = _again(error)
                replied.set_exception(made if op is None else _of_a_live_connection(made))
        self._unsent.clear()
        self._io.close()
        self._on_end(self)

    def forget(self) -> None:
        """Be down without a word, since the loop has ended."""
        self.is_up = self.takes_more = False
        self._io.forget()

    async def ended(self) -> None:
        """Wait until nothing of it is left on the loop."""
        await self._io.ended()

    def _begin_turn(self) -> None:
        """Take the time of this turn of the loop, and see that somebody watches."""
        if self._is_first_turn:
            self._is_first_turn = False
        else:
            self._turn_began = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_at(self._turn_began + self._patience, self._watch)

    def _refuse(self, replied: asyncio.Future[Any], error: Exception) -> None:
        """Raise the error of a reply at its caller; nonsense ends the connection."""
        if isinstance(error, BackendRefused):
            replied.set_exception(error)
            return
        made = _of_a_live_connection(classify(error))
        replied.set_exception(made)
        self.fail(made)

    def _watch(self) -> None:
        """See whether the oldest command has waited too long; one timer serves them all."""
        self._timer = None
        if not self._expected:
            return
        replied, _, began, op = self._expected[0]
        verdict = self._watchdog.look(
            now=self._loop.time(),
            answered=self._answered,
            began=began,
            extra=self._extra.get(replied, 0.0),
            heard_at=self._io.heard_at,
            heard=self._io.heard_bytes,
            unwritten=self._io.unwritten(),
        )
        if verdict.is_slow and op is not None:
            self._on_slow(op)
        if verdict.error is None:
            self._timer = self._loop.call_at(verdict.next_look, self._watch)
            return
        if verdict.is_own:
            self._expected.popleft()
            if not replied.done():
                replied.set_exception(verdict.error)
            # The others may be answered on a fresh connection: their replies did not take long.
            self.fail(BackendUnavailable("the connection was closed", code="DC200"))
        else:
            self.fail(verdict.error)


def _maker_of_futures(loop: asyncio.AbstractEventLoop) -> Callable[[], asyncio.Future[Any]]:
    """Return what makes a loop's futures; asyncio's own loops only call the class, in Python."""
    if getattr(type(loop), "create_future", None) is asyncio.BaseEventLoop.create_future:
        return partial(asyncio.Future, loop=loop)
    return loop.create_future


def _of_a_live_connection(error: BackendError) -> BackendError:
    """Note on an error that the connection was up when the op was sent."""
    error.was_connected = isinstance(error, BackendUnavailable)
    return error


def _again(error: BackendError) -> BackendError:
    """Return a copy of an error: two callers must not share one traceback."""
    made = type(error)(error.what, code=error.code, details=error.details, help=error.help)
    made.__dict__.update(error.__dict__)
    return made
