"""The transports: how a front tier hears what others change, one class each.

A transport knows what switches pushes on, what provokes the push that its probe must see, what a
proof asks so that the stream counts as complete, what a loss is, and which reads may be kept. It
does no I/O and reads no clock. Another one is a class here, its name in `options/front_tier.py`,
and a test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from dualcache.core.revocation import Revocation, channel_of, from_message, life_keys, to_message

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from dualcache.backends.redis.wire.resp import Command
    from dualcache.front.pushes import HeardTier

__all__ = [
    "AUTOMATIC",
    "BroadcastTransport",
    "Changed",
    "Probe",
    "PubSubTransport",
    "PushTransport",
    "Question",
    "TrackingTransport",
    "Transport",
    "TtlTransport",
    "needs_publishers",
    "transports_for",
]

PROBE_MS: Final = 1_000
"""How long the key of a probe stays."""


class Changed(NamedTuple):
    """The content of a push: changed names and revoked patterns; `None` for names: anything."""

    names: Sequence[str] | None
    patterns: Sequence[str] = ()


class Probe(NamedTuple):
    """Commands that provoke a push of a name: of another connection, then of the listener's."""

    elsewhere: Sequence[Command] = ()
    here: Sequence[Command] = ()


class Question(NamedTuple):
    """A command that goes with each proof, and the callback for its reply."""

    command: Command
    take: Callable[[Any], None]


class Transport:
    """How changes made elsewhere are heard, or that they are not."""

    name: ClassVar[str]
    """As in `FrontTier(transport=…)` and in the statistics."""
    needs_publishers: ClassVar[bool] = False
    """Whether only that is heard which others publish: no probe can see whether they all do, so
    `"auto"` takes it only where the user has said so."""
    caveat: ClassVar[str] = ""
    """A condition that the user must meet; a part of the reason in statistics and log."""


class TtlTransport(Transport):
    """Nothing is heard, so no copy is kept for longer than it may be stale."""

    name = "ttl"


class PushTransport(Transport):
    """Changes are pushed to a connection of the listener; made for each connection.

    `front` hears of losses, `draw` gives a text that was never used, `has` says whether the server
    has the slot of a key: each node of a cluster has some.
    """

    is_tracked: ClassVar[bool] = False
    """Whether a read is pushed for only if its connection is tracked; no other one may be kept."""
    hears_fills: ClassVar[bool] = True
    """Whether a key that is filled is pushed too: who waits for another process need not poll."""

    def __init__(
        self,
        front: HeardTier,
        prefix: str,
        draw: Callable[[], str],
        has: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._front = front
        self._prefix = prefix
        self._draw = draw
        self._has = has
        self.client_id = 0

    def opening(self) -> Generator[Command, Any, None]:
        """Yield the commands that switch pushes on, each after the reply to the one before."""
        raise NotImplementedError

    def probe(self, name: str) -> Probe:
        """Return commands that provoke a push of this name."""
        raise NotImplementedError

    def questions(self) -> list[Question]:
        """List the commands that go with each proof; a reply may mean a loss."""
        return []

    def changed(self, message: Sequence[Any]) -> Changed | None:
        """Read a push; `None` if it is of another kind.

        The server pushes null for names at a FLUSHALL, and when its table of names is full.
        """
        if message[0] != b"invalidate":
            return None
        names = message[1]
        return Changed(None if names is None else [_decoded_name(name) for name in names])


class TrackingTransport(PushTransport):
    """The server remembers what each data connection reads, and pushes that to the listener.

    Precise, and cheap for many processes. But the server forgets what a connection has read when
    that connection goes, and says nothing. So its end is a loss, and each proof asks whether all
    tracked connections are still there.
    """

    name = "tracking"
    is_tracked = True

    def opening(self) -> Generator[Command, Any, None]:
        """Learn the id to which data connections redirect their pushes."""
        self.client_id = yield ("CLIENT", "ID")
        # Each proof will ask for this. A user without the right to it is found out now, and not
        # when copies are kept already.
        yield ("CLIENT", "LIST", "ID", self.client_id)

    def probe(self, name: str) -> Probe:
        """Read the name elsewhere, redirected to here, and write it here."""
        # Read there and written here: a connection's own write un-tracks the key without a push.
        tracking = ("CLIENT", "TRACKING", "ON", "REDIRECT", self.client_id)
        return Probe((tracking, ("GET", name)), (_written(name),))

    def questions(self) -> list[Question]:
        """Ask which of the tracked connections are still there."""
        ids = self._front.tracking.ids()
        if not ids:
            return []
        return [Question(("CLIENT", "LIST", "ID", *ids), lambda reply: self._listed(ids, reply))]

    def _listed(self, ids: Sequence[int], reply: Any) -> None:
        # The list leaves out ids that are gone. What those had read may have changed unheard.
        alive = {int(word[3:]) for word in reply.split() if word.startswith(b"id=")}
        if not alive.issuperset(ids):
            self._front.tracking.forget(set(ids) - alive)
            self._front.broken()


class BroadcastTransport(PushTransport):
    """The server pushes each change under the namespace to the listener's own connection.

    Only that connection has to be trusted, but every process hears every fill: a server with fifty
    such listeners loses most of its writes.
    """

    name = "broadcast"

    def opening(self) -> Generator[Command, Any, None]:
        """Have all changes under the namespace pushed here."""
        self.client_id = yield ("CLIENT", "ID")
        scope = ("PREFIX", self._prefix) if self._prefix else ()
        yield ("CLIENT", "TRACKING", "ON", "BCAST", *scope)

    def probe(self, name: str) -> Probe:
        """Write the name: without NOLOOP the writer hears it too."""
        return Probe(here=(_written(name),))


class PubSubTransport(PushTransport):
    """The processes publish on a channel which names they revoke.

    A notice is published at the node that carries out the change, in one transaction with it. So
    the node's own listener hears it in order. The nodes also pass it on to each other, in no order
    and without a promise; that can only make a tier forget a copy too often.

    A notice does not cover a flush. So each proof also looks at a key whose content was drawn when
    it was made: another content means that all keys may be gone, which is a loss. Fills are not
    published: a caller that waits for one polls.
    """

    name = "pubsub"
    hears_fills = False
    needs_publishers = True
    caveat = "every process of the namespace must have publish=True"

    def __init__(
        self,
        front: HeardTier,
        prefix: str,
        draw: Callable[[], str],
        has: Callable[[str], bool] = lambda _: True,
    ) -> None:
        super().__init__(front, prefix, draw, has)
        self._channel = channel_of(prefix)
        self._life_key: str | None = None
        self._life: bytes | None = None

    def opening(self) -> Generator[Command, Any, None]:
        """Subscribe, and learn the life of the data or begin it."""
        yield ("SUBSCRIBE", self._channel)
        # Each node is flushed by itself. Where it has no such key, it has no key of the namespace.
        self._life_key = next(filter(self._has, life_keys(self._prefix)), None)
        if self._life_key is None:
            return
        self._life = yield ("GET", self._life_key)
        if self._life is None:
            # Two listeners may begin it at once. Both look again: NX lets one of them win.
            yield self._making()
            self._life = yield ("GET", self._life_key)

    def probe(self, name: str) -> Probe:
        """Tell the name from another connection, as the other processes will."""
        return Probe(elsewhere=(("PUBLISH", self._channel, _message(self._channel, name)),))

    def questions(self) -> list[Question]:
        """Look whether the data still have the life that is known, or begin another."""
        if self._life_key is None:
            return []
        look = Question(("GET", self._life_key), self._looked)
        if self._life is not None:
            return [look]
        return [Question(self._making(), lambda _: None), look]

    def changed(self, message: Sequence[Any]) -> Changed | None:
        """Read another process's message; one that makes no sense may mean anything."""
        if message[0] != b"message":
            return None
        told = from_message(message[2])
        return Changed(None) if told is None else Changed(*told)

    def _making(self) -> Command:
        assert self._life_key is not None
        return ("SET", self._life_key, self._draw(), "NX")

    def _looked(self, found: bytes | None) -> None:
        # Where the key is away a second flush could come before it is made again, and nobody could
        # tell: so both this look and the next one, which finds a new life, are losses.
        if found is None or found != self._life:
            self._life = found
            self._front.broken()


AUTOMATIC: Final[tuple[type[Transport], ...]] = (
    TrackingTransport,
    BroadcastTransport,
    PubSubTransport,
    TtlTransport,
)
"""All transports, in the order in which `"auto"` tries them."""
_BY_NAME: Final = {each.name: each for each in AUTOMATIC}


def transports_for(option: str, *, is_publishing: bool) -> tuple[type[Transport], ...]:
    """Return the transports to be tried for an option, best first.

    With `publish=True`, the user says that all processes publish.
    """
    if option in _BY_NAME:
        return (_BY_NAME[option],)
    return tuple(each for each in AUTOMATIC if is_publishing or not each.needs_publishers)


def needs_publishers(option: str) -> bool:
    """Tell whether this transport depends on publishing by all processes."""
    return option in _BY_NAME and _BY_NAME[option].needs_publishers


def _written(name: str) -> Command:
    return ("SET", name, "1", "PX", PROBE_MS)


def _message(channel: str, name: str) -> bytes:
    return to_message(Revocation(channel, (name,)))


def _decoded_name(name: Any) -> str:
    """Return a key's name; a foreign one may be no text."""
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
