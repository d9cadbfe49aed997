"""The wire of a cluster: its topology, and commands that another node has to carry out. Pure.

Source: redis.io/docs/reference/cluster-spec ("Redirection and resharding").
"""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.backends.redis.wire.publish import EXEC, MULTI
from dualcache.backends.redis.wire.resp import Spelling, checked, nonsense, pack
from dualcache.core.ops import Op
from dualcache.core.slots import SLOTS
from dualcache.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "CLUSTER_SPELLINGS",
    "REDIRECTIONS",
    "Exchange",
    "Hop",
    "ReadSlots",
    "ReadView",
    "View",
    "commands_of",
    "hops",
    "merged",
    "place_of",
    "slots_in",
]

REDIRECTIONS: Final = frozenset({"MOVED", "ASK"})
ASKING: Final = pack(("ASKING",))
_SLOTS: Final = pack(("CLUSTER", "SLOTS"))
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


class View(NamedTuple):
    """How a node sees the cluster: the node of each slot, `None` where nobody has it.

    `is_moving`: a slot of this node is on its way to another node, or from it, as far as it says.
    """

    slots: tuple[str | None, ...]
    is_moving: bool


class ReadView(Op[View]):
    """Ask a node, which is reached at `host`, how it sees the cluster."""

    host: str


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
    """Return the commands to send to other nodes, in their order.

    `asked` is the node that replied. A command that was redirected was not carried out, so the same
    bytes, with their tokens, may go to the other node: they arrive once.
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
    if len(commands) != len(replies):
        return []
    by_node: dict[str, list[tuple[list[int], BackendRefused]]] = {}
    for unit in _units(commands):
        places = _not_carried_out(unit, replies, redirected)
        if places:
            # All of a unit is of one slot, so the first redirection is that of each.
            reply = next(redirected[at] for at in places if at in redirected)
            by_node.setdefault(place_of(reply, asked)[1], []).append((places, reply))
    return [_hop(node, sent, commands, ahead, asked) for node, sent in by_node.items()]


def _hop(
    node: str,
    sent: Sequence[tuple[list[int], BackendRefused]],
    commands: Sequence[bytes],
    ahead: Sequence[bytes],
    asked: str,
) -> Hop:
    """Return the commands at these places, as they go to another node."""
    written = list(ahead)
    kept: list[int] = []
    for places, reply in sent:
        for at in places:
            # ASKING counts for one command, and before MULTI for all up to its EXEC.
            if reply.prefix == "ASK" and (at == places[0] or commands[places[0]] != MULTI):
                written.append(ASKING)
            kept.append(len(written))
            written.append(commands[at])
    moved = [place_of(reply, asked)[0] for _, reply in sent if reply.prefix == "MOVED"]
    slots = tuple(dict.fromkeys(moved))
    places_sent = tuple([at for places, _ in sent for at in places])
    return Hop(node, b"".join(written), len(written), places_sent, tuple(kept), slots)


def _units(commands: Sequence[bytes]) -> list[range]:
    """Return the places of the commands that belong together: those of a transaction do."""
    found: list[range] = []
    at = 0
    while at < len(commands):
        end = commands.index(EXEC, at) + 1 if commands[at] == MULTI else at + 1
        found.append(range(at, end))
        at = end
    return found


def _not_carried_out(
    unit: range, replies: Sequence[Any], redirected: Mapping[int, BackendRefused]
) -> list[int]:
    """Return the places of a unit that another node has to carry out; none: nothing of it."""
    own = [at for at in unit if at in redirected]
    if not own or len(unit) == 1:
        return own
    if not isinstance(replies[unit.start], BackendRefused):
        # One redirected command aborts the transaction, and at EXEC the slot is looked at again. So
        # nothing was carried out, and nothing told: all of it goes there.
        return list(unit)
    # Without transactions each command was carried out as it came, and the notice went out ahead
    # of what it tells. It goes out once more behind that.
    return [*own, unit[-2]]


def place_of(error: BackendRefused, asked: str) -> tuple[int, str]:
    """Return the slot and the node that a redirection names."""
    slot, _, node = error.moved_to.partition(" ")
    host, _, port = node.rpartition(":")
    return int(slot), intern(f"{asked.rpartition(':')[0] if host in NO_HOSTS else host}:{port}")


def merged(replies: Sequence[Any], hop: Hop, found: Sequence[Any]) -> list[Any]:
    """Return the replies, with those of a hop in their places."""
    made = list(replies)
    for at, kept in zip(hop.places, hop.kept, strict=True):
        made[at] = found[kept]
    return made


def slots_in(ranges: Any, op: ReadSlots | ReadView) -> tuple[str | None, ...]:
    """Read the reply to `CLUSTER SLOTS`: the node of each slot.

    Equal names are one object: topologies of 16 384 names are compared.
    """
    if not isinstance(ranges, list):
        raise nonsense()
    slots: list[str | None] = [None] * SLOTS
    for each in ranges:
        first, last, (host, port, *_), *_ = each
        name = "" if host is None else host.decode()
        node = intern(f"{op.host if name in NO_HOSTS else name}:{port}")
        slots[first : last + 1] = [node] * (last + 1 - first)
    return tuple(slots[:SLOTS])


def _slots_reply(op: ReadSlots, replies: Sequence[Any]) -> tuple[str | None, ...]:
    return slots_in(checked(replies[0]), op)


def _view_reply(op: ReadView, replies: Sequence[Any]) -> View:
    slots, told = slots_in(checked(replies[0]), op), replies[1]
    if isinstance(told, BackendRefused):  # a right is missing
        return View(slots, is_moving=False)
    if type(told) is not bytes:
        raise nonsense()
    # A node tells of its own slots alone: `[93-<-id]` comes, `[77->-id]` goes.
    own = [line for line in told.splitlines() if b"myself" in line]
    return View(slots, any(b" [" in line for line in own))


CLUSTER_SPELLINGS: Final[dict[type[Op[Any]], Spelling]] = {
    Exchange: Spelling(lambda op: op.data, lambda op: op.awaits, lambda _, replies: replies),
    ReadSlots: Spelling(lambda _: _SLOTS, lambda _: 1, _slots_reply),
    ReadView: Spelling(lambda _: _SLOTS + pack(("CLUSTER", "NODES")), lambda _: 2, _view_reply),
}
