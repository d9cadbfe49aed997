"""Our own tagged form, for what MessagePack alone does not keep: exact types and nothing else.

A MessagePack document in which arrays are lists, scalars are themselves, and a map of one entry is
a tag and its body. Only types of a closed list ever come out of it, whatever the bytes, in a time
and a memory that their length bounds.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from msgspec import msgpack

from dualcache.codecs import libraries, subclasses
from dualcache.codecs.hashing import distinct, paired
from dualcache.codecs.objects import is_class
from dualcache.codecs.scalars import (
    LOWERED,
    RAISED,
    lower_fraction,
    lower_int,
    lower_text,
    unencodable_type,
)
from dualcache.core.codec_ids import undecodable
from dualcache.errors import DecodeError, UnencodableValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["MAX_DEPTH", "decode", "encode", "unencodable_type"]

MAX_DEPTH: Final = 100

# The tags are part of the stored format: never renumber. Those of scalars are in `scalars.py`.
_TUPLE, _DICT, _SET, _FROZENSET, _LIBRARY, _SUBCLASS = 3, 4, 5, 6, 17, 18

_ENCODER: Final = msgpack.Encoder()
_DECODER: Final = msgpack.Decoder()


def encode(value: Any, hook: Callable[[Any], Any] | None = None) -> bytes:
    """Spell `value`; `hook` may turn what is of no type of ours into one of them.

    Raises `UnencodableValue` for any other type, and for what nests deeper than `MAX_DEPTH`.
    """
    try:
        return _ENCODER.encode(_Lowering(hook).lower(value, MAX_DEPTH))
    except RecursionError:
        raise _too_deep() from None


def decode(data: bytes | memoryview) -> Any:
    """Read what `encode` spelled; raises `DecodeError` for anything else."""
    try:
        return _raised(_DECODER.decode(data), MAX_DEPTH + 2)
    except DecodeError:  # of a type that is to be learned
        raise
    except Exception as error:  # noqa: BLE001  hostile bytes fail in every way there is
        what = "not a value in the tagged form"
        raise undecodable("payload", what, code="DC311", cause=error) from None


class _Lowering:
    """Turns a value into one that msgspec spells without loss."""

    __slots__ = ("_hook",)

    def __init__(self, hook: Callable[[Any], Any] | None) -> None:
        self._hook = hook

    def lower(self, value: Any, depth: int) -> Any:
        kind: type[Any] = type(value)
        if kind in _NATIVE:
            return value
        if kind is str:
            return lower_text(value)
        if kind is int:
            return value if -(2**63) <= value < 2**64 else lower_int(value)
        scalar = LOWERED.get(kind)
        if scalar is not None:
            return scalar(value)
        if depth <= 0:
            raise _too_deep()
        if kind is list:
            return self._all(value, depth)
        if kind is dict:
            return {_DICT: self._all((part for pair in value.items() for part in pair), depth)}
        tag = _COLLECTIONS.get(kind)
        if tag is not None:
            return {tag: self._all(value, depth)}
        return self._other(value, depth)

    def _all(self, values: Iterable[Any], depth: int) -> list[Any]:
        return [self.lower(value, depth - 1) for value in values]

    def _other(self, value: Any, depth: int) -> Any:
        kind: type[Any] = type(value)
        if is_class(kind, "fractions", "Fraction"):
            return lower_fraction(value)
        if self._hook is not None and isinstance(value, Enum):  # its type is in the annotation
            return self.lower(self._hook(value), depth - 1)
        for tag, module in _NAMED.items():
            named = module.parts_of(value)
            if named is not None:
                name, parts = named
                return {tag: [name, self.lower(parts, depth - 1)]}
        if self._hook is None:
            raise unencodable_type(kind)
        return self.lower(self._hook(value), depth - 1)


def _too_deep() -> UnencodableValue:
    return UnencodableValue(
        f"the value nests deeper than {MAX_DEPTH} levels, or contains itself",
        code="DC300",
        help="return a flatter structure, or one that does not contain itself",
    )


def _raised(value: Any, depth: int) -> Any:
    """Turn a decoded document back into the value; raises anything for hostile documents."""
    kind: type[Any] = type(value)
    if kind in _NATIVE or kind is str or kind is int:
        return value
    if depth < 0:
        raise ValueError
    if kind is list:
        return [_raised(part, depth - 1) for part in value]
    if kind is not dict or len(value) != 1:
        raise TypeError
    ((tag, body),) = value.items()
    scalar = RAISED.get(tag)
    return scalar(body) if scalar is not None else _RAISERS[tag](body, depth)


def _items(body: Any, depth: int) -> list[Any]:
    """Read the items of a container: of a list, so that nothing can spell more than it holds."""
    if type(body) is not list:
        raise TypeError
    return [_raised(part, depth - 1) for part in body]


def _raised_named(module: Any, body: Any, depth: int) -> Any:
    name, parts = body
    if type(body) is not list or type(name) is not str:
        raise TypeError
    return module.raised(name, _raised(parts, depth - 1))


_NATIVE: Final = frozenset({type(None), bool, float, bytes})
_COLLECTIONS: Final[dict[type, int]] = {tuple: _TUPLE, set: _SET, frozenset: _FROZENSET}
_NAMED: Final[dict[int, Any]] = {_LIBRARY: libraries, _SUBCLASS: subclasses}
_RAISERS: Final[dict[int, Callable[[Any, int], Any]]] = {
    _TUPLE: lambda body, depth: tuple(_items(body, depth)),
    _DICT: lambda body, depth: paired(_items(body, depth)),
    _SET: lambda body, depth: distinct(set, _items(body, depth)),
    _FROZENSET: lambda body, depth: distinct(frozenset, _items(body, depth)),
    _LIBRARY: lambda body, depth: _raised_named(libraries, body, depth),
    _SUBCLASS: lambda body, depth: _raised_named(subclasses, body, depth),
}
