"""Our own tagged form, for what MessagePack alone does not keep: exact types and nothing else.

A MessagePack document in which arrays are lists, scalars are themselves, and a map of one entry is
a tag and its body. Only types of a closed list ever come out of it, whatever the bytes, in a time
and a memory that their length bounds.
"""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec import msgpack

from dualcache.codecs import arrays, generics, learned, libraries, subclasses
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

__all__ = ["CONTAINERS", "MAX_DEPTH", "NAMED", "decode", "encode", "unencodable_type"]

MAX_DEPTH: Final = 100

# The tags are part of the stored format: never renumber. Those of scalars are in `scalars.py`.
_TUPLE, _DICT, _SET, _FROZENSET = 3, 4, 5, 6
_LIBRARY, _SUBCLASS, _OBJECT, _BINARY, _GENERIC = 17, 18, 19, 20, 21

CONTAINERS: Final[dict[int, Callable[[list[Any]], Any]]] = {
    _TUPLE: tuple,
    _DICT: paired,
    _SET: partial(distinct, set),
    _FROZENSET: partial(distinct, frozenset),
}
"""How a container is made of its parts, by its tag."""
NAMED: Final = frozenset({_LIBRARY, _SUBCLASS, _OBJECT, _BINARY, _GENERIC})
"""Tags whose body begins with a name and ends with parts."""

_ENCODER: Final = msgpack.Encoder()
_DECODER: Final = msgpack.Decoder()


def encode(
    value: Any,
    hook: Callable[[Any], Any] | None = None,
    *,
    has_objects: bool = True,
    has_names: bool = True,
    known: set[str] | None = None,
) -> bytes:
    """Spell `value`; `hook` may turn what is of no type of ours into one of them.

    Objects of classes with fields are kept unless there is a hook, or `has_objects` is false.
    Without `has_names` nothing is kept that a process must know by name before it can read it.
    `known` gets the names of the classes that are kept.
    Raises `UnencodableValue` for any other type, and for what nests deeper than `MAX_DEPTH`.
    """
    try:
        lowering = _Lowering(
            hook, has_objects=has_objects and hook is None, has_names=has_names, known=known
        )
        return _ENCODER.encode(lowering.lower(value, MAX_DEPTH))
    except RecursionError:
        raise _too_deep() from None


def decode(data: bytes | memoryview, known: set[str] | None = None) -> Any:
    """Read what `encode` spelled; raises `DecodeError` for anything else.

    Classes are used whose names are `known`; `None`: all that this process has learned.
    """
    try:
        return _raised(_DECODER.decode(data), MAX_DEPTH + 2, known)
    except DecodeError:  # of a type that is to be learned
        raise
    except Exception as error:  # noqa: BLE001  hostile bytes fail in every way there is
        what = "not a value in the tagged form"
        raise undecodable("payload", what, code="DC311", cause=error) from None


class _Lowering:
    """Turns a value into one that msgspec spells without loss."""

    __slots__ = ("_has_names", "_has_objects", "_hook", "_known")

    def __init__(
        self,
        hook: Callable[[Any], Any] | None,
        *,
        has_objects: bool,
        has_names: bool,
        known: set[str] | None,
    ) -> None:
        self._hook = hook
        self._known = known
        self._has_objects = has_objects
        self._has_names = has_names

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
        if not self._has_names:
            raise unencodable_type(kind)
        if self._hook is not None and isinstance(value, Enum):  # its type is in the annotation
            return self.lower(self._hook(value), depth - 1)
        if self._has_objects:
            kept = learned.parts_of(value)
            if kept is not None:
                own, shape, parts = kept
                self._note(own)
                return {_OBJECT: [own, shape, self.lower(parts, depth - 1)]}
        binary = arrays.parts_of(value)
        if binary is not None:
            return {_BINARY: [*binary]}
        for tag, module in _NAMED.items():
            named = module.parts_of(value)
            if named is not None:
                name, parts = named
                self._note(name)
                return {tag: [name, self.lower(parts, depth - 1)]}
        if self._hook is None:
            raise unencodable_type(kind)
        return self.lower(self._hook(value), depth - 1)

    def _note(self, name: str) -> None:
        if self._known is not None:
            self._known.add(name)


def _too_deep() -> UnencodableValue:
    return UnencodableValue(
        f"the value nests deeper than {MAX_DEPTH} levels, or contains itself",
        code="DC300",
        help="return a flatter structure, or one that does not contain itself",
    )


def _raised(value: Any, depth: int, known: set[str] | None) -> Any:
    """Turn a decoded document back into the value; raises anything for hostile documents."""
    kind: type[Any] = type(value)
    if kind in _NATIVE or kind is str or kind is int:
        return value
    if depth < 0:
        raise ValueError
    if kind is list:
        return [_raised(part, depth - 1, known) for part in value]
    if kind is not dict or len(value) != 1:
        raise TypeError
    ((tag, body),) = value.items()
    scalar = RAISED.get(tag)
    return scalar(body) if scalar is not None else _RAISERS[tag](body, depth, known)


def _items(body: Any, depth: int, known: set[str] | None) -> list[Any]:
    """Read the items of a container: of a list, so that nothing can spell more than it holds."""
    if type(body) is not list:
        raise TypeError
    return [_raised(part, depth - 1, known) for part in body]


def _raised_object(body: Any, depth: int, known: set[str] | None) -> Any:
    name, shape, parts = body
    if type(body) is not list or type(name) is not str or type(shape) is not bytes:
        raise TypeError
    return learned.raised(name, shape, _raised(parts, depth - 1, known), known)


def _raised_binary(body: Any, *_: Any) -> Any:
    name, data = body
    if type(body) is not list or type(name) is not str:
        raise TypeError
    return arrays.raised(name, data)


def _raised_named(module: Any, body: Any, depth: int, known: set[str] | None) -> Any:
    name, parts = body
    if type(body) is not list or type(name) is not str:
        raise TypeError
    return module.raised(name, _raised(parts, depth - 1, known), known)


_NATIVE: Final = frozenset({type(None), bool, float, bytes})
_COLLECTIONS: Final[dict[type, int]] = {tuple: _TUPLE, set: _SET, frozenset: _FROZENSET}
_NAMED: Final[dict[int, Any]] = {
    _LIBRARY: libraries,
    _SUBCLASS: subclasses,
    _GENERIC: generics,
}
_RAISERS: Final[dict[int, Callable[[Any, int, set[str] | None], Any]]] = {
    _TUPLE: lambda body, depth, known: tuple(_items(body, depth, known)),
    _DICT: lambda body, depth, known: paired(_items(body, depth, known)),
    _SET: lambda body, depth, known: distinct(set, _items(body, depth, known)),
    _FROZENSET: lambda body, depth, known: distinct(frozenset, _items(body, depth, known)),
    _LIBRARY: lambda body, depth, known: _raised_named(libraries, body, depth, known),
    _SUBCLASS: lambda body, depth, known: _raised_named(subclasses, body, depth, known),
    _OBJECT: _raised_object,
    _BINARY: _raised_binary,
    _GENERIC: lambda body, depth, known: _raised_named(generics, body, depth, known),
}
