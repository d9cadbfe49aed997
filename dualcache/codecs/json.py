"""JSON, for values that other programs read too; read by a function's annotation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import json

from dualcache.codecs.ids import CodecId
from dualcache.core.entry import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JsonForm"]

_ENCODER: Final = json.Encoder()
_UNTYPED: Final = json.Decoder()


class JsonForm:
    """Encodes what JSON can say; decodes as `annotation`, where msgspec can take that.

    What JSON would change (a tuple, NaN, an int as a key), the caller finds out by comparing.
    """

    __slots__ = ("_annotation", "_read")

    id = CodecId.JSON

    def __init__(self, annotation: object) -> None:
        self._annotation = annotation
        self._read: Callable[[bytes | memoryview], Any] | None = None
        if annotation is MISSING:
            self._read = _UNTYPED.decode

    def encode(self, value: Any) -> bytes:
        return _ENCODER.encode(value)

    def decode(self, data: bytes | memoryview) -> Any:
        if self._read is None:
            self._read = self._built().decode
        return self._read(data)

    def _built(self) -> json.Decoder[Any]:
        try:
            return json.Decoder(self._annotation)
        except Exception:  # noqa: BLE001  classes of the user's are inspected: anything may be raised
            return _UNTYPED
