"""Forms by a function's annotation, through msgspec: MessagePack, JSON, and plain parts."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from msgspec import convert, json, msgpack, to_builtins

from dualcache.codecs import tagged
from dualcache.codecs.compare import is_same
from dualcache.core.codec_ids import CodecId, needs_type
from dualcache.core.entry import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PARTS", "AnnotatedForm", "TypedForm", "is_telling", "json_form", "msgpack_form"]

PARTS: Final = (bytes, bytearray, datetime, date, time, timedelta, Decimal, UUID)


class AnnotatedForm:
    """Encodes anything that msgspec does; decodes as `annotation`, where msgspec can take that.

    What msgspec would change (in JSON a tuple, NaN, an int as a key) is for the caller to find out
    by comparing. `protocol` is msgspec's module for MessagePack or JSON. `typed_id` marks what is
    another value where it is decoded without the annotation: an ISO text for a date, a list for a
    tuple.
    """

    __slots__ = (
        "_annotation",
        "_is_plain",
        "_is_typed",
        "_protocol",
        "_read",
        "_write",
        "id",
        "typed_id",
    )

    def __init__(
        self, codec_id: CodecId, typed_id: CodecId, protocol: Any, annotation: object
    ) -> None:
        self.id = codec_id
        self.typed_id = typed_id
        self._write: Callable[[Any], bytes] = protocol.Encoder().encode
        self._protocol = protocol
        self._annotation = annotation
        self._is_typed = annotation is not MISSING
        self._is_plain: bool | None = None
        self._read: Callable[[bytes | memoryview], Any] | None = None

    def encode(self, value: Any) -> bytes:
        return self._write(value)

    def decode(self, data: bytes | memoryview) -> Any:
        read = self._read
        if read is None:
            read = self._read = self._built().decode
        return read(data)

    def own_reader(self, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return msgspec's decoder where `read`, of this form, does nothing but to call it."""
        built = self._read = self._read or self._built().decode
        return built if self._is_typed or read == self.decode else read

    def decode_typed(self, data: bytes | memoryview) -> Any:
        """Decode what has the `typed_id`: never without the annotation."""
        read = self._read = self._read or self._built().decode
        if not self._is_typed:
            raise needs_type()
        return read(data)

    def id_for(self, value: Any, data: bytes, *, is_checked: bool) -> CodecId:
        """Return the codec number under which `data`, made of `value`, is stored.

        Where the annotation allows nothing but plain values nothing need be compared. An unchecked
        value is taken to need the annotation where it may.
        """
        self._read = self._read or self._built().decode
        if self._is_plain is None:
            self._is_plain = not self._is_typed or _is_plain(self._annotation, self.id)
        if self._is_plain:
            return self.id
        is_same_untyped = is_checked and is_same(value, self._protocol.decode(data))
        return self.id if is_same_untyped else self.typed_id

    def _built(self) -> Any:
        if self._is_typed:
            try:
                return self._protocol.Decoder(self._annotation)
            except Exception:  # noqa: BLE001  the user's classes are inspected: anything may be raised
                self._is_typed = False
        return self._protocol.Decoder()


def msgpack_form(annotation: object) -> AnnotatedForm:
    """Return the form of MessagePack."""
    return AnnotatedForm(CodecId.MSGPACK, CodecId.MSGPACK_TYPED, msgpack, annotation)


def json_form(annotation: object) -> AnnotatedForm:
    """Return the form of JSON, for values that other programs read too."""
    return AnnotatedForm(CodecId.JSON, CodecId.JSON_TYPED, json, annotation)


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
        return tagged.encode(to_builtins(value, builtin_types=PARTS), has_objects=False)

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
    types = _types_in(annotation)
    return bool(types) and not any(isinstance(each, lossy) for each in types)


def _is_plain(annotation: object, codec: CodecId) -> bool:
    """Tell whether what `annotation` allows is the same value where it is decoded without it.

    Numbers, texts, lists, dicts; what it leaves open is decoded in the same way in both cases.
    """
    from msgspec import inspect

    plain: tuple[type, ...] = (
        inspect.AnyType,
        inspect.BoolType,
        inspect.DictType,
        inspect.FloatType,
        inspect.IntType,
        inspect.ListType,
        inspect.LiteralType,
        inspect.NoneType,
        inspect.StrType,
        inspect.TypedDictType,
        inspect.UnionType,
    )
    if codec == CodecId.MSGPACK:
        plain += (inspect.BytesType,)
    types = _types_in(annotation)
    if codec == CodecId.JSON and not all(map(_has_text_keys, types)):
        return False
    return bool(types) and all(isinstance(each, plain) for each in types)


def _has_text_keys(info: Any) -> bool:
    """Tell whether a dict of this kind has texts as keys, as all objects of JSON; no dict has."""
    from msgspec import inspect

    return not isinstance(info, inspect.DictType) or isinstance(info.key_type, inspect.StrType)


def _types_in(annotation: object) -> list[Any]:
    """Return msgspec's description of each type in an annotation; none where it takes no such."""
    from msgspec import inspect

    try:
        nodes: list[Any] = [inspect.type_info(annotation)]
    except Exception:  # noqa: BLE001  as for the decoder
        return []
    seen: set[int] = set()
    types = []
    for node in nodes:
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, inspect.Type):
            types.append(node)
        if isinstance(node, tuple):
            nodes += node
        elif isinstance(node, (inspect.Type, inspect.Field)):
            nodes += (getattr(node, name) for name in node.__struct_fields__)
    return types
