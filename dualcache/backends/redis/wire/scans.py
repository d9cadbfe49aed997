"""Going through the key space on the wire: a page of it, and what is done with its keys. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.backends.redis.wire.resp import (
    Command,
    Spelling,
    checked,
    content,
    nonsense,
    number,
    written,
)
from dualcache.core.entry import OWNED_HEADER_BYTES
from dualcache.core.scans import ReadHeads, Scan, ScanPage, Unlink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.ops import Op

__all__ = ["SCAN_SPELLINGS"]


def _heads_commands(op: ReadHeads) -> Sequence[Command]:
    return tuple([("GETRANGE", key, 0, OWNED_HEADER_BYTES - 1) for key in op.keys])


def _heads_reply(_: ReadHeads, replies: Sequence[Any]) -> tuple[bytes, ...]:
    return tuple([content(reply) or b"" for reply in replies])


def _scan_commands(op: Scan) -> Sequence[Command]:
    return (("SCAN", op.cursor, "MATCH", op.pattern, "COUNT", op.count, "TYPE", "string"),)


def _scan_reply(_: Scan, replies: Sequence[Any]) -> ScanPage:
    page = checked(replies[0])
    if not isinstance(page, list) or len(page) != 2:
        raise nonsense()
    return ScanPage(int(page[0]), tuple(page[1]))


def _unlink_commands(op: Unlink) -> Sequence[Command]:
    return (("DEL", *op.keys),) if op.is_blocking else (("UNLINK", *op.keys),)


def _number_reply(_: Unlink, replies: Sequence[Any]) -> int:
    return number(replies[0])


SCAN_SPELLINGS: Final[dict[type[Op[Any]], Spelling]] = {
    Unlink: written(_unlink_commands, _number_reply),
    ReadHeads: written(_heads_commands, _heads_reply, lambda op: len(op.keys)),
    Scan: written(_scan_commands, _scan_reply),
}
