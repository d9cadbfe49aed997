"""The first bytes of a stored key, for tools that look at the key space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import Struct

from dualcache.core.codec_ids import COMPRESSED, HAS_OWNER, HAS_SHAPE, SIGNED, CodecId
from dualcache.core.entry import HEADER_BYTES, OWNED_HEADER_BYTES, SHAPE_BYTES
from dualcache.core.envelope import kind_of

if TYPE_CHECKING:
    StoredKind: TypeAlias = Literal["filling", "value", "tombstone", "expired"]

__all__ = ["StoredHead", "read_head"]

_CODECS: Final = {int(codec): codec.name.lower() for codec in CodecId}


class StoredHead(Struct, frozen=True):
    """The header of a stored key, in words.

    `kind` is `"value"`; `"expired"`, a value that `expire()` made stale; `"filling"`, a running
    load; or `"tombstone"`, a hold. `shape` is the fingerprint of the value's type in hex, or empty.
    """

    kind: StoredKind
    codec: str
    is_signed: bool
    is_compressed: bool
    shape: str


def read_head(raw: bytes) -> StoredHead | None:
    """Read the header of a stored key; `None` for bytes that dualcache did not write.

    The first 48 bytes are enough. Nothing is verified: neither the checksum nor a signature.
    """
    kind = kind_of(raw)
    if kind is None:
        return None
    codec, flags = raw[2], raw[3]
    at = OWNED_HEADER_BYTES if flags & HAS_OWNER else HEADER_BYTES
    return StoredHead(
        kind.name.lower(),  # type: ignore[arg-type]  # the names of `Kind` are these
        _CODECS.get(codec, f"codec {codec}"),
        bool(flags & SIGNED),
        bool(flags & COMPRESSED),
        raw[at : at + SHAPE_BYTES].hex() if flags & HAS_SHAPE else "",
    )
