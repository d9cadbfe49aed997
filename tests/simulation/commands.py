"""Ops as commands that a server does one by one; between two of them another client's may run."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from dualcache.core.ops import (
    Batch,
    Claim,
    Delete,
    Look,
    LookAndLease,
    MakeTag,
    MakeTags,
    Op,
    RawRead,
    ReadTags,
    TryLease,
)
from dualcache.core.scans import ReadHeads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.ops import NewTag
    from tests.simulation.actor import Actor

Command = Op[Any]
FOR_EVER: Final = -1
FOR_AGES_MS: Final = 10**12


class Words(Op[Any]):
    """A command about connections, as it is spelled."""

    words: tuple[Any, ...]


class Switch(Op[Any]):
    """Have what this connection reads pushed to another: two commands in one trip."""

    client_id: int


def commands_of(op: Op[Any], *, is_sharded: bool = False) -> tuple[Command, ...]:
    """Spell an op as commands.

    `is_sharded`: keys live on different nodes, so that no two of them are read or deleted at once,
    and a lifetime is read apart from its key.
    """
    match op:
        case LookAndLease(key, filling, lease_ms, tags):
            put = TryLease(key, filling, lease_ms)
            return (put, Look(key, (), with_ttl=True), *making(tags))
        case Claim(key, filling, lease_ms, tags, notice):
            return (Claim(key, filling, lease_ms, (), notice), *making(tags))
        case MakeTags(tags):
            return making(tags)
        case MakeTag(tag):
            return making((tag,))
        case Batch(ops):
            return tuple(each for op in ops for each in commands_of(op, is_sharded=is_sharded))
        case Look(key, tags, with_ttl) if (tags or with_ttl) and is_sharded:
            lifetimes = (Look(key, (), True),) if with_ttl else ()
            return (*(ReadTags((tag,)) for tag in reversed(tags)), Look(key), *lifetimes)
        case Delete(keys) if is_sharded:
            return tuple(Delete((key,)) for key in keys)
        case ReadHeads(keys):
            return tuple(ReadHeads((key,)) for key in keys)
        case Switch(client_id):
            on = ("CLIENT", "TRACKING", "ON", "REDIRECT", client_id)
            return (Words(("CLIENT", "ID")), Words(on))
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
            found = replies[1]
            left_ms = FOR_EVER if found.left_ms is None else found.left_ms
            return RawRead(found.raw, made(replies[2:]), left_ms, (FOR_EVER,) * len(tags))
        case Claim(filling=filling, tags=tags):
            return RawRead(filling, made(replies[1:]), None, (FOR_EVER,) * len(tags))
        case MakeTags() | MakeTag():
            return made(replies) if type(op) is MakeTags else (*made(replies), FOR_EVER)
        case Batch(ops):
            found, rest = [], list(replies)
            for each in ops:
                count = len(commands_of(each, is_sharded=is_sharded))
                found.append(reply_of(each, rest[:count], is_sharded=is_sharded))
                del rest[:count]
            return tuple(found)
        case Look(tags=tags, with_ttl=with_ttl) if (tags or with_ttl) and is_sharded:
            ids = tuple(each[0] for each in reversed(replies[: len(tags)]))
            left_ms = left_of(replies[-1]) if with_ttl else None
            return RawRead(replies[len(tags)].raw, ids, left_ms)
        case Delete() if is_sharded:
            return sum(replies)
        case ReadHeads():
            return tuple(head for (head,) in replies)
        case Switch():
            return tuple(replies)
        case _:
            return replies[0]


def left_of(seen: RawRead) -> int | None:
    """Return the time that a key has left: none where it has gone since it was read."""
    return 0 if seen.raw is None else seen.left_ms


def made(replies: Sequence[Any]) -> tuple[bytes | None, ...]:
    return tuple(ids[0] for ids in replies[1::2])


class Trip:
    """One op on its way: what is still to be carried out, and what came back so far.

    `actor` is `None` where nobody waits for the reply: it is the listener's, or was given up.
    """

    __slots__ = ("actor", "commands", "label", "op", "replies", "total")

    def __init__(self, op: Op[Any], actor: Actor | None, *, is_sharded: bool = False) -> None:
        self.op = op
        self.actor = actor
        self.label = "" if actor is None else actor.next_label()
        self.commands = deque(commands_of(op, is_sharded=is_sharded))
        self.total = len(self.commands)
        self.replies: list[Any] = []

    @property
    def is_untouched(self) -> bool:
        return len(self.commands) == self.total

    def state(self) -> tuple[Any, ...]:
        replies = tuple(map(fingerprint, self.replies))
        return (self.actor is None, self.label, fingerprint(self.op), len(self.commands), replies)


def fingerprint(value: Any) -> Any:
    """Return something hashable that tells one op or reply from another."""
    if isinstance(value, Op):
        fields = (getattr(value, name) for name in value.__struct_fields__)
        return (type(value).__name__, *map(fingerprint, fields))
    if isinstance(value, tuple | list):
        return tuple(map(fingerprint, value))
    return value
