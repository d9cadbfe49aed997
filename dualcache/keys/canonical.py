"""The canonical form of a value: text that no other value, of this or another type, has.

Structure is written with `( ) , = '` alone: no `:` and no glob character, so forms can be joined by
`:` and matched by patterns. Values are never written by their `repr`.
"""

from __future__ import annotations

import re
from enum import Enum, Flag
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias

from dualcache.keys.classes import field_names
from dualcache.keys.digests import digest, is_secret_name
from dualcache.keys.escaping import escape, escape_part
from dualcache.keys.main_module import module_name
from dualcache.keys.scalars import scalar_writer, unkeyable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Encoder: TypeAlias = Callable[[Any, int], str]

__all__ = ["canonical", "class_name", "class_of", "digested", "text"]

MAX_DEPTH = 100
"""Values nested deeper have no canonical form; a value that contains itself is one of them."""


def canonical(value: object) -> str:
    """Write `value` injectively over type and value.

    `UnkeyableArgument` for a value that has no such form: never its `repr`.
    """
    return _encode(value, 0)


def digested(value: object) -> str:
    """Write a value that a key must not show; `None` is no secret."""
    return "None" if value is None else digest(_encode(value, 0))


def text(value: object, typed: bool = False) -> str:
    """Write a placeholder's value: scalars as escaped text, other values canonically."""
    kind = class_of(value)
    if typed:
        return _encode(value, 0)
    if kind is str:
        return escape(value)  # type: ignore[arg-type]  # the exact type was just checked
    if isinstance(value, Enum):
        inner = value.value
        return text(inner) if isinstance(inner, (str, int)) else escape(value.name)
    if value is None or kind is bool:
        return str(value)
    if hasattr(kind, "__cache_key__"):
        return _encode(value, 0)
    if isinstance(value, str):
        return escape(str.__str__(value))
    if isinstance(value, int):
        return _integer(value, 0)
    if isinstance(value, float):
        return float.__repr__(value)
    writer = scalar_writer(kind)
    return escape(writer[1](value)) if writer else _encode(value, 0)


def class_name(kind: type[Any]) -> str:
    """Return the module-qualified name of a class, escaped; it always holds a dot."""
    return escape_part(f"{module_name(kind.__module__)}.{kind.__qualname__}")


def class_of(value: object) -> type[Any]:
    """Return `type(value)`, known to type checkers as a class of anything."""
    return type(value)


def _encode(value: Any, depth: int) -> str:
    encoder = _EXACT.get(type(value))
    return encoder(value, depth) if encoder is not None else _object(value, depth)


def _object(value: Any, depth: int) -> str:
    kind = class_of(value)
    name = class_name(kind)
    if hasattr(kind, "__cache_key__"):
        return f"{name}({_encode(value.__cache_key__(), _deeper(depth, kind))})"
    if isinstance(value, Enum):
        is_bits = isinstance(value, Flag)
        return f"{name}({value.value})" if is_bits else f"{name}.{escape_part(value.name)}"
    writer = scalar_writer(kind)
    if writer is not None:
        head, write = writer
        form = f"{head}({escape_part(write(value))})"
        return form if kind.__qualname__ == head else f"{name}({form})"
    return f"{name}({','.join(_members(value, kind, _deeper(depth, kind)))})"


def _members(value: Any, kind: type[Any], depth: int) -> Iterable[str]:
    """Yield the forms of an object's parts: its builtin value, its fields."""
    names = field_names(kind)
    base = next((_EXACT[parent] for parent in kind.__mro__ if parent in _EXACT), None)
    if names is None and base is None:
        raise unkeyable(kind)
    if base is not None and not hasattr(kind, "_fields"):
        yield base(value, depth)
    # None for all but pydantic's models: its dataclasses have the other attributes, but not this.
    was_set: set[str] | None = getattr(value, "__pydantic_fields_set__", None)
    for name in names or ():
        # A field may have no value yet (`init=False`): leaving it out is a form of its own.
        if hasattr(value, name):
            # `Patch()` and `Patch(name=None)` differ to who asks for the fields that were set.
            mark = "" if was_set is None or name in was_set else "~"
            yield f"{mark}{escape_part(name)}={_named(name, getattr(value, name), depth)}"
    if was_set is not None:
        rest: dict[str, Any] = {
            **(value.__pydantic_extra__ or {}),
            **(value.__pydantic_private__ or {}),
        }
        for name in sorted(rest):
            yield f"{escape_part(name)}={_named(name, rest[name], depth)}"


def _named(name: object, value: object, depth: int) -> str:
    """Write the value of a field or an item; where its name says that it is secret, a digest."""
    form = _encode(value, depth)
    is_hidden = value is not None and isinstance(name, str) and is_secret_name(name)
    return digest(form) if is_hidden else form


def _deeper(depth: int, kind: type[Any]) -> int:
    if depth >= MAX_DEPTH:
        raise unkeyable(kind, f"contains itself or is nested more than {MAX_DEPTH} deep")
    return depth + 1


def _integer(value: int, _depth: int) -> str:
    try:
        return int.__repr__(value)
    except ValueError:  # more digits than sys.get_int_max_str_digits()
        return int.__format__(value, "#x")


def _float(value: float, _depth: int) -> str:
    return float.__repr__(value)


def _complex(value: complex, _depth: int) -> str:
    return f"complex({float.__repr__(value.real)},{float.__repr__(value.imag)})"


def _string(value: str, _depth: int) -> str:
    return f"'{escape_part(str.__str__(value))}'"


_odd_byte = re.compile(rb"[^A-Za-z0-9_.~!#$&+;<>@^`|/\"-]")


def _bytes(value: bytes, _depth: int) -> str:
    escaped = _odd_byte.sub(lambda found: b"%%%02X" % ord(found[0]), value)
    return f"b'{escaped.decode('ascii')}'"


def _bytearray(value: bytearray, depth: int) -> str:
    return f"bytearray({_bytes(bytes(value), depth)})"


def _range(value: range, depth: int) -> str:
    numbers = (value.start, value.stop, value.step)
    return f"range({','.join(_integer(number, depth) for number in numbers)})"


# The builtins' own, since a subclass may show something else than it holds.
_tuple_items = tuple[Any, ...].__iter__
_list_items = list[Any].__iter__
_set_items = set[Any].__iter__
_frozenset_items = frozenset[Any].__iter__
_dict_items = dict[Any, Any].items


def _tuple(value: tuple[Any, ...], depth: int) -> str:
    depth = _deeper(depth, tuple)
    return f"({','.join([_encode(item, depth) for item in _tuple_items(value)])})"


def _list(value: list[Any], depth: int) -> str:
    depth = _deeper(depth, list)
    return f"list({','.join([_encode(item, depth) for item in _list_items(value)])})"


def _set(value: set[Any], depth: int) -> str:
    depth = _deeper(depth, set)
    return f"set({','.join(sorted(_encode(item, depth) for item in _set_items(value)))})"


def _frozenset(value: frozenset[Any], depth: int) -> str:
    depth = _deeper(depth, frozenset)
    forms = sorted(_encode(item, depth) for item in _frozenset_items(value))
    return f"frozenset({','.join(forms)})"


def _pairs(value: dict[Any, Any], depth: int) -> list[str]:
    return [f"{_encode(key, depth)}={_named(key, item, depth)}" for key, item in _dict_items(value)]


def _dict(value: dict[Any, Any], depth: int) -> str:
    pairs = _pairs(value, _deeper(depth, dict))
    # Two OrderedDicts are equal only in the same order; other dicts are equal in any.
    is_ordered = any(parent.__qualname__ == "OrderedDict" for parent in type(value).__mro__)
    return f"dict({','.join(pairs if is_ordered else sorted(pairs))})"


_EXACT: dict[type[Any], Encoder] = {
    bool: lambda value, _: str(value),
    NoneType: lambda _value, _depth: "None",
    int: _integer,
    float: _float,
    complex: _complex,
    str: _string,
    bytes: _bytes,
    bytearray: _bytearray,
    range: _range,
    tuple: _tuple,
    list: _list,
    set: _set,
    frozenset: _frozenset,
    dict: _dict,
}
