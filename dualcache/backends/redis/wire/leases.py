"""Leases and tags on the wire: SET NX, then a read of the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.backends.redis.wire.resp import bulk, checked, content, number, pack, refused_write
from dualcache.core.entry import TOKEN_BYTES
from dualcache.core.ops import FOR_EVER
from dualcache.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.backends.redis.wire.resp import Command
    from dualcache.core.ops import LookAndLease, NewTag, TryLease


__all__ = [
    "lifetime",
    "new_tag_commands",
    "new_tag_replies",
    "try_lease_commands",
    "try_lease_reply",
    "write_lease",
]


def write_lease(op: LookAndLease) -> bytes:
    """Write a look and a lease as one text: every miss begins with one."""
    # SET first, then GET: a connection's own SET un-tracks the key, so a GET before it would leave
    # a waiter without its push. The GET alone decides who has the lease: the reply of a SET that
    # was lost and repeated says nothing.
    key = bulk(op.key.encode())
    data = b"".join(
        (
            b"*6\r\n$3\r\nSET\r\n",
            key,
            bulk(op.filling),
            b"$2\r\nNX\r\n$2\r\nPX\r\n",
            bulk(b"%d" % op.lease_ms),
            b"*2\r\n$3\r\nGET\r\n",
            key,
            b"*2\r\n$4\r\nPTTL\r\n",
            key,
        )
    )
    return data + b"".join(map(pack, new_tag_commands(op.tags))) if op.tags else data


def new_tag_commands(tags: Sequence[NewTag]) -> tuple[Command, ...]:
    commands: list[Command] = []
    for tag in tags:
        life: Command = () if tag.life_ms is None else ("PX", tag.life_ms)
        make: Command = ("SET", tag.key, tag.id, "NX", *life)
        # As with leases, the GET decides: the reply of a SET that was lost and sent again says
        # nothing, and an id that was sent twice would be that of two lives of a tag.
        commands += (make, ("GET", tag.key), ("PTTL", tag.key))
    return tuple(commands)


def new_tag_replies(
    tags: Sequence[NewTag], replies: Sequence[Any]
) -> tuple[tuple[bytes | None, ...], tuple[int, ...]]:
    if not tags:
        return (), ()
    starts = range(0, 3 * len(tags), 3)
    for start in starts:
        refused_write(replies[start])
    ids = tuple(content(replies[start + 1]) for start in starts)
    lefts = (lifetime(replies[start + 2]) for start in starts)
    return ids, tuple(FOR_EVER if left is None else left for left in lefts)


def try_lease_commands(op: TryLease) -> Sequence[Command]:
    lease: Command = ("SET", op.key, op.token, "NX", "PX", op.lease_ms)
    return (lease, ("STRLEN", op.key), ("PTTL", op.key))


def try_lease_reply(_: TryLease, replies: Sequence[Any]) -> bool | None:
    lease, length, left = replies
    if checked(lease) is not None:
        return True
    # Something else under this name, or a lease without an end, would stop refreshes for ever.
    is_lease = length in (0, TOKEN_BYTES) or _is_lacking(length)
    return False if is_lease and lifetime(left) != FOR_EVER else None


def lifetime(reply: Any) -> int | None:
    """Return a key's remaining ms, -1 without expiry; `None` where PTTL is not available."""
    if type(reply) is int:
        return reply
    return None if _is_lacking(reply) else number(reply)


def _is_lacking(reply: Any) -> bool:
    return isinstance(reply, BackendRefused) and reply.is_lacking
