"""How the values of one function become bytes and come back: forms, compression and signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.codecs.advice import FUNCTION, advice_for
from dualcache.codecs.annotated import AnnotatedForm
from dualcache.codecs.compare import is_same, is_same_or_equal
from dualcache.codecs.compress import compressed, require_zstd
from dualcache.codecs.forms import forms_for, readers_for
from dualcache.codecs.learned import learn
from dualcache.codecs.negative import NegativeForm
from dualcache.codecs.plain import PlainReaders
from dualcache.codecs.shapes import NO_SHAPE, Shape, shape_of
from dualcache.codecs.sign import Signer
from dualcache.codecs.unpacking import Unpacker
from dualcache.core.codec_ids import (
    COMPRESSED,
    DEFAULT_MAX_BYTES,
    CodecId,
)
from dualcache.core.entry import MISSING, Packed, ValueCodec, no_signature
from dualcache.core.interrupts import interrupt_in
from dualcache.errors import UnencodableValue
from dualcache.options.table import checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.codecs.advice import Teller
    from dualcache.codecs.forms import Step
    from dualcache.typing import Codec

__all__ = ["make_value_codec"]

_REFERENCE: Final = int(CodecId.REFERENCE)


def make_value_codec(
    annotation: object = MISSING,
    *,
    codec: str | Codec | None = None,
    secret: str | bytes | Sequence[str | bytes] | None = None,
    check: bool = True,
    compress_above: int | None = None,
    max_value_bytes: int = DEFAULT_MAX_BYTES,
    shape_check: bool = True,
    cache_exceptions: Any = None,
    known: set[str] | None = None,
    teller: Teller = FUNCTION,
) -> ValueCodec:
    """Build the value codec of one function.

    `annotation` is what it returns; `MISSING`, `Any`, or text that was not resolved is unknown.
    `codec` is `None` for the default forms, one of `any`, `arrow`, `json`, `msgpack`, `numpy`,
    `pickle`, `raw`, `reference`, `tagged`, or the user's own. With a `secret` everything is signed,
    and nothing else is read.
    `check=False` leaves out the comparison of what was packed. A payload over `compress_above`
    bytes is compressed; one over `max_value_bytes` is neither stored nor read, nor expanded beyond
    that. `shape_check=False` reads what was stored for a type of another shape as well. Exceptions
    of the types in `cache_exceptions` become bytes, too.
    `known` are the names of the classes that the cache has learned; `None`: all of this process.
    Raises `UsageError` for options that cannot be. `teller` is who stores, for advice.

    `pack` raises `UnencodableValue` and leaves the value as it was; `unpack` raises `DecodeError`.
    """
    if annotation is Any or annotation is object or isinstance(annotation, str):
        annotation = MISSING
    learn(annotation, known)
    signer = None if secret is None else Signer(secret)
    steps = forms_for(annotation, codec, known, check=check, is_signed=signer is not None)
    if checked("compress_above", compress_above) is not None:
        require_zstd()
    checked("max_value_bytes", max_value_bytes)
    is_checked = checked("shape_check", shape_check)
    shape = shape_of(annotation)
    packer = _Packer(annotation, steps, compress_above, max_value_bytes, teller, shape.own)
    if not is_checked:
        shape = Shape(NO_SHAPE, NO_SHAPE)
    readers = readers_for(annotation, steps, known)
    unpacker = Unpacker(
        readers, signer, max_value_bytes, annotation, shape, is_direct=teller.is_direct
    )
    pack = _refer if codec == "reference" else packer.pack
    plain = PlainReaders({} if signer else readers, shape.own, max_value_bytes)
    sign = no_signature if signer is None else signer.signed
    whole = ValueCodec(
        pack,
        unpacker.unpack,
        unpacker.copy,
        unpacker.reader_of,
        unpacker.verify,
        sign,
        unpacker.is_learned,
        is_same_or_equal,
        plain.__getitem__,
    )
    kinds = checked("cache_exceptions", cache_exceptions)
    if not kinds:
        return whole
    unpacker.negatives = NegativeForm(kinds, known, max_value_bytes)
    return whole._replace(**unpacker.negatives.ways)


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
