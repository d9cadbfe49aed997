"""A connection of the simulation: two queues, and what the server knows about the client's end."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.simulation.commands import Trip, fingerprint

if TYPE_CHECKING:
    from dualcache.core.ops import Op
    from tests.simulation.actor import Actor


class Push(NamedTuple):
    """An announcement: these names have changed; `None`: any may have."""

    names: tuple[str, ...] | None


class Message(NamedTuple):
    """What another process has published."""

    content: bytes


class Answer(NamedTuple):
    """The reply to one question of a listener."""

    content: Any


END: Final = Push(("the connection ended",))
"""What a client reads when the other end has closed."""


class Connection:
    """What a client asked and the server has not done yet, what it answered and nobody read yet.

    `redirect` is the connection to which changes of what is read here are announced, where that is
    switched on; on a broadcast every change is announced here. `is_data`: callers ask on it.
    `is_open`: the server has it. `is_silent`: nothing gets through any more, and nobody says so.
    `is_left`: the client has gone. `node` is that of a cluster to which it leads.
    `is_subscribed`: messages are told here; `gossip` are those of other nodes, still on their way.
    """

    __slots__ = (
        "answers",
        "gossip",
        "id",
        "is_broadcast",
        "is_data",
        "is_left",
        "is_open",
        "is_sharded",
        "is_silent",
        "is_subscribed",
        "label",
        "node",
        "redirect",
        "requests",
    )

    def __init__(self, number: int, label: str, *, is_data: bool, is_sharded: bool) -> None:
        self.id = number
        self.label = label
        self.is_data = is_data
        self.is_sharded = is_sharded
        self.node = ""
        self.requests: deque[Trip] = deque()
        self.answers: deque[Any] = deque()
        self.redirect: int | None = None
        self.is_broadcast = False
        self.is_subscribed = False
        self.gossip: deque[Message] = deque()
        self.is_open = True
        self.is_silent = False
        self.is_left = False

    def send(self, op: Op[Any], actor: Actor | None = None) -> Trip:
        trip = Trip(op, actor, is_sharded=self.is_sharded)
        if not self.is_silent and self.is_open:
            self.requests.append(trip)
        return trip

    def answer(self, item: Any) -> None:
        is_awaited = not isinstance(item, Trip) or item.actor is not None
        if is_awaited and not (self.is_silent or self.is_left):
            self.answers.append(item)

    def give_up(self, actor: Actor) -> None:
        """Let nobody hear what a caller asked for."""
        for trip in self.requests:
            if trip.actor is actor:
                trip.actor = None
        self.answers = deque(trip for trip in self.answers if trip.actor is not actor)

    def leave(self) -> None:
        """The client is gone: the server may still do what it was asked, nobody hears of it."""
        self.is_left = True
        self.answers.clear()
        self.gossip.clear()
        for trip in self.requests:
            trip.actor = None

    @property
    def identity(self) -> int:
        """The number that others know it by, 0 where none does."""
        return 0 if self.is_data and self.redirect is None else self.id

    def state(self) -> tuple[Any, ...]:
        return (
            self.identity,
            self.redirect,
            (self.is_broadcast, self.is_subscribed, tuple(self.gossip)),
            (self.is_open, self.is_silent, self.is_left),
            tuple(trip.state() for trip in self.requests),
            tuple(
                item.state() if isinstance(item, Trip) else fingerprint(item)
                for item in self.answers
            ),
        )
