"""Who the master is, watched: one daemon thread asks the Sentinels, for both colours.

It asks at every connect and within each third of `max_staleness`. It alone has the connections to
the Sentinels, so a caller that is interrupted or cancelled leaves none of them dirty or locked.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import RLock, Thread, current_thread
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from msgspec.structs import replace

from dualcache.backends.redis.sentinel.asking import MOVED, SILENT, Failure, Sentinels
from dualcache.drivers.threads import start
from dualcache.engine.master import Master
from dualcache.options.place import Address

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.options.target import Target

    Outcome: TypeAlias = Address | Failure
    Request: TypeAlias = Callable[[Outcome], None]

__all__ = ["MasterWatch"]

END: Final = None
"""What tells the thread to end, in the place of a request."""


class MasterWatch:
    """Knows the master's address, and has connections leave a server in time.

    `on_change` is called when Sentinels name another master, `on_silence` when none of them has
    confirmed the connected one for as long as an answer may be trusted.

    The thread begins at the first connect. It keeps this alive, and nothing of the cache.
    """

    def __init__(
        self,
        target: Target,
        max_staleness: float,
        *,
        on_silence: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        self.master = Master(max_staleness)
        self._target = target
        self._on_silence = on_silence
        self._on_change = on_change
        self._begin()

    def _begin(self) -> None:
        self._lock = RLock()  # the collector may call `stop` in a thread that has it
        self._thread: Thread | None = None
        self._requests: SimpleQueue[Request | None] = SimpleQueue()

    def after_fork(self) -> None:
        """Begin anew in a forked child; the parent's thread and sockets are left alone."""
        self._begin()

    @property
    def is_trusted(self) -> bool:
        """Whether a server that is connected may be read from."""
        return monotonic() < self.master.trusted_until

    def confirmed_at(self) -> float:
        """Return when the Sentinels were asked last for the answer that counts."""
        return self.master.confirmed_at

    def leave_if_overdue(self) -> None:
        """Leave the server if no Sentinel has confirmed it for too long."""
        if self.master.is_overdue(monotonic()):
            self._on_silence()

    def doubt(self, target: Target) -> None:
        """Have another Sentinel asked first: the server that was named could not be connected."""
        if target.host is not None and target.port is not None:
            self.master.doubt(Address(target.host, target.port))

    def located(self) -> Target:
        """Return the target of the master itself; raise `BackendUnavailable`.

        Its time for connecting is the time that asking has left. If another server turns out to be
        the master, that is an error first: deletions to be repeated there go before the current op.
        """
        began, before = monotonic(), self.master.address
        answer: SimpleQueue[Outcome] = SimpleQueue()
        self._ask(answer.put)
        try:
            outcome = answer.get(timeout=self._target.socket_connect_timeout)
        except Empty:
            outcome = SILENT
        self._require_same(before)
        return self._master_of(outcome, began)

    async def located_async(self) -> Target:
        """Return the same without blocking the loop."""
        began, before = monotonic(), self.master.address
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Outcome] = loop.create_future()

        def settle(outcome: Outcome) -> None:
            if not answer.done():
                answer.set_result(outcome)

        def tell(outcome: Outcome) -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, outcome)

        self._ask(tell)
        try:
            async with asyncio.timeout(self._target.socket_connect_timeout):
                outcome = await answer
        except TimeoutError:
            outcome = SILENT
        self._require_same(before)
        return self._master_of(outcome, began)

    def stop(self) -> Thread | None:
        """Let the thread end by itself; the next connect begins another."""
        with self._lock:
            thread, self._thread = self._thread, None
            requests, self._requests = self._requests, SimpleQueue()
        requests.put(END)
        return thread

    def close(self) -> None:
        """End the thread, and wait for it."""
        thread = self.stop()
        if thread is not None and thread is not current_thread():
            thread.join(2)

    def _ask(self, request: Request) -> None:
        with self._lock:
            requests = self._requests
            if self._thread is None:
                parts = (requests,)
                thread = Thread(
                    target=self._run, args=parts, name="dualcache-sentinel", daemon=True
                )
                try:
                    start(thread)
                except RuntimeError:  # no more threads, or the interpreter ends
                    request(SILENT)
                    return
                self._thread = thread
        requests.put(request)

    def _run(self, requests: SimpleQueue[Request | None]) -> None:
        sentinels = Sentinels(self._target)
        is_ending = False
        while not is_ending:
            waiting = self._waiting(requests)
            is_ending = END in waiting
            outcome: Outcome = SILENT
            if not is_ending:
                with suppress(Exception):  # whatever it is, the thread goes on
                    outcome = self._look(sentinels)
            for request in waiting:
                if request is not None:
                    request(outcome)
        sentinels.close()

    def _waiting(self, requests: SimpleQueue[Request | None]) -> list[Request | None]:
        """Wait until somebody asks, or the interval is over; return all who wait by then."""
        waiting: list[Request | None] = []
        with suppress(Empty):
            waiting.append(requests.get(timeout=self.master.interval))
            while True:
                waiting.append(requests.get_nowait())
        return waiting

    def _look(self, sentinels: Sentinels) -> Outcome:
        """Ask the Sentinels, and have the server left that is the master no more."""
        asked_at = monotonic()
        if self.master.take_doubt():
            sentinels.pass_over()
        outcome = sentinels.master()
        if isinstance(outcome, Failure):
            self.leave_if_overdue()
        # The old server is left before anybody is told of the new one: what is connected next must
        # not be dropped for what was.
        elif self.master.told(outcome, asked_at):
            self._on_change()
        return outcome

    def _require_same(self, before: object) -> None:
        """Raise the error of a cut connection if the master is another than it was."""
        if before is not None and before != self.master.address:
            made = MOVED.error()
            made.was_connected = True
            raise made

    def _master_of(self, outcome: Outcome, began: float) -> Target:
        if isinstance(outcome, Failure):
            # While the last answer holds, nobody needs another one.
            if not self.is_trusted:
                raise outcome.error()
            outcome = cast(Address, self.master.address)
        spent = monotonic() - began
        total = self._target.socket_connect_timeout
        return replace(
            self._target,
            host=outcome.host,
            port=outcome.port,
            sentinels=(),
            socket_connect_timeout=max(total - spent, total / (1 + len(self._target.sentinels))),
        )
