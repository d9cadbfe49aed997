"""Where the front tier hears of changed names: a port, and its answer on `memory://`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualcache.front.tracking import Tracking

__all__ = ["HeardTier", "LocalWrites", "NoPushes", "Pushes"]


class Pushes(Protocol):
    """Hears changes of others, and feeds them to one tier.

    `backends.redis.push.listener.Listener` answers where there is a server, `LocalWrites` on
    `memory://`.
    """

    def start(self) -> None:
        """Begin to hear, if that has not begun yet."""

    def ask_proof(self, wake: Callable[[], None]) -> bool:
        """Have `wake` called when all pushes of by now are fed. False: nothing is heard."""
        ...

    def reconnect(self) -> None:
        """Empty the tier, and hear changes over another connection."""

    def stop(self) -> object:
        """Stop the thread without waiting for it."""

    def close(self) -> None:
        """Stop hearing, and empty the tier; the next start begins again."""

    def after_fork(self) -> None:
        """Begin anew in a forked child; its tier is empty and closed."""


class HeardTier(Protocol):
    """What a listener tells: the tier of its server, or of its node of a cluster."""

    now: Callable[[], float]
    tracking: Tracking

    def connected(
        self, asked_at: float, *, is_tracked: bool = False, hears_fills: bool = True
    ) -> int:
        """Open: the stream is complete since `asked_at`. Return its number."""
        ...

    def lost(self) -> None:
        """Empty the tier, and close it for this stream."""

    def broken(self) -> None:
        """Empty the tier; the stream goes on."""

    def open_bounded(self, transport: str, reason: str, *, is_fixable: bool = False) -> None:
        """Open without pushes: each copy lives no longer than it may be stale."""

    def chose(self, transport: str, reason: str, *, is_fixable: bool = False) -> None:
        """Note by which transport changes are heard, and why."""

    def proved(self, asked_at: float) -> None:
        """Note a proof that the stream is complete up to `asked_at`."""

    def feed(self, names: Iterable[str] | None) -> None:
        """Take a push: these names have changed; `None`: any may have."""

    def feed_matching(self, patterns: Iterable[str]) -> None:
        """Delete the entries that match another process's patterns."""

    def closed(self) -> None:
        """Note that no changes are heard any more, by the user's wish."""


class _LocalTier(Protocol):
    """The front tier, as one process alone writes behind it."""

    def open_alone(self) -> None: ...

    def drop_all(self) -> None: ...


class _BoundedTier(Protocol):
    """The front tier, whose copies live no longer than they may be stale."""

    def open_bounded(self, transport: str, reason: str) -> None: ...

    def closed(self) -> None: ...


class NoPushes:
    """Stands for pushes where none can be heard: no copy lives longer than it may be stale."""

    def __init__(self, front: _BoundedTier, reason: str) -> None:
        self._front = front
        self._reason = reason
        self._is_open = False

    def start(self) -> None:
        """Open the tier, if it is not open yet."""
        if not self._is_open:
            self._is_open = True
            self._front.open_bounded("ttl", self._reason)

    def ask_proof(self, wake: Callable[[], None]) -> bool:
        """Prove nothing: nothing is heard."""
        del wake
        return False

    def reconnect(self) -> None:
        """There is no connection."""

    def stop(self) -> None:
        """There is nothing that runs."""

    def close(self) -> None:
        """Empty the tier; the next start begins again."""
        self._is_open = False
        self._front.closed()

    def after_fork(self) -> None:
        """Begin anew in a forked child; its tier is empty and closed."""
        self._is_open = False


class LocalWrites:
    """Stands for pushes where only this process writes: the drops by its writes are enough."""

    def __init__(self, front: _LocalTier) -> None:
        self._front = front
        front.open_alone()

    def start(self) -> None:
        """There is nothing to begin."""

    def ask_proof(self, wake: Callable[[], None]) -> bool:
        """Prove at once: there is nothing to hear."""
        wake()
        return True

    def reconnect(self) -> None:
        """There is no connection."""

    def stop(self) -> None:
        """There is nothing that runs."""

    def close(self) -> None:
        """Empty the tier."""
        self._front.drop_all()

    def after_fork(self) -> None:
        """Open the child's tier."""
        self._front.open_alone()
