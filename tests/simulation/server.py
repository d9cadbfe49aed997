"""The server of the simulation: the real memory store behind queues, command by command.

An op travels as one trip of several commands; between two of them another client's may run.
"""

from __future__ import annotations

from collections import deque
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from dualcache.core.ops import (
    Batch,
    Claim,
    Delete,
    Look,
    LookAndLease,
    MakeTags,
    Op,
    ReadTags,
    Scan,
    ScanPage,
    Seen,
    TryLease,
)
from dualcache.drivers.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.ops import NewTag

Command = Op[Any]
FOR_EVER: Final = -1
FOR_AGES_MS: Final = 10**12


def commands_of(op: Op[Any], *, is_sharded: bool = False) -> tuple[Command, ...]:
    """Spell an op as the commands that a server carries out one by one.

    `is_sharded`: keys live on different nodes, so that no two of them are read or deleted at once.
    """
    match op:
        case LookAndLease(key, filling, lease_ms, tags):
            put = TryLease(key, filling, lease_ms)
            return (put, Look(key), *making(tags))
        case Claim(key, filling, lease_ms, tags):
            return (Claim(key, filling, lease_ms), *making(tags))
        case MakeTags(tags):
            return making(tags)
        case Batch(ops):
            return tuple(each for op in ops for each in commands_of(op, is_sharded=is_sharded))
        case Look(key, tags) if tags and is_sharded:
            return (*(ReadTags((tag,)) for tag in reversed(tags)), Look(key))
        case Delete(keys) if is_sharded:
            return tuple(Delete((key,)) for key in keys)
        case _:
            return (op,)


def making(tags: Sequence[NewTag]) -> tuple[Command, ...]:
    return tuple(
        command
        for tag in tags
        for command in (TryLease(tag.key, tag.id, tag.life_ms or FOR_AGES_MS), ReadTags((tag.key,)))
    )


def reply_of(op: Op[Any], replies: Sequence[Any], *, is_sharded: bool = False) -> Any:
    """Put the replies of an op's commands together."""
    match op:
        case LookAndLease(tags=tags):
            return Seen(replies[1].raw, made(replies[2:]), None, (FOR_EVER,) * len(tags))
        case Claim(filling=filling, tags=tags):
            return Seen(filling, made(replies[1:]), None, (FOR_EVER,) * len(tags))
        case MakeTags():
            return made(replies)
        case Batch(ops):
            found, rest = [], list(replies)
            for each in ops:
                count = len(commands_of(each, is_sharded=is_sharded))
                found.append(reply_of(each, rest[:count], is_sharded=is_sharded))
                del rest[:count]
            return tuple(found)
        case Look(tags=tags) if tags and is_sharded:
            return Seen(replies[-1].raw, tuple(ids[0] for ids in reversed(replies[:-1])))
        case Delete() if is_sharded:
            return sum(replies)
        case _:
            return replies[0]


def made(replies: Sequence[Any]) -> tuple[bytes | None, ...]:
    return tuple(ids[0] for ids in replies[1::2])


class Trip:
    """One op on its way: what is still to be carried out, and what came back so far."""

    __slots__ = ("commands", "op", "replies", "total")

    def __init__(self, op: Op[Any], *, is_sharded: bool) -> None:
        self.op = op
        self.commands = deque(commands_of(op, is_sharded=is_sharded))
        self.total = len(self.commands)
        self.replies: list[Any] = []

    @property
    def is_untouched(self) -> bool:
        return len(self.commands) == self.total

    def state(self) -> tuple[Any, ...]:
        return (fingerprint(self.op), len(self.commands), tuple(map(fingerprint, self.replies)))


class Server:
    """Performs commands on the real memory store, where no time passes.

    `names` are all keys that there can be, in the order of a scan.
    """

    def __init__(self, names: Sequence[str], *, is_sharded: bool = False) -> None:
        self.store = MemoryStore(lambda: 0.0)
        self.is_sharded = is_sharded
        self._names = names

    def trip(self, op: Op[Any]) -> Trip:
        return Trip(op, is_sharded=self.is_sharded)

    def reply(self, trip: Trip) -> Any:
        return reply_of(trip.op, trip.replies, is_sharded=self.is_sharded)

    def content(self, name: str) -> bytes | None:
        cell = self.store._cells.get(name)
        return None if cell is None else cell.content

    def state(self) -> tuple[tuple[str, bytes], ...]:
        return tuple(
            sorted((name, bytes(cell.content)) for name, cell in self.store._cells.items())
        )

    def perform(self, command: Command) -> Any:
        if type(command) is Scan:
            return self._page(command)
        return self.store.perform(command)

    def _page(self, op: Scan) -> ScanPage:
        # Pages of one key each, in an order of their own: all that SCAN promises, and no more.
        name = self._names[op.cursor]
        is_found = self.content(name) is not None and fnmatchcase(name, op.pattern)
        cursor = (op.cursor + 1) % len(self._names)
        return ScanPage(cursor, (name.encode(),) if is_found else ())


def fingerprint(value: Any) -> Any:
    """Return something hashable that tells one op or reply from another."""
    if isinstance(value, Op):
        fields = (getattr(value, name) for name in value.__struct_fields__)
        return (type(value).__name__, *map(fingerprint, fields))
    if isinstance(value, tuple | list):
        return tuple(map(fingerprint, value))
    return value
