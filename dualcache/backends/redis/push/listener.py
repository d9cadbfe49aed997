"""The listener: one daemon thread that hears which keys changed and proves that it hears all.

It serves both colours and every loop. It never waits for a lock that user code can hold.
"""

from __future__ import annotations

import atexit
import weakref
from contextlib import suppress
from threading import Event, RLock, Thread, current_thread
from typing import TYPE_CHECKING, Final

from dualcache.backends.redis.credentials import Credentials
from dualcache.backends.redis.errors import classify, reason_of
from dualcache.backends.redis.push.connection import PushLink
from dualcache.backends.redis.push.failures import Pauses, is_about_role, is_passing
from dualcache.backends.redis.push.protocol import demoted
from dualcache.backends.redis.push.transports import PushTransport
from dualcache.backends.redis.push.waiter import Waiter
from dualcache.core.interrupts import interrupt_in
from dualcache.drivers.threads import start
from dualcache.errors import BackendError, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.backends.redis.push.cluster_view import ClusterView
    from dualcache.backends.redis.push.transports import Transport
    from dualcache.backends.redis.sentinel.watch import MasterWatch
    from dualcache.front.pushes import HeardTier
    from dualcache.options.target import Target

__all__ = ["Listener"]

HEARTBEATS: Final = 3
"""Proofs asked for within the bound on staleness."""


class Listener:
    """Connects, chooses a transport, hears pushes, asks for proofs, and begins again after a loss.

    `transports` are tried in this order; one counts only if a real push was seen on it. All waits
    are those of `waiter`. `leave_server` drops the connections of the whole cache: it is called
    where the address may lead to another master. With a `watch` the server is its master; with
    `make_view` it is a node of a cluster, whose view of that is part of each proof.

    The thread keeps the listener and the tier alive, and nothing of the cache: so a cache that
    nobody holds goes, and has `stop` called.
    """

    def __init__(
        self,
        front: HeardTier,
        target: Target,
        *,
        prefix: str,
        transports: Sequence[type[Transport]],
        max_staleness: float,
        leave_server: Callable[[], None] = lambda: None,
        waiter: Waiter | None = None,
        watch: MasterWatch | None = None,
        make_view: Callable[[], ClusterView] | None = None,
    ) -> None:
        self._leave_server = leave_server
        self._had_master = False
        self._target = target
        self._credentials = Credentials(target)
        self._watch = watch
        self._make_view = make_view
        self._front = front
        self._prefix = prefix
        self._transports = transports
        self._waiter = waiter or Waiter()
        self._interval = max_staleness / HEARTBEATS
        self._lock = RLock()  # the collector may call `stop` in a thread that has it
        self._thread: Thread | None = None
        self._ending: Thread | None = None
        self._stopping = Event()
        self._link: PushLink | None = None
        _LISTENERS.add(self)

    def start(self) -> None:
        """Let the thread run, if it does not yet."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        before = self._ending
        parts = (self._stopping, before)
        thread = Thread(target=self._run, args=parts, name="dualcache-listener", daemon=True)
        try:
            self._thread = thread
            start(thread)
        except BaseException as error:
            # An interrupt may come when the thread already runs: it is told to end, and the thread
            # of the next `start` waits for it. One that is yet to begin finds that it is to end;
            # nobody could wait for one that never begins.
            self.stop()
            if not thread.is_alive():
                self._ending = before
            # The interpreter may be ending, or have too many threads: the tier then stays closed.
            if not isinstance(error, RuntimeError) or interrupt_in(error) is not None:
                raise

    def close(self) -> None:
        """End the thread, and empty the tier. The next `start` begins again."""
        self.end()
        self._front.closed()

    def end(self) -> None:
        """End the thread and wait for it."""
        thread = self.stop()
        if thread is not None and thread is not current_thread():
            thread.join(2)

    def stop(self) -> Thread | None:
        """Let the thread end by itself."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._ending = thread or self._ending
            self._stopping.set()
            self._stopping = Event()
            if self._link is not None:
                self._link.close()
        return thread

    def reconnect(self) -> None:
        """Leave the server that is connected: the tier is closed until another connection is up."""
        self._front.broken()
        link = self._link
        if link is not None:
            link.close()

    def after_fork(self) -> None:
        """Begin anew in a forked child; the parent's thread and socket are left alone."""
        self._lock = RLock()
        self._thread = self._ending = None
        self._stopping = Event()
        self._link = None

    def ask_proof(self, wake: Callable[[], None]) -> bool:
        """Have `wake` called when all pushes of by now are fed, or the stream is lost.

        False: there is no stream to ask.
        """
        link = self._link
        if link is None:
            return False
        try:
            link.ask_proof(wake)
        except BackendError:
            link.close()
            return False
        except BaseException:  # half of the question may have been sent
            link.close()
            raise
        return True

    def _run(self, stopping: Event, before: Thread | None) -> None:
        if before is not None:
            before.join()  # it still tells the tier of its end
        pauses = Pauses()
        is_without = is_fixable = False
        while not stopping.is_set():
            try:
                link = self._opened()
                is_without = link is None
                if link is not None:
                    pauses = Pauses()
                    self._listen(link, stopping)
            except Exception as raised:  # noqa: BLE001  whatever it is, the thread goes on
                error = classify(raised)
                is_fixable = error.is_configuration
                if self._had_master and is_about_role(error):
                    self._leave_server()
                if not stopping.is_set() and not is_without:
                    with suppress(Exception):  # a handler of the log that raises
                        self._front.chose("none", reason_of(error))
            finally:
                self._end()
            if is_without and not any(issubclass(each, PushTransport) for each in self._transports):
                return  # there is nothing to be tried again
            self._waiter.until_set(stopping, pauses.next(is_long=is_without or is_fixable))

    def _end(self) -> None:
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            self._front.tracking.close()
            self._front.lost()
            link.end()

    def _opened(self) -> PushLink | None:
        """Return a link on which a push was seen, by the first transport that works.

        `None`: the tier does without pushes.
        """
        refusals: list[str] = []
        is_fixable = False
        for transport in self._transports:
            if not issubclass(transport, PushTransport):
                reason = "; ".join(refusals) or "asked for"
                self._front.open_bounded(transport.name, reason, is_fixable=is_fixable)
                return None
            link = self._made(transport)
            try:
                asked_at = link.open()
            except Exception as raised:  # noqa: BLE001  answers of any shape
                link.end()
                error = classify(raised)
                if is_passing(error, is_open=link.is_open):
                    raise error from None
                refusals.append(f"{transport.name}: {reason_of(error)}")
                is_fixable = is_fixable or error.is_configuration
                continue
            self._require_master(link)
            self._use(link, asked_at)
            if link.role_refusal is not None:
                refusals.append(f"role: {reason_of(link.role_refusal)}")
                is_fixable = is_fixable or link.role_refusal.is_configuration
            if transport.caveat:
                refusals.append(transport.caveat)
            reason = "; ".join(refusals) or "a push was seen"
            self._front.chose(transport.name, reason, is_fixable=is_fixable)
            return link
        raise BackendUnavailable(
            "this server sends changes by no transport",
            code="DC210",
            details=(("tried", "; ".join(refusals)),),
            help="allow CLIENT TRACKING, or choose FrontTier(transport='ttl')",
        )

    def _made(self, transport: type[PushTransport]) -> PushLink:
        target = self._credentials.put_into(self._target)
        view = None if self._make_view is None else self._make_view()
        parts = (self._prefix, self._waiter, self._watch, view)
        return PushLink(target, self._front, transport, *parts)

    def _require_master(self, link: PushLink) -> None:
        """Raise if the server was the master and is a replica now; have the old one left."""
        if self._had_master and link.is_of_other:
            link.end()
            raise demoted()
        if self._had_master:
            # The link before was lost, and nobody can tell by which server: behind one address
            # another may be the master now. The data connections would stay at the old one.
            self._leave_server()
        self._had_master = self._had_master or link.is_of_master

    def _use(self, link: PushLink, asked_at: float) -> None:
        """Open the tier: proofs can be asked for first, and reads are tracked last.

        In another order a fence would find no stream while hits are served already, or a read would
        be tracked for a stream whose tier still belongs to the one before.
        """
        with self._lock:
            self._link = link
        transport = link.transport
        push_epoch = self._front.connected(
            asked_at, is_tracked=transport.is_tracked, hears_fills=transport.hears_fills
        )
        if transport.is_tracked:
            self._front.tracking.open(push_epoch, transport.client_id)

    def _listen(self, link: PushLink, stopping: Event) -> None:
        asked = self._ask(link)
        while not stopping.is_set():
            left = asked + self._interval - self._waiter.now()
            if left > 0:
                link.hear(left)
            # Behind many pushes the thread is late, and the answer is among what it has not read:
            # it reads on, and judges the link when nothing is left, or after one interval more.
            elif not link.hear(0) or left < -self._interval:
                link.require_life(asked)
                asked = self._ask(link)

    def _ask(self, link: PushLink) -> float:
        """Ask for a proof; return when, by the clock of the waits."""
        asked = self._waiter.now()
        link.ask_proof(None)
        return asked


_LISTENERS: Final[weakref.WeakSet[Listener]] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """End the threads of listeners that are still there when the interpreter ends."""
    for listener in list(_LISTENERS):
        listener.end()
