"""How the values of one function become bytes and come back: forms, compression and signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.codecs.advice import FUNCTION, advice_for
from dualcache.codecs.annotated import AnnotatedForm
from dualcache.codecs.compare import is_immutable, is_same
from dualcache.codecs.compress import compressed, decompressed, require_zstd
from dualcache.codecs.forms import forms_for, is_exactly, readers_for, untyped_reader
from dualcache.codecs.shapes import NO_SHAPE, Shape, shape_of
from dualcache.codecs.sign import SIGNATURE_BYTES, Signer
from dualcache.codecs.subclasses import learn
from dualcache.core.codec_ids import (
    COMPRESSED,
    DEFAULT_MAX_BYTES,
    NEEDS_TYPE,
    SIGNED,
    CodecId,
    needs_type,
    other_shape,
    undecodable,
    unsigned,
)
from dualcache.core.entry import MISSING, Packed, ValueCodec, no_signature
from dualcache.core.interrupts import interrupt_in
from dualcache.errors import DecodeError, UnencodableValue
from dualcache.options.table import checked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.codecs.advice import Teller
    from dualcache.codecs.forms import Step
    from dualcache.core.entry import Stored
    from dualcache.typing import Codec

__all__ = ["is_immutable", "make_recipe"]

_REFERENCE: Final = int(CodecId.REFERENCE)


def make_recipe(
    annotation: object = MISSING,
    *,
    codec: str | Codec | None = None,
    secret: str | bytes | Sequence[str | bytes] | None = None,
    check: bool = True,
    compress_above: int | None = None,
    max_value_bytes: int = DEFAULT_MAX_BYTES,
    shape_check: bool = True,
    teller: Teller = FUNCTION,
) -> ValueCodec:
    """Build the recipe of one function.

    `annotation` is what it returns; `MISSING`, `Any`, or text that was not resolved is unknown.
    `codec` is `None` for the default forms, one of `json`, `msgpack`, `pickle`, `raw`, `reference`,
    `tagged`, or the user's own. With a `secret` everything is signed, and nothing else is read.
    `check=False` leaves out the comparison of what was packed. A payload over `compress_above`
    bytes is compressed; one over `max_value_bytes` is neither stored nor read, nor expanded beyond
    that. `shape_check=False` reads what was stored for a type of another shape as well.
    Raises `UsageError` for options that cannot be. `teller` is who stores, for advice.

    `pack` raises `UnencodableValue` and leaves the value as it was; `unpack` raises `DecodeError`.
    """
    if annotation is Any or annotation is object or isinstance(annotation, str):
        annotation = MISSING
    learn(annotation)
    signer = None if secret is None else Signer(secret)
    steps = forms_for(annotation, codec, check=check, is_signed=signer is not None)
    if checked("compress_above", compress_above) is not None:
        require_zstd()
    checked("max_value_bytes", max_value_bytes)
    is_checked = checked("shape_check", shape_check)
    shape = shape_of(annotation)
    packer = _Packer(annotation, steps, compress_above, max_value_bytes, teller, shape.own)
    if not is_checked:
        shape = Shape(NO_SHAPE, NO_SHAPE)
    readers = readers_for(annotation, steps)
    unpacker = _Unpacker(
        readers, signer, max_value_bytes, annotation, shape, is_direct=teller.is_direct
    )
    pack = _refer if codec == "reference" else packer.pack
    sign = no_signature if signer is None or codec == "reference" else signer.signed
    return ValueCodec(
        pack, unpacker.unpack, unpacker.copy, unpacker.reader_of, unpacker.verify, sign
    )


class _Packer:
    """Finds the first form that keeps a value, then compresses."""

    __slots__ = ("_annotation", "_compress_above", "_max_bytes", "_shape", "_steps", "_teller")

    def __init__(
        self,
        annotation: object,
        steps: Sequence[Step],
        compress_above: int | None,
        max_bytes: int,
        teller: Teller,
        shape: bytes,
    ) -> None:
        self._annotation = annotation
        self._shape = shape
        self._steps = steps
        self._compress_above = compress_above
        self._max_bytes = max_bytes
        self._teller = teller

    def pack(self, value: Any) -> Packed:
        """Return `value` as bytes that give it back."""
        errors: list[Exception] = []
        for form, is_checked in self._steps:
            try:
                data = form.encode(value)
                if not is_checked or is_same(value, form.decode(data)):
                    codec = form.id
                    if isinstance(form, AnnotatedForm):
                        codec = form.id_for(value, data, is_checked=is_checked)
                    return self._finished(codec, data)
            except _TooLarge as error:
                raise error.told from None
            except Exception as error:
                if interrupt_in(error) is not None:
                    raise
                errors.append(error)  # a value that this form does not take
        tried = [form.id for form, _ in self._steps]
        raise advice_for(value, self._annotation, tried, errors, self._teller)

    def _finished(self, codec: CodecId, data: bytes) -> Packed:
        if len(data) > self._max_bytes:
            raise _TooLarge(len(data), self._max_bytes)
        flags = 0
        if self._compress_above is not None and len(data) > self._compress_above:
            frame = compressed(data)
            if frame is not None:
                flags, data = COMPRESSED, frame
        return Packed(codec, flags, data, self._shape)


class _Unpacker:
    """Verifies, expands and decodes; whatever the bytes, a value or a `DecodeError` comes out."""

    __slots__ = (
        "_annotation",
        "_is_direct",
        "_max_bytes",
        "_readers",
        "_shape",
        "_shapes",
        "_signer",
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
        self._signer = signer
        self._max_bytes = max_bytes
        self._annotation = annotation
        self._shape = shape.own
        # Who reads a key directly may know that it is never None, or that it may be.
        self._shapes = frozenset(shape if is_direct else ())
        self._is_direct = is_direct

    def unpack(self, key: str, stored: Stored) -> Any:
        """Return the value that was packed under `key`."""
        if stored.codec == _REFERENCE:
            return stored.payload
        read = self._readers.get(stored.codec)
        if read is None:
            self.verify(key, stored)
            raise needs_type()
        payload = stored.payload
        if stored.flags or self._signer is not None:
            payload = self._verified(key, stored)
            if stored.flags & COMPRESSED:
                payload = decompressed(payload, self._max_bytes)
        if stored.shape != self._shape and self._shape and stored.shape not in self._shapes:
            return self._of_other_shape(stored, payload)
        return self._decoded(read, payload)

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
                "payload", "the payload is no value", code="DC311", cause=error
            ) from None

    def verify(self, key: str, stored: Stored) -> None:
        """Raise `DecodeError` for what no reader of this cache takes, whatever its type.

        Decodes nothing: it tells whether an entry is there, not whether its payload is whole.
        """
        codec = stored.codec
        if codec == _REFERENCE:
            return
        if codec not in self._readers and codec not in NEEDS_TYPE:
            raise undecodable(
                "codec", "the payload is of a codec that is not configured", code="DC311"
            )
        if stored.flags & SIGNED or self._signer is not None:
            self._verified(key, stored)

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
        """Return what decodes the payload of an entry, if it is neither signed nor compressed."""
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


class _TooLarge(Exception):
    """Ends the search for a form: another would not be shorter."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__()
        self.told = UnencodableValue(
            f"a value takes {size} bytes, more than max_value_bytes={most}",
            code="DC301",
            help="return less, or raise max_value_bytes",
        )


def _refer(value: Any) -> Packed:
    return Packed(_REFERENCE, 0, value)
