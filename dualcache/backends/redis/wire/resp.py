"""RESP, the protocol of Redis: packing commands and checking replies. Pure.

Source: redis.io/docs/reference/protocol-spec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.core.ops import WRITE_REFUSALS, WRONG_TYPE
from dualcache.errors import BackendRefused, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "Spelling",
    "bulk",
    "checked",
    "content",
    "nonsense",
    "number",
    "pack",
    "pack_names",
    "refused_write",
    "strings",
    "written",
]

Part = bytes | str | int
Command = tuple[Part, ...]


class Spelling(NamedTuple):
    """How one kind of op is written, how many replies come, and how they are read."""

    write: Callable[[Any], bytes]
    awaits: Callable[[Any], int]
    reply: Callable[[Any, Sequence[Any]], Any]


def pack(command: Command) -> bytes:
    """Write one command in RESP, the protocol of Redis (redis.io/docs/reference/protocol-spec)."""
    parts = [b"*%d\r\n" % len(command)]
    for part in command:
        data = part if type(part) is bytes else str(part).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def pack_names(command: str, names: Sequence[str]) -> bytes:
    """Write a command whose arguments are names: there may be many, so all are encoded at once."""
    text = "".join([f"${len(name)}\r\n{name}\r\n" for name in names])
    if not text.isascii():  # a name has more bytes than letters
        return pack((command, *names))
    return f"*{len(names) + 1}\r\n${len(command)}\r\n{command}\r\n{text}".encode()


def written(
    commands: Callable[[Any], Sequence[Command]],
    reply: Callable[[Any, Sequence[Any]], Any],
    awaits: Callable[[Any], int] = lambda _: 1,
) -> Spelling:
    """Return the spelling of an op by its commands."""
    return Spelling(lambda op: b"".join([pack(each) for each in commands(op)]), awaits, reply)


def bulk(data: bytes) -> bytes:
    """Write one bulk string."""
    return b"$%d\r\n%b\r\n" % (len(data), data)


def checked(reply: Any) -> Any:
    """Return the reply, unless it is an error."""
    if isinstance(reply, BackendRefused):
        raise reply
    return reply


def content(reply: Any) -> bytes | None:
    """Return a string or nil; a key of another type reads as `WRONG_TYPE`."""
    if reply is None or type(reply) is bytes:
        return reply
    if isinstance(reply, BackendRefused) and reply.prefix == "WRONGTYPE":
        return WRONG_TYPE
    checked(reply)
    raise nonsense()


def strings(reply: Any, length: int) -> tuple[bytes | None, ...]:
    """Return the strings and nils of an array reply of this length."""
    if type(reply) is not list or len(reply) != length:
        checked(reply)
        raise nonsense()
    for each in reply:
        if type(each) is not bytes and each is not None:
            return tuple([content(each) for each in reply])
    return tuple(reply)


def number(reply: Any) -> int:
    """Return an integer reply."""
    found = checked(reply)
    if type(found) is not int:
        raise nonsense()
    return found


def refused_write(reply: Any) -> str:
    """Return the first word by which a write was turned down, or nothing; raise other errors."""
    if reply is None or type(reply) is bytes:
        return ""
    # A full server refuses `SET … NX` even where it would not have written: what was read beside it
    # is good all the same.
    if isinstance(reply, BackendRefused) and reply.prefix in {*WRITE_REFUSALS, "NOPERM"}:
        return reply.prefix
    checked(reply)
    return ""


def nonsense() -> BackendUnavailable:
    """Return the error for a reply that cannot be ours; its connection is to be dropped."""
    return BackendUnavailable("the server's answer belongs to another command", code="DC204")
