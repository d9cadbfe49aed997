"""A commit by WATCH, MULTI and EXEC, for servers that neither compare nor run scripts. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.backends.redis.wire.publish import publish
from dualcache.backends.redis.wire.resp import Command, checked, pack
from dualcache.core.entry import HEADER_BYTES
from dualcache.core.ops import CommitReply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.ops import Commit
    from dualcache.errors import BackendRefused

__all__ = ["UNWATCH", "exec_commands", "exec_reply", "is_expected", "refused", "watch_commands"]

UNWATCH: Final = pack(("UNWATCH",)), 1


def watch_commands(op: Commit) -> tuple[bytes, int]:
    """Write the first half of a commit by WATCH: watch the key and read its header.

    An empty transaction goes first: where those are refused, the set of the second half would be
    carried out without the compare.
    """
    read: Command = ("GETRANGE", op.key, 0, HEADER_BYTES - 1)
    return pack(("MULTI",)) + pack(("EXEC",)) + pack(("WATCH", op.key)) + pack(read), 4


def is_expected(op: Commit, replies: Sequence[Any]) -> bool:
    """Tell whether the watched key still has the header that the load started from."""
    # Every reply counts: where MULTI was refused, EXEC would carry out what it should only queue.
    *_, found = [checked(reply) for reply in replies]
    return bool(found == op.expected[:HEADER_BYTES])


def exec_commands(op: Commit) -> tuple[bytes, int]:
    """Return the second half: the set, carried out only if the watched key did not change."""
    life: Command = () if op.ttl_ms is None else ("PX", op.ttl_ms)
    put: Command = ("SET", op.key, op.blob, *life)
    data = pack(("MULTI",)) + pack(put)
    if op.notice is None:
        return data + pack(("EXEC",)), 3
    return data + publish(op.notice) + pack(("EXEC",)), 4


def refused(error: BackendRefused) -> CommitReply:
    """Read a refusal as a missing way to commit; raise it if it means something else."""
    if not error.is_lacking:
        raise error
    return CommitReply.UNSUPPORTED


def exec_reply(replies: Sequence[Any]) -> CommitReply:
    # EXEC replies nil where a watched key has changed.
    done = [checked(reply) for reply in replies][-1]
    return CommitReply.REFUSED if done is None else CommitReply.STORED
