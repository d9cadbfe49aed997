"""What is asked on the listener's connection, and what answers and pushes mean; no I/O, no clock.

Answers come back in the order of the questions; pushes come between them.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from dualcache.drivers.tracking import Tracking
    from dualcache.drivers.wire_resp import Command


class Sink(Protocol):
    """Who is told what the listener hears."""

    def connected(self, asked_at: float, *, is_tracked: bool) -> int: ...
    def lost(self) -> None: ...
    def broken(self) -> None: ...
    def proved(self, asked_at: float) -> None: ...
    def feed(self, names: Iterable[str] | None) -> None: ...
    def chose(self, transport: str, reason: str) -> None: ...
    def open_for_ttl(self, reason: str) -> None: ...


class PushProtocol:
    """One life of a stream of pushes. `now` is the sink's clock."""

    def __init__(self, sink: Sink, tracking: Tracking, now: Callable[[], float]) -> None:
        self._sink = sink
        self._tracking = tracking
        self._now = now
        self._expected: deque[Callable[[Any], None]] = deque()
        self._wakes: deque[Callable[[], None]] = deque()
        self.seen: set[str] = set()
        self.client_id = 0

    def opening(self, transport: str, prefix: str) -> Generator[Command, Any, float]:
        """Yield what switches pushes on, one command after the reply to the one before.

        Return the moment from which on the stream is complete.
        """
        self.client_id = yield ("CLIENT", "ID")
        if transport == "broadcast":
            scope = ("PREFIX", prefix) if prefix else ()
            yield ("CLIENT", "TRACKING", "ON", "BCAST", *scope)
        else:
            yield ("CLIENT", "LIST", "ID", self.client_id)  # each proof will ask for that
        return self._now()

    def expect(self, take: Callable[[Any], None]) -> None:
        """Have `take` called with the answer to what is asked next."""
        self._expected.append(take)

    def proof(self, wake: Callable[[], None] | None) -> list[Command]:
        """Ask whether every tracked connection lives, and for a sign of life behind all pushes."""
        asked_at = self._now()
        ids = self._tracking.ids()
        commands: list[Command] = [("PING",)]
        if ids:
            commands.insert(0, ("CLIENT", "LIST", "ID", *ids))
            self.expect(lambda reply: self._listed(ids, reply))
        if wake is not None:
            self._wakes.append(wake)
        self.expect(lambda _: self._proved(asked_at, wake))
        return commands

    def answered(self, reply: Any) -> None:
        """Take an answer; one that nobody expects is nothing to us."""
        if self._expected:
            self._expected.popleft()(reply)

    def pushed(self, message: Sequence[Any]) -> None:
        """Take an `invalidate` push; a null says that anything may have changed."""
        names = message[1]
        if names is None:
            self._sink.feed(None)
            return
        decoded = [decoded_name(name) for name in names]
        self.seen.update(name for name in decoded if "~p:" in name)
        self._sink.feed(decoded)

    def end(self) -> None:
        """Wake who waits for a proof: the stream is lost."""
        while self._wakes:
            self._wakes.popleft()()

    def _listed(self, ids: Sequence[int], reply: Any) -> None:
        alive = {int(word[3:]) for word in reply.split() if word.startswith(b"id=")}
        if not alive.issuperset(ids):
            self._tracking.forget(set(ids) - alive)
            self._sink.broken()

    def _proved(self, asked_at: float, wake: Callable[[], None] | None) -> None:
        self._sink.proved(asked_at)
        if wake is not None:
            with suppress(ValueError):
                self._wakes.remove(wake)
            wake()


def decoded_name(name: Any) -> str:
    """Return a key's name; a foreign one may be no text."""
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
