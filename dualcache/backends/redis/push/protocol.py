"""What is asked on the listener's connection, and what answers and pushes mean; no I/O, no clock.

Answers come back in the order of the questions; pushes come between them.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from dualcache.core.revocation import channel_of, from_message, life_key
from dualcache.errors import BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from dualcache.backends.redis.wire.resp import Command
    from dualcache.front.tier import Front


class PushProtocol:
    """One life of a stream of pushes, told to the front tier.

    What is told on a channel says nothing of a flush. So with `pubsub` each proof also looks at a
    key whose content was drawn when it was made: another one means that all keys may have gone.
    """

    def __init__(self, front: Front) -> None:
        self._front = front
        self._tracking = front.tracking
        self._now = front.now
        self._expected: deque[Callable[[Any], None]] = deque()
        self._wakes: deque[Callable[[], None]] = deque()
        self.sought: set[str] = set()
        self.client_id = 0
        self._life_key = ""
        self._life: bytes | None = None
        self._role_command: Command = ()
        self.role = ""

    def opening(self, transport: str, prefix: str) -> Generator[Command, Any, float]:
        """Yield what switches pushes on, one command after the reply to the one before.

        Return the moment from which on the stream is complete.
        """
        if transport == "pubsub":
            yield ("SUBSCRIBE", channel_of(prefix))
            self._life_key = life_key(prefix)
            self._life = yield ("GET", self._life_key)
            if self._life is None:
                for command in self._life_commands():
                    self._life = yield command
            return self._now()
        self.client_id = yield ("CLIENT", "ID")
        if transport == "broadcast":
            scope = ("PREFIX", prefix) if prefix else ()
            yield ("CLIENT", "TRACKING", "ON", "BCAST", *scope)
        else:
            yield ("CLIENT", "LIST", "ID", self.client_id)  # each proof will ask for that
        return self._now()

    def watch_role(self, command: Command, reply: Any) -> None:
        """Look at the server's role with each proof: its answer to this command was `reply`.

        A demoted master goes on answering, and pushing what it is told, if anything. Behind a load
        balancer a new connection leads to the new master, but this one stays.
        """
        self._role_command, self.role = command, role_of(reply)

    def expect(self, take: Callable[[Any], None]) -> None:
        """Have `take` called with the answer to what is asked next."""
        self._expected.append(take)

    def proof(self, wake: Callable[[], None] | None) -> list[Command]:
        """Ask whether every tracked connection lives, and for a sign of life behind all pushes."""
        asked_at = self._now()
        ids = self._tracking.ids()
        commands: list[Command] = []
        if ids:
            commands.append(("CLIENT", "LIST", "ID", *ids))
            self.expect(lambda reply: self._listed(ids, reply))
        if self._role_command:
            commands.append(self._role_command)
            self.expect(self._role_told)
        if self._life_key:
            *making, look = self._life_commands()
            commands += (*making, look)
            for _ in making:
                self.expect(lambda _: None)
            self.expect(self._looked)
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
        """Take a push; an `invalidate` of null says that anything may have changed."""
        kind = message[0]
        if kind == b"invalidate":
            names = message[1]
            self._changed(None if names is None else [decoded_name(name) for name in names])
        elif kind == b"message":
            self._told(message[2])
        elif kind == b"subscribe":  # it comes in the place of an answer
            self.answered(message)

    def end(self) -> None:
        """Wake who waits for a proof: the stream is lost."""
        while self._wakes:
            self._wakes.popleft()()

    def _changed(self, names: Sequence[str] | None) -> None:
        if names is not None:
            self.sought.difference_update(names)
        self._front.feed(names)

    def _told(self, message: bytes) -> None:
        """Take what another process tells; a message that makes no sense may mean anything."""
        told = from_message(message)
        names, patterns = told or (None, ())
        self._changed(names)
        if patterns:
            self._front.feed_matching(patterns)

    def _life_commands(self) -> Sequence[Command]:
        """Return what reads the key that tells one life of the data from another, or makes it."""
        look: Command = ("GET", self._life_key)
        if self._life is not None:
            return (look,)
        return ("SET", self._life_key, token_hex(8), "NX"), look

    def _looked(self, found: bytes | None) -> None:
        if found is None or found != self._life:
            self._life = found
            self._front.broken()

    def _role_told(self, reply: Any) -> None:
        if role_of(reply) != self.role:
            raise demoted()

    def _listed(self, ids: Sequence[int], reply: Any) -> None:
        alive = {int(word[3:]) for word in reply.split() if word.startswith(b"id=")}
        if not alive.issuperset(ids):
            self._tracking.forget(set(ids) - alive)
            self._front.broken()

    def _proved(self, asked_at: float, wake: Callable[[], None] | None) -> None:
        self._front.proved(asked_at)
        if wake is not None:
            with suppress(ValueError):
                self._wakes.remove(wake)
            wake()


def role_of(reply: Any) -> str:
    """Return the role that `ROLE` or `INFO replication` tells: `master` or another."""
    if isinstance(reply, list):
        return decoded_name(reply[0])
    head, _, rest = reply.partition(b"role:")
    return decoded_name(rest.partition(b"\r")[0]) if rest else decoded_name(head)


def demoted() -> BackendUnavailable:
    """Return the error for a server that is another master's replica now."""
    return BackendUnavailable(
        "the server has changed its role",
        code="DC220",
        details=(("cause", "another server is the master now"),),
    )


def decoded_name(name: Any) -> str:
    """Return a key's name; a foreign one may be no text."""
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
