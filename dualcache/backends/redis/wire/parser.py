"""Replies of RESP2 and RESP3 out of bytes as they come, for where hiredis is not installed.

redis-py's own parsers read from a socket or a stream; one that is fed belongs into a protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["INCOMPLETE", "Push", "ReplyParser"]

INCOMPLETE: Final = object()
"""Stands for a reply of which a part is still to come; `None` is a reply."""
BULKS: Final = frozenset(b"$=!")
AGGREGATES: Final = frozenset(b"*~>%")


class Push(list[Any]):
    """A message that the server sends unasked; no reply to any command."""


class ReplyParser:
    """Has the two methods of `hiredis.Reader` that a connection needs, with the same results.

    What is complete of an array is kept, so each byte is looked at once, however large the array
    is and in however many pieces it comes. `reply_error` makes the exception of an error reply.
    """

    def __init__(self, reply_error: Callable[[str], Exception]) -> None:
        self._reply_error = reply_error
        self._buffer = bytearray()
        self._at = 0
        self._open: list[_Aggregate] = []

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection."""
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += data

    def gets(self) -> Any:
        """Return the next reply, an error as a value; raise `ValueError` for what is not RESP."""
        while True:
            value = self._next()
            if value is INCOMPLETE:
                return INCOMPLETE
            if type(value) is _Aggregate:
                if value.count:
                    self._open.append(value)
                    continue
                value = value.made()
            value = self._put(value)
            if value is not INCOMPLETE:
                return value

    def _put(self, value: Any) -> Any:
        """Put a value into the aggregate around it; return the outermost once that is complete."""
        while self._open:
            inner = self._open[-1]
            inner.items.append(value)
            if len(inner.items) < inner.count:
                return INCOMPLETE
            value = self._open.pop().made()
        return value

    def _next(self) -> Any:
        """Return the next value that is no aggregate, or an aggregate that begins."""
        buffer, at = self._buffer, self._at
        if at == len(buffer):
            return INCOMPLETE
        kind = buffer[at]
        if kind not in SCALARS and kind not in BULKS and kind not in AGGREGATES:
            raise ValueError("a reply begins with a byte that RESP does not know")
        end = buffer.find(b"\r\n", at)
        if end < 0:
            return INCOMPLETE
        line = bytes(buffer[at + 1 : end])
        if kind in BULKS:
            return self._bulk(kind, int(line), end + 2)
        self._at = end + 2
        if kind in AGGREGATES:
            count = int(line)
            return None if count < 0 else _Aggregate(kind, count)
        if kind == ord("-"):
            return self._error(line)
        return SCALARS[kind](line)

    def _bulk(self, kind: int, size: int, start: int) -> Any:
        if size < 0:
            self._at = start
            return None
        end = start + size
        if len(self._buffer) < end + 2:
            return INCOMPLETE
        if self._buffer[end : end + 2] != b"\r\n":
            raise ValueError("a string in a reply is longer than it says")
        # A slice of the buffer itself would copy it twice.
        with memoryview(self._buffer) as whole, whole[start:end] as part:
            data = bytes(part)
        self._at = end + 2
        if kind == ord("!"):
            return self._error(data)
        return data[4:] if kind == ord("=") else data  # a verbatim string names its format first

    def _error(self, text: bytes) -> Exception:
        return self._reply_error(text.decode(errors="replace"))


class _Aggregate:
    """An array, a set, a map or a push whose elements are still to come."""

    __slots__ = ("_kind", "count", "items")

    def __init__(self, kind: int, count: int) -> None:
        self._kind = kind
        self.count = 2 * count if kind == ord("%") else count
        self.items: list[Any] = []

    def made(self) -> Any:
        if self._kind == ord("%"):
            return dict(zip(self.items[::2], self.items[1::2], strict=True))
        return Push(self.items) if self._kind == ord(">") else self.items


def _boolean(line: bytes) -> bool:
    if line not in {b"t", b"f"}:
        raise ValueError("a boolean in a reply is neither true nor false")
    return line == b"t"


def _null(line: bytes) -> None:
    if line:
        raise ValueError("a null in a reply has a value")


SCALARS: Final[dict[int, Callable[[bytes], Any]]] = {
    ord("+"): bytes,
    ord("-"): bytes,  # made into an error by the parser
    ord(":"): int,
    ord("("): int,
    ord(","): float,
    ord("#"): _boolean,
    ord("_"): _null,
}
