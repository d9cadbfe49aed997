"""pydantic models, and whatever holds them, through `pydantic.TypeAdapter`.

pydantic is imported only when a value is packed or read, and only where an annotation mentions a
model. Dumps are made in Python mode: a dump to JSON would use up a generator in a field.
"""

from __future__ import annotations

import sys
import typing
from enum import Enum
from typing import TYPE_CHECKING, Any

from msgspec import msgpack

from dualcache.codecs import tagged
from dualcache.codecs.compare import TEXT_MODULES
from dualcache.codecs.objects import is_value_class, state_of
from dualcache.core.codec_ids import CodecId

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ModelForm", "TaggedModelForm", "mentions_models", "validated"]


class _Adapter:
    """A `TypeAdapter` that is built when it is first needed."""

    __slots__ = ("_annotation", "_made")

    def __init__(self, annotation: object) -> None:
        self._annotation: Any = annotation
        self._made: Any = None

    def dumped(self, value: Any, *, exclude_unset: bool) -> Any:
        return self._adapter.dump_python(
            value, by_alias=False, exclude_unset=exclude_unset, round_trip=True, warnings=False
        )

    def validated(self, document: Any) -> Any:
        return self._adapter.validate_python(document, by_alias=False, by_name=True)

    @property
    def _adapter(self) -> Any:
        if self._made is None:
            from pydantic import TypeAdapter

            self._made = TypeAdapter(self._annotation)
        return self._made


class ModelForm:
    """Keeps the fields that were set, as MessagePack: short, and exact for most models."""

    __slots__ = ("_adapter",)

    id = CodecId.MODEL

    def __init__(self, annotation: object) -> None:
        self._adapter = _Adapter(annotation)

    def encode(self, value: Any) -> bytes:
        return msgpack.encode(self._adapter.dumped(value, exclude_unset=True))

    def decode(self, data: bytes | memoryview) -> Any:
        return self._adapter.validated(msgpack.decode(data))


class TaggedModelForm:
    """Keeps every field in the tagged form, and which were not set.

    For times with zones, and for defaults that are made anew each time.
    """

    __slots__ = ("_adapter",)

    id = CodecId.MODEL_TAGGED

    def __init__(self, annotation: object) -> None:
        self._adapter = _Adapter(annotation)

    def encode(self, value: Any) -> bytes:
        dump = self._adapter.dumped(value, exclude_unset=False)
        unset = [
            sorted(type(model).model_fields.keys() - model.model_fields_set)
            for model in _models_in(value)
        ]
        return tagged.encode((dump, unset), _plain)

    def decode(self, data: bytes | memoryview) -> Any:
        dump, unset = tagged.decode(data)
        value = self._adapter.validated(dump)
        for model, names in zip(_models_in(value), unset, strict=True):
            model.model_fields_set.difference_update(names)
        return value


def validated(value: Any, annotation: object) -> Any:
    """Validate a value by an annotation; raises whatever validation raises."""
    return _Adapter(annotation).validated(value)


def mentions_models(annotation: object) -> bool:
    """Tell whether a pydantic model or dataclass occurs anywhere in `annotation`."""
    return "pydantic" in sys.modules and _mentions_models(annotation, set())


def _mentions_models(annotation: Any, seen: set[int]) -> bool:
    if id(annotation) in seen:
        return False
    seen.add(id(annotation))
    if isinstance(annotation, type) and hasattr(annotation, "__pydantic_validator__"):
        return True
    return any(_mentions_models(part, seen) for part in _parts_of(annotation))


def _parts_of(annotation: Any) -> Iterator[Any]:
    yield from typing.get_args(annotation)
    yield from (getattr(annotation, name, None) for name in ("__value__", "__supertype__"))
    kind = typing.get_origin(annotation) or annotation
    if isinstance(kind, type) and (is_value_class(kind) or typing.is_typeddict(kind)):
        try:
            yield from typing.get_type_hints(kind).values()
        except Exception:  # noqa: BLE001  names that cannot be resolved: there is no model to see
            return


def _models_in(value: Any) -> Iterator[Any]:
    """Yield the models in `value`, outer ones first, in an order that depends on nothing else."""
    kind: type[Any] = type(value)
    if kind is dict:
        parts = value.values()
    elif kind in (list, tuple):
        parts = value
    elif is_value_class(kind):
        if hasattr(kind, "__pydantic_fields_set__"):
            yield value
        state = state_of(value)
        parts = [state[name] for name in sorted(state, key=str)]
    else:
        return
    for part in parts:
        yield from _models_in(part)


def _plain(value: Any) -> Any:
    """Turn what a dump in Python mode leaves as it is into what validation reads back."""
    if isinstance(value, Enum):
        return value.value
    if type(value).__module__ in TEXT_MODULES:
        return str(value)
    raise tagged.unencodable_type(type(value))
