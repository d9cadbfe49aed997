"""The wire of a cluster: its topology, and commands that another node has to carry out. Pure.

Source: redis.io/docs/reference/cluster-spec ("Redirection and resharding").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.backends.redis.wire.resp import Spelling, checked, nonsense, pack
from dualcache.core.ops import Op
from dualcache.core.slots import SLOTS
from dualcache.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CLUSTER_SPELLINGS",
    "Exchange",
    "Hop",
    "ReadMoving",
    "ReadSlots",
    "commands_of",
    "hops",
    "merged",
    "place_of",
    "slots_in",
]

REDIRECTIONS: Final = frozenset({"MOVED", "ASK"})
ASKING: Final = pack(("ASKING",))
_SCRIPT: Final = pack(("SCRIPT", "LOAD", ""))[: -len(b"$0\r\n\r\n")]
NO_HOSTS: Final = frozenset({"", "?"})
"""What stands for a host that the node does not know, or does not tell: that of the node asked."""


class Exchange(Op["Sequence[Any]"]):
    """Send the commands of `op` as they are written; replies them all, errors as values."""

    op: Op[Any]
    data: bytes
    awaits: int


class ReadSlots(Op["tuple[str | None, ...]"]):
    """Ask a node, which is reached at `host`, which node has each slot; `None`: nobody has it."""

    host: str


class ReadMoving(Op[bool]):
    """Ask a node whether one of its slots is on its way to another, or from it."""


class Hop(NamedTuple):
    """Commands that another node has to carry out: what is sent there, and what comes back.

    `places` are those of their replies among the first replies, `kept` among those of this hop: the
    reply to ASKING is not one.
    """

    node: str
    data: bytes
    awaits: int
    places: tuple[int, ...]
    kept: tuple[int, ...]
    moved_slots: tuple[int, ...]
    """The slots that have moved there for good."""

    @property
    def is_asking(self) -> bool:
        """Whether a slot is still on its way there."""
        return self.awaits > len(self.places)


def commands_of(data: bytes) -> list[bytes]:
    """Split packed commands."""
    commands: list[bytes] = []
    at = 0
    while at < len(data):
        start = at
        end = data.index(b"\r\n", at)
        parts = int(data[at + 1 : end])
        at = end + 2
        for _ in range(parts):
            end = data.index(b"\r\n", at)
            at = end + 2 + int(data[at + 1 : end]) + 2
        commands.append(data[start:at])
    return commands


def hops(data: bytes, replies: Sequence[Any], asked: str) -> list[Hop]:
    """Return what has to be sent to other nodes, in the order of the commands.

    `asked` is the node that replied. A command that was redirected was not carried out, so the
    same bytes, with their tokens, may go to the other node: they arrive once.
    """
    redirected = {
        at: reply
        for at, reply in enumerate(replies)
        if isinstance(reply, BackendRefused) and reply.prefix in REDIRECTIONS and reply.moved_to
    }
    if not redirected:
        return []
    commands = commands_of(data)
    # Each node keeps scripts of its own, so one that went ahead of its commits goes along.
    ahead = [command for command in commands if command.startswith(_SCRIPT)]
    if len(commands) != len(replies):  # a transaction, which is not taken apart
        return []
    by_node: dict[str, list[int]] = {}
    for at, reply in redirected.items():
        by_node.setdefault(place_of(reply, asked)[1], []).append(at)
    found = []
    for node, places in by_node.items():
        sent = list(ahead)
        kept: list[int] = []
        for at in places:
            if redirected[at].prefix == "ASK":
                sent.append(ASKING)
            kept.append(len(sent))
            sent.append(commands[at])
        moved = [redirected[at] for at in places if redirected[at].prefix == "MOVED"]
        slots = tuple(dict.fromkeys([place_of(reply, asked)[0] for reply in moved]))
        found.append(Hop(node, b"".join(sent), len(sent), tuple(places), tuple(kept), slots))
    return found


def place_of(error: BackendRefused, asked: str) -> tuple[int, str]:
    """Return the slot and the node that a redirection names."""
    slot, _, node = error.moved_to.partition(" ")
    host, _, port = node.rpartition(":")
    return int(slot), f"{asked.rpartition(':')[0] if host in NO_HOSTS else host}:{port}"


def merged(replies: Sequence[Any], hop: Hop, found: Sequence[Any]) -> list[Any]:
    """Return the replies, with those of a hop in their places."""
    made = list(replies)
    for at, kept in zip(hop.places, hop.kept, strict=True):
        made[at] = found[kept]
    return made


def slots_in(ranges: Any, op: ReadSlots) -> tuple[str | None, ...]:
    """Read the reply to `CLUSTER SLOTS`: the node of each slot."""
    if not isinstance(ranges, list):
        raise nonsense()
    slots: list[str | None] = [None] * SLOTS
    for each in ranges:
        first, last, (host, port, *_), *_ = each
        name = "" if host is None else host.decode()
        node = f"{op.host if name in NO_HOSTS else name}:{port}"
        slots[first : last + 1] = [node] * (last + 1 - first)
    return tuple(slots[:SLOTS])


def _slots_reply(op: ReadSlots, replies: Sequence[Any]) -> tuple[str | None, ...]:
    return slots_in(checked(replies[0]), op)


def _moving_reply(_: ReadMoving, replies: Sequence[Any]) -> bool:
    told = checked(replies[0])
    if type(told) is not bytes:
        raise nonsense()
    # A node tells of its own slots alone: `[93-<-id]` comes, `[77->-id]` goes.
    return any(b"myself" in line and b" [" in line for line in told.splitlines())


CLUSTER_SPELLINGS: Final[dict[type[Op[Any]], Spelling]] = {
    Exchange: Spelling(lambda op: op.data, lambda op: op.awaits, lambda _, replies: replies),
    ReadSlots: Spelling(lambda _: pack(("CLUSTER", "SLOTS")), lambda _: 1, _slots_reply),
    ReadMoving: Spelling(lambda _: pack(("CLUSTER", "NODES")), lambda _: 1, _moving_reply),
}
