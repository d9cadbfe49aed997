"""The numbers in stored headers that name codecs and flags, and how refused bytes are reported.

They are a stable stored format: a number is never given another meaning, only new ones are added.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from dualcache.errors import DecodeError, SignatureError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "COMPRESSED",
    "DEFAULT_MAX_BYTES",
    "HAS_OWNER",
    "HAS_SHAPE",
    "HAS_TAGS",
    "IN_SECONDS",
    "KNOWN_FLAGS",
    "NEEDS_TYPE",
    "NEGATIVE",
    "PAYLOAD_FLAGS",
    "SHAPE",
    "SIGNED",
    "UNKNOWN_TYPE",
    "UNTYPED",
    "CodecId",
    "needs_type",
    "negative",
    "other_shape",
    "undecodable",
    "unknown_type",
    "unsigned",
]


class CodecId(IntEnum):
    """The codec byte of a stored value. Part of the stored format: never renumber."""

    NONE = 0
    """No payload: FILLING and TOMBSTONE."""
    MSGPACK = 1
    """MessagePack as msgspec writes it, read by the function's annotation."""
    TAGGED = 2
    """The tagged form, `codecs/tagged.py`."""
    JSON = 3
    """JSON, read by the function's annotation."""
    PICKLE = 4
    """Pickle; read only where it is configured, always signed."""
    RAW_BYTES = 5
    """The payload is the value."""
    RAW_TEXT = 6
    """The payload is the value in UTF-8; lone surrogates pass."""
    USER = 7
    """Bytes that the user's own codec wrote."""
    REFERENCE = 8
    """The object itself, in the same process; never in bytes."""
    MODEL = 9
    """A pydantic dump without the unset fields, as MessagePack, validated by the annotation."""
    MODEL_TAGGED = 10
    """A whole pydantic dump and the names of the unset fields, in the tagged form."""
    TYPED = 11
    """Plain parts in the tagged form, put together by the annotation."""
    MSGPACK_TYPED = 12
    """MessagePack that is another value where it is read without the function's annotation."""
    JSON_TYPED = 13
    """JSON that is another value where it is read without the function's annotation."""
    NEGATIVE = 14
    """An exception to raise in the place of a value, `codecs/negative.py`."""


NEEDS_TYPE: Final = frozenset(
    {
        CodecId.MODEL,
        CodecId.MODEL_TAGGED,
        CodecId.TYPED,
        CodecId.MSGPACK_TYPED,
        CodecId.JSON_TYPED,
    }
)
"""Codecs that only a reader who knows the type reads exactly; all others need none."""


COMPRESSED: Final = 0x01
"""The payload is one zstd frame."""
SIGNED: Final = 0x02
"""The payload begins with a signature."""
HAS_TAGS: Final = 0x10
"""Tags stand between header and payload."""
IN_SECONDS: Final = 0x20
"""The time of freshness is in seconds."""
HAS_OWNER: Final = 0x40
"""The owner stands directly behind the header, before any tags."""
HAS_SHAPE: Final = 0x80
"""The shape stands behind header and owner, before any tags."""

PAYLOAD_FLAGS: Final = COMPRESSED | SIGNED
KNOWN_FLAGS: Final = PAYLOAD_FLAGS | HAS_TAGS | IN_SECONDS | HAS_OWNER | HAS_SHAPE

DEFAULT_MAX_BYTES: Final = 64 * 1024 * 1024


UNTYPED: Final = "untyped"
"""The reason of a `DecodeError` whose payload is whole, but of no use without its type."""


UNKNOWN_TYPE: Final = "unknown_type"
"""The reason of a `DecodeError` whose payload is whole, and of a type that is to be learned."""


SHAPE: Final = "shape"
"""The reason of a `DecodeError` whose payload is whole, and of another release of its types."""


NEGATIVE: Final = "negative"
"""The reason of a `DecodeError` whose payload is whole, and an exception in place of a value."""


def undecodable(
    reason: str, what: str, *, code: str, cause: BaseException | None = None
) -> DecodeError:
    """Build a `DecodeError` whose attribute `reason` is a short label for events and counters."""
    details = [("cause", type(cause).__name__)] if cause is not None else []
    error = DecodeError(what, code=code, details=details)
    vars(error)["reason"] = reason
    return error


def needs_type() -> DecodeError:
    """Build the error of an entry that only a reader who gives its type reads exactly."""
    what = "the payload reads exactly only with the type that its function returns"
    return undecodable(UNTYPED, what, code="DC314")


def unknown_type(name: str) -> DecodeError:
    """Build the error of a value of a type that this process has not learned.

    The stored name of the type is an attribute and no part of the message: anybody can write it.
    """
    what = "the payload is of a type that this process does not know yet"
    error = undecodable(UNKNOWN_TYPE, what, code="DC315")
    vars(error)["name"] = name
    return error


def negative(recall: Callable[[], Exception] | None = None) -> DecodeError:
    """Build the error of a negative entry: it has no value.

    `recall`, an attribute, makes the exception that it holds; `None`: it was not decoded.
    """
    error = undecodable(NEGATIVE, "the payload is an exception, not a value", code="DC311")
    vars(error)["recall"] = recall
    return error


def other_shape(own: bytes) -> DecodeError:
    """Build the error of an entry whose types have another shape than in this process.

    `own`, its attribute `shape`, is the shape that they have here.
    """
    what = "the payload was stored for types of another shape"
    error = undecodable(SHAPE, what, code="DC211")
    vars(error)["shape"] = own
    return error


def unsigned(what: str) -> SignatureError:
    """Build the error of a payload that no configured secret has signed."""
    error = SignatureError(what, code="DC312")
    vars(error)["reason"] = "signature"
    return error
