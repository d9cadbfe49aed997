"""Stored values as tools show them: read without the types that would read them exactly.

What comes out is built of plain values, and is for people alone: nothing is verified, and an object
is shown by the name of its class and its parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import MsgspecError, json, msgpack

from dualcache.codecs.compress import decompressed
from dualcache.codecs.scalars import RAISED
from dualcache.codecs.sign import SIGNATURE_BYTES
from dualcache.codecs.tagged import CONTAINERS, MAX_DEPTH, NAMED
from dualcache.core.codec_ids import COMPRESSED, DEFAULT_MAX_BYTES, SIGNED, CodecId
from dualcache.core.entry import MISSING
from dualcache.core.envelope import open_envelope
from dualcache.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["outline_of"]

_HOSTILE: Final = (
    CodecError,
    MsgspecError,  # a ValueError only in later releases than the oldest
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
)
"""What bytes that nobody spelled may raise."""


def outline_of(key: str, raw: bytes) -> Any:
    """Return a readable form of a stored value without its type; `MISSING` if there is none.

    `key` is the whole name on the server, namespace included, `raw` its content. Nothing is
    executed, and a pickle is not read.
    """
    try:
        stored = open_envelope(key, raw)
        read = _READERS.get(stored.codec)
        if read is None:
            return MISSING
        payload = bytes(stored.payload)
        if stored.flags & SIGNED:
            payload = payload[SIGNATURE_BYTES:]
        if stored.flags & COMPRESSED:
            payload = decompressed(payload, DEFAULT_MAX_BYTES)
        return read(payload)
    except _HOSTILE:
        return MISSING


def _outline(value: Any, depth: int) -> Any:
    """Turn a document of the tagged form into plain values."""
    kind = type(value)
    if depth < 0:
        raise ValueError
    if kind is list:
        return [_outline(part, depth - 1) for part in value]
    if kind is not dict:
        return value
    ((tag, body),) = value.items()
    if tag in RAISED:
        return RAISED[tag](body)
    if tag in CONTAINERS:
        return CONTAINERS[tag]([_outline(part, depth - 1) for part in body])
    if tag not in NAMED:
        raise TypeError
    name, *_, parts = body
    if type(parts) is list and parts and type(parts[0]) is list:
        parts = parts[1:]  # the names of fields that the object does not have
    return {name.replace(":", "."): _outline(parts, depth - 1)}


def _tagged(payload: bytes) -> Any:
    return _outline(msgpack.decode(payload), MAX_DEPTH + 2)


_READERS: Final[dict[int, Callable[[bytes], Any]]] = {
    CodecId.MSGPACK: msgpack.decode,
    CodecId.MSGPACK_TYPED: msgpack.decode,
    CodecId.MODEL: msgpack.decode,
    CodecId.JSON: json.decode,
    CodecId.JSON_TYPED: json.decode,
    CodecId.TAGGED: _tagged,
    CodecId.TYPED: _tagged,
    CodecId.MODEL_TAGGED: _tagged,
    CodecId.NEGATIVE: _tagged,
    CodecId.RAW_BYTES: bytes,
    CodecId.RAW_TEXT: lambda payload: payload.decode("utf-8", "surrogatepass"),
}
