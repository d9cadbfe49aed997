"""What msgspec spells and reads by a function's annotation: MessagePack, JSON, and plain parts."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from msgspec import convert, json, msgpack, to_builtins

from dualcache.codecs import tagged
from dualcache.codecs.ids import CodecId
from dualcache.core.entry import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AnnotatedForm", "TypedForm", "is_telling", "json_form", "msgpack_form"]

_PARTS: Final = (bytes, bytearray, datetime, date, time, timedelta, Decimal, UUID)


class AnnotatedForm:
    """Encodes anything that msgspec does; decodes as `annotation`, where msgspec can take that.

    What msgspec would change (in JSON a tuple, NaN, an int as a key) is for the caller to find out
    by comparing. `protocol` is msgspec's module for MessagePack or JSON.
    """

    __slots__ = ("_annotation", "_protocol", "_read", "_write", "id")

    def __init__(self, codec_id: CodecId, protocol: Any, annotation: object) -> None:
        self.id = codec_id
        self._write: Callable[[Any], bytes] = protocol.Encoder().encode
        self._protocol = protocol
        self._annotation = annotation
        self._read: Callable[[bytes | memoryview], Any] | None = None

    def encode(self, value: Any) -> bytes:
        return self._write(value)

    def decode(self, data: bytes | memoryview) -> Any:
        read = self._read
        if read is None:
            read = self._read = self._built().decode
        return read(data)

    def _built(self) -> Any:
        if self._annotation is MISSING:
            return self._protocol.Decoder()
        try:
            return self._protocol.Decoder(self._annotation)
        except Exception:  # noqa: BLE001  classes of the user's are inspected: anything may be raised
            return self._protocol.Decoder()


def msgpack_form(annotation: object) -> AnnotatedForm:
    """Return the form of MessagePack."""
    return AnnotatedForm(CodecId.MSGPACK, msgpack, annotation)


def json_form(annotation: object) -> AnnotatedForm:
    """Return the form of JSON, for values that other programs read too."""
    return AnnotatedForm(CodecId.JSON, json, annotation)


class TypedForm:
    """Takes values apart into plain parts, keeps those in the tagged form, reads by annotation.

    For what only an annotation can put together and MessagePack would change, as a dataclass that
    holds a datetime with a zone.
    """

    __slots__ = ("_annotation",)

    id = CodecId.TYPED

    def __init__(self, annotation: object) -> None:
        self._annotation = annotation

    def encode(self, value: Any) -> bytes:
        return tagged.encode(to_builtins(value, builtin_types=_PARTS))

    def decode(self, data: bytes | memoryview) -> Any:
        return convert(tagged.decode(data), self._annotation)


def is_telling(annotation: object) -> bool:
    """Tell whether a value that is what `annotation` says comes back from MessagePack unchanged.

    Not where it leaves a part open (`Any`, a bare `list`), nor with times, whose zones and folds
    MessagePack loses.
    """
    from msgspec import inspect

    lossy = (inspect.AnyType, inspect.CustomType, inspect.RawType, inspect.ExtType)
    lossy += (inspect.DateTimeType, inspect.TimeType)  # type: ignore[assignment]  # a longer tuple
    if annotation is MISSING:
        return False
    try:
        nodes: list[Any] = [inspect.type_info(annotation)]
    except Exception:  # noqa: BLE001  as for the decoder
        return False
    seen: set[int] = set()
    for node in nodes:
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, lossy):
            return False
        if isinstance(node, tuple):
            nodes += node
        elif isinstance(node, (inspect.Type, inspect.Field)):
            nodes += (getattr(node, name) for name in node.__struct_fields__)
    return True
