"""The content of a cache key, as values: the parsed stored form, and the `Entry` of `peek`.

The bytes themselves are spelled and read in `core/envelope.py`; nothing here knows their layout.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from operator import eq
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple

from msgspec import Struct

from dualcache.core.codec_ids import CodecId

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import TypeVar

    V_co = TypeVar("V_co", covariant=True, default=Any)
else:  # the default is for type checkers, and its import would cost
    from typing import TypeVar

    V_co = TypeVar("V_co", covariant=True)

__all__ = [
    "HEADER_BYTES",
    "MISSING",
    "NOT_MODIFIED",
    "NO_OWNER",
    "OWNED_HEADER_BYTES",
    "OWNER_BYTES",
    "SHAPE_BYTES",
    "TOKEN_BYTES",
    "UNKNOWN_TAG_ID",
    "CacheInfo",
    "Entry",
    "Kind",
    "Missing",
    "NotModified",
    "Packed",
    "PlainReader",
    "Stored",
    "Tag",
    "ValueCodec",
    "no_signature",
]

HEADER_BYTES: Final = 32
TOKEN_BYTES: Final = 8
OWNER_BYTES: Final = 8
SHAPE_BYTES: Final = 8
OWNED_HEADER_BYTES: Final = HEADER_BYTES + OWNER_BYTES
NO_OWNER: Final = b""
"""The owner of what no decorated function stores: direct calls, and entries of before."""
UNKNOWN_TAG_ID: Final = bytes(TOKEN_BYTES)
"""The id 0: stored for a tag whose id before the load is not known; never valid."""


class Missing(Enum):
    """The one-member enum whose member says "no value", so that `None` can be cached."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING


class NotModified(Enum):
    """The one-member enum whose member says that the old entry is still right."""

    NOT_MODIFIED = "not_modified"

    def __repr__(self) -> str:
        return "NOT_MODIFIED"


NOT_MODIFIED: Final = NotModified.NOT_MODIFIED


class Kind(IntEnum):
    """The state byte of a stored key."""

    FILLING = 1
    VALUE = 2
    TOMBSTONE = 3
    EXPIRED = 4
    """A value that `expire` made stale: never fresh again, whatever the clocks say."""


class Packed(Struct, frozen=True):
    """A value as bytes: which codec made them, with which flags, for which shape of its type.

    For the codec "reference" (`memory://` only) the payload is the value itself.
    """

    codec: int
    flags: int
    payload: Any
    shape: bytes = b""


class Tag(NamedTuple):
    """A tag by the key under which it lives, and the id it had before the load."""

    name: str
    id: bytes


class Stored(Struct, frozen=True):
    """One stored key, parsed: the header's fields, the tags, the payload.

    `fresh_ms` is `None` where the entry is fresh as long as it exists. `version` is the token for
    FILLING, whose tags are those that its load is known to depend on. `shape` is the fingerprint of
    the type that the value was stored as; empty where nothing said what it is.
    """

    kind: Kind
    codec: int
    flags: int
    version: bytes
    created_ms: int
    fresh_ms: int | None
    load_ms: int
    tags: tuple[Tag, ...]
    payload: Any
    shape: bytes = b""

    @property
    def packed(self) -> Packed:
        """The value as it was packed."""
        return Packed(self.codec, self.flags, self.payload, self.shape)

    @property
    def is_negative(self) -> bool:
        """Whether it holds an exception, and no value."""
        return self.codec == _NEGATIVE


_NEGATIVE: Final = int(CodecId.NEGATIVE)


class CacheInfo(NamedTuple):
    """The counters of one function in this process, as in `functools.lru_cache`."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int


class Entry(Struct, Generic[V_co], frozen=True):
    """The entry that `peek` finds; looking changes nothing.

    `age` and `ttl` are seconds; `ttl` is `None` if the entry never expires. `tier` is where the
    entry was found. `stale` is whether its ttl is over. A `negative` entry holds an exception: its
    value is MISSING, and `error` is the exception that a hit raises, if the reader lists its type.
    """

    value: V_co
    age: float
    ttl: float | None
    tier: Literal["front", "redis", "memory"]
    stale: bool
    tags: tuple[str, ...]
    negative: bool = False
    error: Exception | None = None


class PlainReader(Struct, frozen=True):
    """A way to read values of one kind that need only their own bytes to be fresh.

    Such a value ends with its key, and its payload is neither signed nor compressed. Its shape, if
    one is asked for, is the bytes from `shape_at` to `shape_ends`. The payload begins at
    `payload_at`, which is 0 if tags precede it. A stored key of more than `longest` bytes is not
    read here.
    """

    read: Callable[[bytes], Any]
    shape: bytes
    shape_at: int
    shape_ends: int
    payload_at: int
    longest: int


def _no_plain_reader(_: bytes) -> None:
    """Stand for a codec whose entries are unpacked whole each time."""


def _no_reader(_: Stored) -> None:
    """Stand for a codec whose entries are unpacked whole each time."""


def _not_verified(_: str, __: Stored) -> None:
    """Stand for a codec that takes whatever is stored."""


def no_signature(_: str, packed: Packed, __: Sequence[Tag]) -> Packed:
    """Stand for a codec without a secret."""
    return packed


def _always_learned(_: str, __: Stored) -> bool:
    """Stand for a value codec that knows no types by name."""
    return True


def _lists_nothing(_: Exception) -> bool:
    """Stand for a codec that remembers no exception."""
    return False


def _remembers_nothing(_: Exception) -> None:
    """Stand for a codec that remembers no exception."""


class ValueCodec(NamedTuple):
    """The conversion of one function's values to bytes and back; built once per function.

    `copy` decodes bytes that this process packed or has verified. `reader_of` returns the decoder
    for the bare payload of an entry that was unpacked once, or `None` if more is to be done.
    `verify` raises for bytes that no type makes readable, and decodes nothing. `sign` adds the
    signature of a packed value, for a key and the tags it gets. `is_learned` says whether an entry
    of a type that was unknown can be read now; if not, it is treated as one of another release.
    `is_same` says whether two values are equal to a caller. `plain_reader` returns, by the first
    four bytes of a stored key, the reader of a value that need not be parsed as a whole, and `None`
    for all others. `lists` says whether an exception is to be remembered; `pack_error` makes its
    bytes, and returns `None` for all others. `is_same_error` compares two exceptions.
    """

    pack: Callable[[Any], Packed]
    unpack: Callable[[str, Stored], Any]
    copy: Callable[[Packed], Any]
    reader_of: Callable[[Stored], Callable[[Any], Any] | None] = _no_reader
    verify: Callable[[str, Stored], None] = _not_verified
    sign: Callable[[str, Packed, Sequence[Tag]], Packed] = no_signature
    is_learned: Callable[[str, Stored], bool] = _always_learned
    is_same: Callable[[Any, Any], bool] = eq
    plain_reader: Callable[[bytes], PlainReader | None] = _no_plain_reader
    lists: Callable[[Exception], bool] = _lists_nothing
    pack_error: Callable[[Exception], Packed | None] = _remembers_nothing
    is_same_error: Callable[[Exception, Exception], bool] = eq
