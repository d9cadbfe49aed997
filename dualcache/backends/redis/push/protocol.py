"""The commands of the listener's connection, its replies and its pushes; no I/O, no clock.

Answers come back in the order of the questions; pushes come between them. What differs between
transports is in `transports.py`.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dualcache.errors import BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from dualcache.backends.redis.push.transports import PushTransport, Question
    from dualcache.backends.redis.wire.resp import Command
    from dualcache.front.pushes import HeardTier

__all__ = ["PushProtocol", "demoted", "role_of"]


class PushProtocol:
    """One life of a stream of pushes, told to the front tier. `sought`: names of open probes.

    `confirmed_at` tells when it was last known that this server is the one to listen to; `None`:
    its address says so.
    """

    def __init__(
        self,
        front: HeardTier,
        transport: PushTransport,
        confirmed_at: Callable[[], float] | None = None,
    ) -> None:
        self._front = front
        self._transport = transport
        self._confirmed_at = confirmed_at or front.now
        self._expected: deque[Callable[[Any], None]] = deque()
        self._wakes: deque[Callable[[], None]] = deque()
        self._role_command: Command = ()
        self._surroundings: Sequence[Question] = ()
        self.sought: set[str] = set()
        self.role = ""

    def opening(self) -> Generator[Command, Any, float]:
        """Yield the commands that switch pushes on, each after the reply to the one before.

        Return the moment from which on the stream is complete: no push can be missing that a write
        after the last reply causes.
        """
        yield from self._transport.opening()
        return self._known_at()

    def watch_role(self, command: Command, reply: Any) -> None:
        """Look at the server's role with each proof: its answer to this command was `reply`.

        A demoted master goes on answering, and pushing the changes that it gets, if any. Behind a
        load balancer a new connection leads to the new master, but this one stays.
        """
        self._role_command, self.role = command, role_of(reply)

    def watch(self, questions: Sequence[Question]) -> None:
        """Ask this with each proof, whatever the transport is."""
        self._surroundings = questions

    def expect(self, take: Callable[[Any], None]) -> None:
        """Call `take` with the reply to the next command."""
        self._expected.append(take)

    def proof(self, wake: Callable[[], None] | None) -> list[Command]:
        """Return the commands of a proof: the transport's questions, then a PING behind all pushes.

        On one connection a PONG comes after the pushes of every write that was acknowledged before
        the PING was sent. So the moment counts at which this is asked, not that of the answer. The
        PING comes last: an answer that tells of a loss is taken before the proof counts.
        """
        asked_at = self._known_at()
        questions = [*self._transport.questions(), *self._surroundings]
        commands = [each.command for each in questions]
        for each in questions:
            self.expect(each.take)
        if self._role_command:
            commands.append(self._role_command)
            self.expect(self._role_told)
        commands.append(("PING",))
        if wake is not None:
            self._wakes.append(wake)
        self.expect(lambda _: self._proved(asked_at, wake))
        return commands

    def answered(self, reply: Any) -> None:
        """Take an answer; one that nobody expects is nothing to us."""
        if self._expected:
            self._expected.popleft()(reply)

    def pushed(self, message: Sequence[Any]) -> None:
        """Read a push, and feed it to the tier."""
        if message[0] == b"subscribe":  # it comes in the place of an answer
            self.answered(message)
            return
        changed = self._transport.changed(message)
        if changed is None:
            return
        if changed.names is not None:
            self.sought.difference_update(changed.names)
        self._front.feed(changed.names)
        if changed.patterns:
            self._front.feed_matching(changed.patterns)

    def end(self) -> None:
        """Wake the waiters for a proof: the stream is lost."""
        while self._wakes:
            self._wakes.popleft()()

    def _known_at(self) -> float:
        """Return the time from which on a proof counts that is asked for now."""
        # A demoted master answers each proof, and hears of no change: what Sentinels said before
        # bounds for how long it is believed.
        return min(self._front.now(), self._confirmed_at())

    def _role_told(self, reply: Any) -> None:
        if role_of(reply) != self.role:
            raise demoted()

    def _proved(self, asked_at: float, wake: Callable[[], None] | None) -> None:
        self._front.proved(asked_at)
        if wake is not None:
            with suppress(ValueError):
                self._wakes.remove(wake)
            wake()


def role_of(reply: Any) -> str:
    """Return the role that `ROLE` or `INFO replication` tells: `master` or another."""
    if isinstance(reply, list):  # of ROLE; INFO replies one text of `name:value` lines
        return _text(reply[0])
    head, _, rest = reply.partition(b"role:")
    return _text(rest.partition(b"\r")[0]) if rest else _text(head)


def demoted() -> BackendUnavailable:
    """Return the error for a server that is another master's replica now."""
    return BackendUnavailable(
        "the server has changed its role",
        code="DC220",
        details=(("cause", "another server is the master now"),),
    )


def _text(word: Any) -> str:
    return word.decode(errors="replace") if isinstance(word, bytes) else str(word)
