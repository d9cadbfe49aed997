"""What `typing` notes on an object of a generic class: `Page[User]`, for one made by that name.

It is the `__orig_class__` of an object, and code can ask for it. It is kept by its name, and used
only in a process that has learned it: by having stored it, or by an annotation that names it.
Nothing is imported.
"""

from __future__ import annotations

import types
import typing
from typing import Any, Final

from dualcache.codecs.names import name_of, not_learned
from dualcache.codecs.objects import is_value_class

__all__ = ["learn_alias", "parts_of", "raised"]

_T = typing.TypeVar("_T")
_MOST: Final = 1_024
_PLAIN: Final = frozenset({str, int, bool, bytes, types.NoneType})
_ALIASES: Final[frozenset[Any]] = frozenset({type(typing.Generic[_T]), types.GenericAlias})  # type: ignore[index]
_UNIONS: Final = frozenset({typing.Union, types.UnionType})
_learned: Final[dict[str, Any]] = {}


def parts_of(value: Any) -> tuple[str, None] | None:
    """Return the name of a generic class with its arguments; `None` for any other value."""
    name = learn_alias(value)
    return None if name is None else (name, None)


def raised(name: str, plain: Any, known: set[str] | None) -> Any:
    """Return the generic class that this cache has learned under a name, with its arguments."""
    alias = _learned.get(name)
    if alias is None or not (known is None or name in known):
        raise not_learned(name)
    if _name_of(alias) != name:  # one of its classes was defined anew since
        raise not_learned(name)
    if plain is not None:
        raise TypeError
    return alias


def learn_alias(annotation: Any) -> str | None:
    """Learn a generic class with its arguments; return its name, or `None` for anything else."""
    if type(annotation) not in _ALIASES or not _is_of_value_class(annotation):
        return None
    name = _name_of(annotation)
    if name is None or (name not in _learned and len(_learned) >= _MOST):
        return None
    _learned[name] = annotation
    return name


def _is_of_value_class(alias: Any) -> bool:
    origin = typing.get_origin(alias)
    return isinstance(origin, type) and is_value_class(origin)


def _name_of(annotation: Any) -> str | None:
    """Return a name that is the same in every process; `None` where a class is not found by it."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is None or annotation is types.NoneType:
        return "None"
    if origin is typing.Literal:
        return repr(args) if {*map(type, args)} <= _PLAIN else None
    kind = annotation if origin is None else origin
    if kind in _UNIONS:
        name: str | None = "|"
    else:
        name = name_of(kind) if isinstance(kind, type) else None
    names = [name, *map(_name_of, args)]
    if None in names:
        return None
    return f"{name}[{','.join(map(str, names[1:]))}]" if args else name
