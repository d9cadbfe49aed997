"""A cache's front tier and the stream of pushes that keeps it coherent, put together."""

from __future__ import annotations

import atexit
import weakref
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

from dualcache.engine.deletion import doomed_by
from dualcache.front.tier import Front
from dualcache.observability.stats import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.backends.redis.push.listener import Listener
    from dualcache.backends.redis.push.tracking import Tracking
    from dualcache.drivers.changes import Changes
    from dualcache.engine.env import Env
    from dualcache.options.front_tier import FrontTier
    from dualcache.options.target import Target

AUTOMATIC: Final = ("tracking", "broadcast", "ttl")
"""The transports in the order in which `"auto"` tries them."""
AUTOMATIC_WHERE_TOLD: Final = ("tracking", "broadcast", "pubsub", "ttl")
"""The same where this process publishes: it was said that every process of the namespace does."""


class CoherentFront:
    """The front tier, its listener where there is a server, and which connections are tracked.

    On `memory://` nobody else writes: the tier is coherent by the drops of this process alone.
    """

    def __init__(
        self,
        options: FrontTier,
        target: Target,
        env: Env,
        changes: Changes,
        max_staleness: float,
        now: Callable[[], float] = monotonic,
        on_demoted: Callable[[], None] = lambda: None,
    ) -> None:
        self.front = Front(
            options, max_staleness=max_staleness, now=now, draw=env.draw, changes=changes
        )
        self.tracking: Tracking | None = None
        self._listener: Listener | None = None
        changes.mark = self.front.mark
        if target.kind != "redis":
            self.front.open_alone()
            changes.ask_proof = proved_at_once
            return
        self._make_listener(options, target, env, changes, max_staleness, on_demoted)

    def close(self) -> None:
        """End the listener; the tier is emptied. The next use begins again."""
        if self._listener is not None:
            self._listener.close()
            self.front.lost()
            self.front.transport, self.front.reason = "none", "closed"
        else:
            self.front.drop_all()

    def reconnect(self) -> None:
        """Empty the tier, and hear changes on another connection."""
        if self._listener is not None:
            self.front.broken()
            self._listener.reconnect()

    def after_fork(self) -> None:
        """Begin anew in a forked child."""
        if self._listener is None or self.tracking is None:
            self.front.drop_all()
            return
        self._listener.after_fork()
        self.tracking.after_fork()
        self.front.after_fork()

    def _make_listener(
        self,
        options: FrontTier,
        target: Target,
        env: Env,
        changes: Changes,
        max_staleness: float,
        on_demoted: Callable[[], None],
    ) -> None:
        from dualcache.backends.redis.push.listener import Listener
        from dualcache.backends.redis.push.tracking import Tracking

        front = self.front
        self.tracking = Tracking(front.broken)
        automatic = AUTOMATIC_WHERE_TOLD if env.channel else AUTOMATIC
        transports = automatic if options.transport == "auto" else (options.transport,)
        listener = Listener(
            target,
            front,
            self.tracking,
            prefix=env.prefix,
            transports=transports,
            max_staleness=max_staleness,
            now=front.now,
            on_demoted=on_demoted,
        )
        self._listener = listener
        changes.ask_proof = listener.ask_proof
        # The thread keeps the listener and the tier alive, so neither may know this object.
        front.start = listener.start
        front.doomed_by = partial(doomed_by, env=env)
        front.on_choice = chosen_line(target.safe_url)
        weakref.finalize(self, listener.stop).atexit = False
        LISTENERS.add(listener)


LISTENERS: Final[weakref.WeakSet[Listener]] = weakref.WeakSet()


@atexit.register
def close_all() -> None:
    """End the threads of listeners that are still there when the interpreter ends."""
    for listener in list(LISTENERS):
        listener.close()


def weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls a method while its object is alive, and does not keep it."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    return call


def proved_at_once(wake: Callable[[], None]) -> bool:
    """Answer a fence where nobody else writes: there is nothing to hear."""
    wake()
    return True


def chosen_line(where: str) -> Callable[[str, str], None]:
    """Return what logs the choice of a transport, once per change."""

    def log_choice(transport: str, reason: str) -> None:
        if transport == "none":
            what = "the front tier of %s is bypassed while changes are not heard (%s)"
            log("WARNING", f"{what}; reads go to the server", where, reason)
        else:
            log("INFO", "the front tier of %s hears changes by %s (%s)", where, transport, reason)

    return log_choice
