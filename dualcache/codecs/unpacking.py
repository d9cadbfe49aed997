"""How stored bytes become values: verified, expanded, of the right shape, decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.codecs.compress import decompressed
from dualcache.codecs.forms import is_exactly, untyped_reader
from dualcache.codecs.names import take_for_foreign
from dualcache.codecs.sign import SIGNATURE_BYTES
from dualcache.core.codec_ids import (
    COMPRESSED,
    NEEDS_TYPE,
    NEGATIVE,
    SHAPE,
    SIGNED,
    UNKNOWN_TYPE,
    CodecId,
    needs_type,
    negative,
    other_shape,
    undecodable,
    unknown_type,
    unsigned,
)
from dualcache.core.interrupts import interrupt_in
from dualcache.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.codecs.negative import NegativeForm
    from dualcache.codecs.shapes import Shape
    from dualcache.codecs.sign import Signer
    from dualcache.core.entry import Packed, Stored

__all__ = ["Unpacker"]

_REFERENCE: Final = int(CodecId.REFERENCE)
_NEGATIVE: Final = int(CodecId.NEGATIVE)


class Unpacker:
    """Verifies, expands and decodes; any bytes give a value or a `DecodeError`.

    `negatives` reads the exceptions that may stand for a value; `None`: none is.
    """

    __slots__ = (
        "_annotation",
        "_is_direct",
        "_max_bytes",
        "_readers",
        "_shape",
        "_shapes",
        "_signer",
        "negatives",
    )

    def __init__(
        self,
        readers: dict[int, Any],
        signer: Signer | None,
        max_bytes: int,
        annotation: object,
        shape: Shape,
        *,
        is_direct: bool,
    ) -> None:
        self._readers = readers
        self.negatives: NegativeForm | None = None
        self._signer = signer
        self._max_bytes = max_bytes
        self._annotation = annotation
        self._shape = shape.own
        # Who reads a key directly may know that it is never None, or that it may be.
        self._shapes = frozenset(shape if is_direct else ())
        self._is_direct = is_direct

    def unpack(self, key: str, stored: Stored) -> Any:
        """Return the value that was packed under `key`.

        A stored exception is a `DecodeError`, too: so a value is served without asking whether it
        is one.
        """
        if stored.codec == _REFERENCE:
            return stored.payload
        read = self._readers.get(stored.codec)
        if read is None:
            raise self._unread(key, stored)
        payload = stored.payload
        if stored.flags or self._signer is not None:
            payload = self._verified(key, stored)
            if stored.flags & COMPRESSED:
                payload = decompressed(payload, self._max_bytes)
        if stored.shape != self._shape and self._shape and stored.shape not in self._shapes:
            return self._of_other_shape(stored, payload)
        return self._decoded(read, payload)

    def _unread(self, key: str, stored: Stored) -> DecodeError:
        """Return the error for an entry that holds no value for this reader."""
        try:
            self.verify(key, stored)
        except DecodeError as error:
            if error.reason != NEGATIVE:
                return error
        else:
            return needs_type()
        # Of every shape: that there is no value is no matter of the value's type.
        if self.negatives is None:
            return unknown_type("")
        try:
            at = SIGNATURE_BYTES if stored.flags & SIGNED else 0
            return negative(self.negatives.recall(memoryview(stored.payload)[at:]))
        except DecodeError as error:
            return error

    def _of_other_shape(self, stored: Stored, payload: bytes | memoryview) -> Any:
        """Read what was stored for another type, or for none, if it is a value of this type.

        What another release of a function has stored never is: it may lack a field that has a
        default here. What says by itself what it is, as a dict that was set without a type, is
        taken if reading it by the type changes nothing; a direct call asks for that change.
        """
        if stored.codec not in NEEDS_TYPE and not (stored.shape and not self._is_direct):
            if not stored.shape and self._is_direct:
                return self._decoded(self._readers[stored.codec], payload)
            value = self._decoded(untyped_reader(stored.codec, self._readers), payload)
            if is_exactly(value, self._annotation):
                return value
        raise other_shape(self._shape)

    def _decoded(self, read: Callable[[Any], Any], payload: bytes | memoryview) -> Any:
        if len(payload) > self._max_bytes:
            raise undecodable("oversized", "the payload is over max_value_bytes", code="DC311")
        try:
            return read(payload)
        except DecodeError:
            raise
        except Exception as error:
            if interrupt_in(error) is not None:
                raise
            raise undecodable(  # hostile bytes fail in every way there is
                "payload", "the payload is not a value", code="DC311", cause=error
            ) from None

    def verify(self, key: str, stored: Stored) -> None:
        """Raise `DecodeError` for bytes that no reader of this cache takes, whatever its type.

        Decodes nothing: it says whether an entry exists, not whether its payload is whole. So it
        raises for a stored exception, too.
        """
        codec = stored.codec
        if codec == _REFERENCE:
            return
        if codec not in self._readers and codec not in NEEDS_TYPE and codec != _NEGATIVE:
            raise undecodable(
                "codec", "the payload is of a codec that is not configured", code="DC311"
            )
        if stored.flags & SIGNED or self._signer is not None:
            self._verified(key, stored)
        if codec == _NEGATIVE:
            raise negative()

    def is_learned(self, key: str, stored: Stored) -> bool:
        """Tell whether an entry of a type that was unknown can be read, now that a load is over.

        If not, its type belongs to another release, which has moved or renamed it. An exception
        that this reader does not list is nothing to keep: what a load has brought replaces it.
        """
        if stored.codec == _NEGATIVE:
            return True
        try:
            self.unpack(key, stored)
        except DecodeError as error:
            if error.reason == UNKNOWN_TYPE:
                take_for_foreign(vars(error)["name"])
            return error.reason not in (UNKNOWN_TYPE, SHAPE)
        return True

    def copy(self, packed: Packed) -> Any:
        """Return another copy of a value that this process packed, or has verified."""
        payload = packed.payload
        if packed.codec == _REFERENCE:
            return payload
        read = self._readers.get(packed.codec)
        if read is None:
            raise needs_type()
        if packed.flags & SIGNED:
            payload = payload[SIGNATURE_BYTES:]
        if packed.flags & COMPRESSED:
            payload = decompressed(payload, self._max_bytes)
        return self._decoded(read, payload)

    def reader_of(self, stored: Stored) -> Callable[[Any], Any] | None:
        """Return the decoder of an entry's payload, if that is neither signed nor compressed."""
        if stored.flags or self._signer is not None:
            return None
        reader: Callable[[Any], Any] | None = self._readers.get(stored.codec)
        return reader

    def _verified(self, key: str, stored: Stored) -> memoryview:
        if self._signer is not None:
            if not stored.flags & SIGNED:
                raise unsigned("the payload is not signed, and a secret is configured")
            return self._signer.verified(key, stored)
        if stored.flags & SIGNED:
            raise unsigned("the payload is signed, and no secret is configured")
        return memoryview(stored.payload)
