"""A parameter as part of a key, judged by its annotation. Nothing here sees a value."""

from __future__ import annotations

from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, is_typeddict

from dualcache.keys.classes import field_names
from dualcache.keys.scalars import is_free_scalar, is_scalar_value

__all__ = ["bare", "is_free_text", "is_keyable_annotation"]

_BUILTINS = (
    bool, int, float, complex, NoneType, str, bytes, bytearray, range,
    tuple, list, set, frozenset, dict,
)  # fmt: skip
_CONTAINERS = (tuple, list, set, frozenset, dict)
_ABSTRACT = 1 << 20  # Py_TPFLAGS_IS_ABSTRACT, which inspect.isabstract() looks at


def is_keyable_annotation(annotation: Any) -> bool | None:
    """Return whether values so annotated can be part of a key; `None`: unknown.

    False only for a class none of whose values has a canonical form, and for containers of such.
    """
    annotation = bare(annotation)
    if annotation is None or get_origin(annotation) is Literal:
        return True
    if get_origin(annotation) in (Union, UnionType):
        verdicts = {is_keyable_annotation(member) for member in get_args(annotation)}
        return verdicts.pop() if len(verdicts) == 1 else None
    origin = get_origin(annotation)
    if isinstance(origin, type):
        verdict = _is_keyable_class(origin)
        if origin not in _CONTAINERS:
            return verdict
        verdicts = {is_keyable_annotation(item) for item in get_args(annotation) if item is not ...}
        return False if False in verdicts else None if None in verdicts else True
    return _is_keyable_class(annotation) if isinstance(annotation, type) else None


def is_free_text(annotation: Any) -> bool:
    """Tell whether values so annotated may hold any text, as seen in a key.

    Numbers, UUIDs, dates and times, bool, None and Enum members do not, nor literals, unions and
    `Annotated` forms of these. Pass `str` or `object` for a parameter without annotation.
    """
    annotation = bare(annotation)
    if annotation is None:
        return False
    if get_origin(annotation) is Literal:
        return any(is_free_text(type(item)) for item in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return any(is_free_text(member) for member in get_args(annotation))
    if not isinstance(annotation, type) or get_origin(annotation) is not None:
        return True
    numbers = (int, float, complex, NoneType, Enum)
    if issubclass(annotation, numbers):
        return False
    return not is_scalar_value(annotation) or is_free_scalar(annotation)


def bare(annotation: Any) -> Any:
    """Return an annotation without `Annotated`, `NewType` and `type` aliases around it."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif (below := getattr(annotation, "__supertype__", None)) is not None:
            annotation = below
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation


def _is_keyable_class(kind: type[Any]) -> bool | None:
    if kind is object or kind is Any:
        return None
    if issubclass(kind, type):
        return False
    if (
        hasattr(kind, "__cache_key__")
        or issubclass(kind, (*_BUILTINS, Enum))
        or is_typeddict(kind)
        or is_scalar_value(kind)
        or field_names(kind) is not None
    ):
        return True
    if (
        getattr(kind, "_is_protocol", False)
        or kind.__flags__ & _ABSTRACT
        # Pydantic makes values of other classes from such annotations (`EmailStr` gives a str).
        or hasattr(kind, "__get_pydantic_core_schema__")
        or any(issubclass(builtin, kind) for builtin in _BUILTINS)
        or any(_is_keyable_class(below) is not False for below in type.__subclasses__(kind))
    ):
        return None
    return False
