"""The stored form: header of 32 bytes, owner, shape, tags, payload. Pure; the hot path.

The owner says which decorated function an entry or a marker belongs to, the shape is a fingerprint
of the type that its value was stored as. Both are optional, announced by a flag, and outside of the
header: whatever compares headers need not know of them.

Here alone the layout is spelled. Nothing here knows what a payload means or what time it is.
"""

from __future__ import annotations

import struct
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zlib import crc32

from dualcache.core.codec_ids import (
    HAS_OWNER,
    HAS_SHAPE,
    HAS_TAGS,
    IN_SECONDS,
    KNOWN_FLAGS,
    PAYLOAD_FLAGS,
    SIGNED,
    CodecId,
    undecodable,
)
from dualcache.core.entry import (
    HEADER_BYTES,
    NO_OWNER,
    OWNED_HEADER_BYTES,
    SHAPE_BYTES,
    TOKEN_BYTES,
    UNKNOWN_TAG_ID,
    Kind,
    Packed,
    Stored,
    Tag,
)
from dualcache.errors import UnencodableValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.entry import PlainReader
    from dualcache.errors import DecodeError

__all__ = [
    "FORMAT",
    "LONGEST_PLAIN",
    "MAGIC",
    "PlainHead",
    "ReferenceBlob",
    "created_ms_of",
    "end_of_living",
    "kind_of",
    "open_envelope",
    "owner_of",
    "payload_of_living",
    "plain_payload",
    "read_plain_head",
    "seal",
    "seal_filling",
    "seal_tombstone",
]

MAGIC: Final = 0xDC
FORMAT: Final = 1
# With a second byte below 0x80 the first two bytes are never UTF-8 text of another program.
_KIND_BYTES: Final = {FORMAT << 4 | kind: kind for kind in Kind}

# Plain ints: looking up a member of an enum and comparing with it is several times slower.
_NONE: Final = int(CodecId.NONE)
_REFERENCE: Final = int(CodecId.REFERENCE)
_FILLING: Final = int(Kind.FILLING)
_TOMBSTONE: Final = int(Kind.TOMBSTONE)
_VALUE_BYTE: Final = FORMAT << 4 | int(Kind.VALUE)
_EXPIRED_BYTE: Final = FORMAT << 4 | int(Kind.EXPIRED)
_WITH_PAYLOAD: Final = (_VALUE_BYTE, _EXPIRED_BYTE)

_HEAD: Final = Struct(">4B")
_read_header: Final = Struct(">4BI8sQ2I").unpack_from
_read_plain: Final = Struct(">4xI16xI").unpack_from
_CHECK: Final = Struct(">I")
_TIMES: Final = Struct(">8sQ2I")
_COUNT: Final = Struct(">H")
_TAG: Final = Struct(">8sH")
_read_tag: Final = _TAG.unpack_from
_new_tag: Final = tuple.__new__

_FOR_EVER: Final = 0xFFFF_FFFF
_LONGEST: Final = _FOR_EVER - 1
_LATEST: Final = 0xFFFF_FFFF_FFFF_FFFF
_MOST_TAGS: Final = 0xFFFF
_LONGEST_NAME: Final = 0xFFFF
_SIGNED_TAGS: Final = HAS_TAGS | SIGNED
_PLAIN_FLAGS: Final = HAS_OWNER | HAS_SHAPE | HAS_TAGS
_COPIED_BELOW: Final = 16 * 1024
LONGEST_PLAIN: Final = _COPIED_BELOW - 1
"""What is longer is not copied to be read."""


class PlainHead(NamedTuple):
    """The first four bytes of a VALUE that is neither signed nor compressed, parsed.

    `payload_at` is 0 where tags stand before the payload.
    """

    codec: int
    shape_at: int
    shape_ends: int
    payload_at: int


class ReferenceBlob(bytes):
    """A stored key whose payload is an object of this process; only the memory driver keeps it."""

    value: Any


def seal(
    key: str,
    packed: Packed,
    *,
    version: bytes,
    created_ms: int,
    fresh_ms: int | None,
    load_ms: int,
    tags: Sequence[Tag] = (),
    owner: bytes = NO_OWNER,
    is_expired: bool = False,
) -> bytes:
    """Spell a VALUE, or an EXPIRED one.

    `owner` is that of the function which stores it, of 8 bytes, or nothing. `fresh_ms` is `None`
    for an entry that is fresh as long as it exists; from 49 days on it is kept in seconds, rounded
    up. A `load_ms` that does not fit is stored as the longest that does.
    Raises `UnencodableValue` for more than 65535 tags or a tag of more than 65535 bytes.
    """
    flags = packed.flags & PAYLOAD_FLAGS
    if fresh_ms is None:
        fresh = _FOR_EVER
    elif fresh_ms <= _LONGEST:
        fresh = max(fresh_ms, 0)
    else:
        flags |= IN_SECONDS
        fresh = min(-(-fresh_ms // 1000), _LONGEST)
    content = _spelled_times(version, created_ms, fresh, load_ms)
    if owner:
        flags |= HAS_OWNER
        content += owner
    if packed.shape:
        flags |= HAS_SHAPE
        content += packed.shape
    if tags:
        flags |= HAS_TAGS
        content += _spelled_tags(tags)
    state = _EXPIRED_BYTE if is_expired else _VALUE_BYTE
    head = _HEAD.pack(MAGIC, state, packed.codec, flags)
    if packed.codec == _REFERENCE:
        blob = ReferenceBlob(_checked(key, head, content))
        blob.value = packed.payload
        return blob
    return _checked(key, head, content + packed.payload)


def seal_filling(
    key: str,
    *,
    token: bytes,
    created_ms: int,
    load_ms: int,
    tags: Sequence[Tag] = (),
    owner: bytes = NO_OWNER,
) -> bytes:
    """Spell the lease of a load that takes about `load_ms`; `tags` are those it depends on."""
    return _bare(key, _FILLING, token, created_ms, load_ms, tags, owner)


def seal_tombstone(key: str, *, token: bytes, created_ms: int) -> bytes:
    """Spell a hold: nothing is stored under `key` while it exists."""
    return _bare(key, _TOMBSTONE, token, created_ms, 0)


def payload_of_living(raw: bytes, ids: Sequence[bytes | None]) -> int:
    """Return where the payload begins of a value that has just the tags with these ids, in order.

    0 for any other bytes; where tags are signed too, their names have to be read.
    """
    if len(raw) < HEADER_BYTES or raw[1] != _VALUE_BYTE or raw[3] & _SIGNED_TAGS != HAS_TAGS:
        return 0
    at = OWNED_HEADER_BYTES if raw[3] & HAS_OWNER else HEADER_BYTES
    return end_of_living(raw, at + SHAPE_BYTES if raw[3] & HAS_SHAPE else at, ids)


def end_of_living(raw: bytes, at: int, ids: Sequence[bytes | None]) -> int:
    """Return where the tags end that begin at `at`; 0 if they are not just those with these ids.

    An id is drawn at random and never again, so the same id is the same tag: no name is compared.
    """
    if UNKNOWN_TAG_ID in ids:
        return 0
    try:
        if raw[at + 1] != len(ids) or raw[at]:  # so of more than 255 tags the names are read
            return 0
        at += 2
        for tag_id in ids:
            if raw[at : at + TOKEN_BYTES] != tag_id:
                return 0
            at += 10 + (raw[at + 8] << 8 | raw[at + 9])  # the length of the name, and the name
    except IndexError:  # it was cut off
        return 0
    return at


def read_plain_head(head: bytes) -> PlainHead | None:
    """Parse the first four bytes of a stored key; `None`: it is to be parsed whole."""
    if len(head) != _HEAD.size:
        return None
    magic, form, codec, flags = _HEAD.unpack(head)
    if magic != MAGIC or form != _VALUE_BYTE or codec == _REFERENCE or flags & ~_PLAIN_FLAGS:
        return None
    at = OWNED_HEADER_BYTES if flags & HAS_OWNER else HEADER_BYTES
    ends = at + SHAPE_BYTES if flags & HAS_SHAPE else at
    return PlainHead(codec, at, ends, 0 if flags & HAS_TAGS else ends)


def plain_payload(key: str, raw: bytes, reader: PlainReader, payload_at: int) -> bytes | None:
    """Return the payload of a value that needs no clock to be fresh; `None`: parse it whole.

    `reader` is the one for the first four bytes of `raw`. `open_envelope` would take these bytes
    too, in several times as long; whatever is wrong with others is for it to say.
    """
    if not payload_at <= len(raw) <= reader.longest:
        return None
    check, fresh = _read_plain(raw)
    if fresh != _FOR_EVER or raw[reader.shape_at : reader.shape_ends] != reader.shape:
        return None
    if crc32(raw[8:], crc32(key.encode() + raw[:4])) != check:
        return None
    return raw[payload_at:]


def open_envelope(key: str, raw: bytes, payload_at: int = 0) -> Stored:
    """Parse the content of a key.

    Where `payload_of_living` gave `payload_at`, the tags are left out.

    Raises `DecodeError` for any bytes that `seal…` did not spell for this key, with the attribute
    `reason`: `foreign`, `truncated`, `future_format`, `kind`, `checksum`, `length`, `reference`.
    A payload of 16 KiB or more is a view of `raw`.
    """
    if len(raw) < HEADER_BYTES:
        raise _misfit(raw)
    magic, form, codec, flags, check, version, created_ms, fresh_ms, load_ms = _read_header(raw)
    kind = _KIND_BYTES.get(form)
    if kind is None or magic != MAGIC or flags & ~KNOWN_FLAGS:
        raise _misfit(raw)
    rest = raw[8:] if len(raw) < _COPIED_BELOW else memoryview(raw)[8:]
    if crc32(rest, crc32(raw[:4], crc32(key.encode()))) != check:
        raise _refused("checksum", "the checksum does not fit the key and the content")
    start = HEADER_BYTES if not flags & HAS_OWNER else OWNED_HEADER_BYTES
    shape = b""
    if flags & HAS_SHAPE:
        ends = start + SHAPE_BYTES
        shape, start = raw[start:ends], ends
    tags: tuple[Tag, ...] = ()
    if flags & HAS_TAGS:
        if payload_at:
            start = payload_at
        else:
            tags, start = _read_tags(raw, start)
    if form not in _WITH_PAYLOAD and len(raw) != start:
        raise _refused("length", "there is a payload after a header that has none")
    payload: Any = raw[start:] if len(raw) < _COPIED_BELOW else memoryview(raw)[start:]
    if codec == _REFERENCE:
        payload = _referenced(raw)
    return Stored(
        kind,
        codec,
        flags & PAYLOAD_FLAGS,
        version,
        created_ms,
        None if fresh_ms == _FOR_EVER else fresh_ms * 1000 if flags & IN_SECONDS else fresh_ms,
        load_ms,
        tags,
        payload,
        shape,
    )


def kind_of(raw: bytes) -> Kind | None:
    """Return the kind of a stored key, by its first bytes; `None` for bytes that are not ours.

    The checksum is not looked at.
    """
    if len(raw) < HEADER_BYTES or raw[0] != MAGIC or raw[3] & ~KNOWN_FLAGS:
        return None
    return _KIND_BYTES.get(raw[1])


def created_ms_of(raw: bytes) -> int:
    """Return when an entry was stored, by its header; nothing is checked."""
    return int.from_bytes(raw[16:24], "big")


def owner_of(raw: bytes) -> bytes:
    """Return the owner of a VALUE or FILLING, of which the first 40 bytes are enough.

    Empty where it has none, and for whatever is not ours. The checksum is not looked at.
    """
    if len(raw) < OWNED_HEADER_BYTES or raw[0] != MAGIC or raw[1] not in _KIND_BYTES:
        return NO_OWNER
    return raw[HEADER_BYTES:OWNED_HEADER_BYTES] if raw[3] & HAS_OWNER else NO_OWNER


def _bare(
    key: str,
    kind: int,
    token: bytes,
    created_ms: int,
    load_ms: int,
    tags: Sequence[Tag] = (),
    owner: bytes = NO_OWNER,
) -> bytes:
    flags = (HAS_TAGS if tags else 0) | (HAS_OWNER if owner else 0)
    head = _HEAD.pack(MAGIC, FORMAT << 4 | kind, _NONE, flags)
    content = _spelled_times(token, created_ms, 0, load_ms) + owner
    return _checked(key, head, content + _spelled_tags(tags) if tags else content)


def _checked(key: str, head: bytes, content: bytes) -> bytes:
    check = crc32(content, crc32(head, crc32(key.encode())))
    return b"".join((head, _CHECK.pack(check), content))


def _spelled_times(token: bytes, created_ms: int, fresh: int, load_ms: int) -> bytes:
    """Spell the end of a header; a time that does not fit is stored as the nearest that does."""
    if created_ms < 0 or created_ms > _LATEST:
        created_ms = 0 if created_ms < 0 else _LATEST
    if load_ms < 0 or load_ms > _LONGEST:
        load_ms = 0 if load_ms < 0 else _LONGEST
    return _TIMES.pack(token, created_ms, fresh, load_ms)


def _spelled_tags(tags: Sequence[Tag]) -> bytes:
    if len(tags) > _MOST_TAGS:
        raise UnencodableValue(
            f"an entry has {len(tags)} tags, at most {_MOST_TAGS} fit", code="DC303"
        )
    parts = [_COUNT.pack(len(tags))]
    for name, tag_id in tags:
        text = name.encode()
        if len(text) > _LONGEST_NAME:
            raise UnencodableValue(
                f"the name of a tag has {len(text)} bytes, at most {_LONGEST_NAME} fit",
                code="DC303",
            )
        parts += (_TAG.pack(tag_id, len(text)), text)
    return b"".join(parts)


def _read_tags(raw: bytes, start: int) -> tuple[tuple[Tag, ...], int]:
    """Read the tags, which begin at `start`; return them and where the payload begins."""
    tags: list[Tag] = []
    at, size = start + _COUNT.size, len(raw)
    try:
        for _ in range(_COUNT.unpack_from(raw, start)[0]):
            tag_id, length = _read_tag(raw, at)
            begins = at + _TAG.size
            at = begins + length
            if at > size:
                raise _refused("truncated", "the tags are longer than the content")
            name = raw[begins:at].decode()
            tags.append(_new_tag(Tag, (name, tag_id)))
    except (struct.error, UnicodeDecodeError) as error:
        raise undecodable("truncated", "the tags are garbled", code="DC310", cause=error) from None
    return tuple(tags), at


def _referenced(raw: bytes) -> Any:
    if type(raw) is not ReferenceBlob:
        raise _refused("reference", "an object of another process is referred to")
    return raw.value


def _misfit(raw: bytes) -> DecodeError:
    """Say why a header is not one of ours."""
    if not raw or raw[0] != MAGIC:
        return _refused("foreign", "the content was not written by this library")
    if len(raw) < HEADER_BYTES:
        return _refused("truncated", "the content ends within the header")
    if raw[1] >> 4 > FORMAT or raw[3] & ~KNOWN_FLAGS:
        return _refused("future_format", "the content was written by a later version")
    if raw[1] >> 4 < FORMAT:
        return _refused("foreign", "the content was not written by this library")
    return _refused("kind", "the header names a state that does not exist")


def _refused(reason: str, what: str) -> DecodeError:
    return undecodable(reason, what, code="DC310")
