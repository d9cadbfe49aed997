"""The state of value objects: dataclasses, attrs, msgspec structs, pydantic, NamedTuple.

Reads state only; never calls the user's code beyond a slot's descriptor.
"""

from __future__ import annotations

import sys
from enum import Enum
from typing import Any, Final, TypeGuard

__all__ = ["UNSET", "is_class", "is_frozen_class", "is_value_class", "state_of"]

UNSET: Final = object()
"""Stands for a slot that was never set."""

_HEAP_TYPE: Final = 1 << 9
_MARKS: Final = (
    "__dataclass_fields__",
    "__attrs_attrs__",
    "__struct_fields__",
    "__pydantic_fields_set__",
)
_HIDDEN: Final = frozenset({"__dict__", "__weakref__"})


def is_class(kind: type, module: str, name: str) -> bool:
    """Tell whether `kind` is the class of that name, without importing its module."""
    return kind.__name__ == name and getattr(sys.modules.get(module), name, None) is kind


def is_value_class(kind: type) -> bool:
    """Tell whether everything that an object of `kind` holds is in named fields."""
    if issubclass(kind, tuple):
        return _is_named_tuple(kind)
    if issubclass(kind, Enum):
        return False
    for mark in _MARKS:
        if hasattr(kind, mark):
            return all(map(_is_bare, kind.__mro__))
    return False


def is_frozen_class(kind: type) -> bool:
    """Tell whether no field of an object of `kind` can be set again by ordinary code."""
    if issubclass(kind, tuple):
        return _is_named_tuple(kind) and not kind.__dictoffset__
    if not is_value_class(kind) or _has_cached_property(kind):
        return False
    params = kind.__dict__.get("__dataclass_params__")
    if params is not None:
        return bool(params.frozen)
    config = getattr(kind, "__struct_config__", None)
    return config is not None and bool(config.frozen)


def state_of(value: Any) -> dict[str | int, Any]:
    """Return all that an object of a value class holds; the items of a tuple by their index."""
    kind: type[Any] = type(value)
    state: dict[str | int, Any] = dict(getattr(value, "__dict__", ()))
    for base in kind.__mro__:
        if base.__dict__.get("__slots__"):
            for name in _slots_of(base):
                state[name] = getattr(value, name, UNSET)
    if isinstance(value, tuple):
        state.update(enumerate(value))
    return state


def _is_bare(base: type) -> bool:
    """Tell whether `base` adds nothing but named fields to an object, as `list` would."""
    if base is object or base.__flags__ & _HEAP_TYPE:
        return True
    return base.__module__ == "msgspec._core"


def _slots_of(kind: type) -> list[str]:
    slots = kind.__dict__["__slots__"]
    names = (slots,) if isinstance(slots, str) else slots
    return [_mangled(kind, name) for name in names if name not in _HIDDEN]


def _mangled(kind: type, name: str) -> str:
    if name.startswith("__") and not name.endswith("__"):
        return f"_{kind.__name__.lstrip('_')}{name}"
    return name


def _is_named_tuple(kind: type) -> TypeGuard[type[tuple[Any, ...]]]:
    named = isinstance(getattr(kind, "_fields", None), tuple)
    return named and all(base is tuple or _is_bare(base) for base in kind.__mro__)


def _has_cached_property(kind: type) -> bool:
    return any(
        type(member).__name__ == "cached_property"
        for base in kind.__mro__
        for member in base.__dict__.values()
    )
