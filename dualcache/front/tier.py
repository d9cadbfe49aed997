"""The front tier put together: coherence, stores and the source of pushes.

Flows and drivers ask here (`core.front_ports.TierPort`), the listener tells here.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakSet

from dualcache.core.scope import current_load, next_moment
from dualcache.engine.coherence import Coherence
from dualcache.engine.deletion import revoked_by
from dualcache.front.gate import Gate
from dualcache.front.store import FrontStore, Tags, make_store
from dualcache.front.tracking import Tracking
from dualcache.observability.logs import FRONT, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualcache.drivers.changes import Changes
    from dualcache.front.pushes import Pushes
    from dualcache.options.front_tier import FrontTier

__all__ = ["Front", "log_choice"]


class Front:
    """The front tier of one cache: one machine, one stream of pushes, a store for each limit.

    `listen` makes the listener for pushes, given the tier that it reports to. `where` names the
    server in the log. `lock` guards stores and machine; it is never held while user code runs or
    anybody waits.
    """

    _machine: ClassVar[type[Coherence]] = Coherence

    def __init__(
        self,
        options: FrontTier,
        *,
        max_staleness: float,
        now: Callable[[], float],
        draw: Callable[[], float],
        changes: Changes,
        listen: Callable[[Front], Pushes],
        prefix: str = "",
        where: str = "",
    ) -> None:
        self.options = options
        self.now = now
        self.draw = draw
        self.lock = RLock()
        self.coherence = self._machine(max_staleness)
        self.tags = Tags()
        self.is_bounded = False
        self.transport: str = "none"
        self.reason = ""
        self.losses = 0
        self.gate = Gate(now, self.coherence)
        self.tracking = Tracking(self.broken)
        self._stores: WeakSet[FrontStore] = WeakSet()
        self._changes = changes
        self._prefix = prefix
        self._where = where
        self._hears_fills = True
        self._bypassed = 0
        self.shared = self.store_for(options)
        self.pushes = listen(self)  # last: it may open the tier

    def store_for(self, options: FrontTier) -> FrontStore:
        """Return a store with its own limits."""
        made = make_store(
            options.max_entries, options.max_bytes, is_sieve=options.policy == "sieve"
        )
        with self.lock:  # a push that comes meanwhile walks through the stores
            self._stores.add(made)
        return made

    # What the stream of pushes tells

    def connected(
        self, asked_at: float, *, is_tracked: bool = False, hears_fills: bool = True
    ) -> int:
        """Open the tier: the stream is complete since `asked_at`. Return its number.

        Pushes are on by now. What is in the tier is of before, and may have changed unheard.
        """
        with self.lock:
            self._empty()
            self.is_bounded, self._hears_fills = False, hears_fills
            push_epoch = self.coherence.connected(asked_at, is_tracked=is_tracked)
            self._set_gate()
        self._changes.notify_all()
        return push_epoch

    def lost(self) -> None:
        """Close and empty the tier: the stream may be incomplete."""
        with self.lock:
            was_up = self.coherence.is_up
            self.coherence.lost()
            self._set_gate()
            self._empty()
            self.losses += was_up
        self._changes.notify_all()

    def broken(self) -> None:
        """Empty the tier: a tracked connection is gone, and changes of its reads may be missed."""
        # The stream goes on, so the tier stays open; but reads on their way may be of that
        # connection, so all tickets become void.
        with self.lock:
            self.coherence.feed_all()
            self._empty()
            self.losses += 1
        self._changes.notify_all()

    def open_alone(self) -> None:
        """Open the tier of a store that only this process writes to."""
        self.coherence.connected(float("inf"))
        self.coherence.heard_until(float("inf"))  # its writes drop the copies themselves
        self.transport, self.reason = "local", "nobody else writes"
        self._set_gate()

    def open_bounded(self, transport: str, reason: str, *, is_fixable: bool = False) -> None:
        """Open the tier without pushes: each copy lives no longer than it may be stale."""
        with self.lock:
            if not (self.is_bounded and self.coherence.is_up):  # it may be open for that already
                self._empty()
                self.is_bounded, self._hears_fills = True, False
                self.coherence.connected(float("inf"))
                self._set_gate()
        self.chose(transport, reason, is_fixable=is_fixable)

    def chose(self, transport: str, reason: str, *, is_fixable: bool = False) -> None:
        """Note by which transport changes are heard, and why; log it when the first changes.

        `is_fixable`: a better one lacks only a right, which somebody can grant.
        """
        is_change = transport != self.transport or not self.reason
        self.transport, self.reason = transport, reason
        if is_change:
            log_choice(self._where, transport, reason, is_fixable=is_fixable)

    def proved(self, asked_at: float) -> None:
        """Note a proof that the stream is complete up to `asked_at`."""
        with self.lock:
            self.coherence.proved(asked_at)
            self._set_gate()

    def feed(self, names: Iterable[str] | None) -> None:
        """Take a push: these names have changed; `None`: any may have."""
        if names is None:
            self.drop_all()
            self._changes.notify_all()
            return
        changed = list(names)
        self.drop(changed)
        self._changes.notify(changed)

    def feed_matching(self, patterns: Iterable[str]) -> None:
        """Delete the entries that match another process's patterns."""
        for pattern in patterns:
            self.drop_matching(pattern)
        self._changes.notify_all()

    # What flows and drivers ask (core.front_ports.TierPort)

    def drop(self, names: Iterable[str]) -> None:
        """Forget these keys and whatever has these tags; keep nothing that was read before."""
        changed = list(names)
        with self.lock:
            # The counters rise before anything is dropped: a read that comes back between the two
            # is not kept.
            self.coherence.feed(changed)
            self.tags.kill(changed)
            for store in self._stores:
                for name in changed:
                    store.drop(name)

    def drop_matching(self, pattern: str) -> None:
        """Drop the copies that a pattern revokes; install no earlier read."""
        is_revoked = revoked_by(pattern, self._prefix)
        with self.lock:
            # A read on its way may be of any name that matches: all tickets become void.
            self.coherence.feed_all()
            names = [*self.tags.names(), *(key for store in self._stores for key in store)]
        self.drop([name for name in names if is_revoked(name)])

    def drop_all(self) -> None:
        """Forget everything; keep nothing that was read before."""
        with self.lock:
            self.coherence.feed_all()
            self._empty()

    def mark(self, name: str) -> int | None:
        """Return the counter of a name, for waiters; `None` where fills are not pushed."""
        if not (self._hears_fills and self.coherence.is_up):
            return None
        return self.coherence.mark(name)

    def ask_proof(self, wake: Callable[[], None]) -> bool:
        """Have `wake` called when all pushes of by now are fed. False: nothing is heard."""
        if self.is_bounded:  # in a cluster one node may be, and proves nothing of what it changes
            return False
        moment = next_moment()

        def proved() -> None:
            with self.lock:
                self.coherence.heard_until(moment)
            wake()

        self.coherence.asked = moment
        is_asked = self.pushes.ask_proof(proved)
        if not is_asked:
            self.coherence.asked = 0
        return is_asked

    def may_serve(self) -> bool:
        """Tell whether this call may be served a copy; if not, the server is read instead.

        A load that reads several copies asks for a proof, and does not wait for it.
        """
        load = current_load.get()
        if load is None or self.coherence.may_serve_load(load):
            return True
        load.passed += 1
        if self.coherence.must_ask(load):
            self.ask_proof(_nothing)
        return False

    # Switching

    def bypass(self, *, on: bool) -> None:
        """Let no hit be served outside of flows while somebody wants to see each call."""
        with self.lock:
            self._bypassed += 1 if on else -1
            self._set_gate()

    def reconnect(self) -> None:
        """Empty the tier, and hear changes over another connection."""
        self.pushes.reconnect()

    def close(self) -> None:
        """Empty the tier and stop hearing changes; the next read begins again."""
        self.pushes.close()

    def closed(self) -> None:
        """Note that no changes are heard any more, by the user's wish."""
        self.lost()
        self.transport, self.reason = "none", "closed"

    def after_fork(self) -> None:
        """Begin anew, empty, in a forked child: a thread of the parent may have held the lock."""
        self.lock = RLock()
        self.tracking.after_fork()
        self.coherence.lost()
        self.coherence.asked = 0  # no answer comes to the child
        self._empty()
        self.gate.after_fork()
        self._set_gate()
        self.pushes.after_fork()

    def sizes(self) -> tuple[int, int]:
        """Return how many entries are kept, and in how many bytes as far as they are counted."""
        with self.lock:
            return sum(map(len, self._stores)), sum(store.used_bytes for store in self._stores)

    @property
    def evictions(self) -> int:
        """How many entries went since the stores were full."""
        return sum([store.evictions for store in self._stores])

    def _empty(self) -> None:
        for store in self._stores:
            store.drop_all()

    def _set_gate(self) -> None:
        self.gate.set(is_open=self.coherence.is_up and not self._bypassed)


def _nothing() -> None:
    """Take a proof that nobody waits for."""


def log_choice(where: str, transport: str, reason: str, *, is_fixable: bool) -> None:
    """Log by which transport the changes on a server are heard, or that they are not."""
    fields = {"event": "TransportChosen", "server": where, "transport": transport, "reason": reason}
    if transport == "none":
        what = "the front tier of %s is bypassed while it hears no changes (%s)"
        log(
            "WARNING", f"{what}; reads go to the server", where, reason, logger=FRONT, fields=fields
        )
    else:
        level = "WARNING" if is_fixable else "INFO"
        text = "the front tier of %s hears changes by %s (%s)"
        log(level, text, where, transport, reason, logger=FRONT, fields=fields)
