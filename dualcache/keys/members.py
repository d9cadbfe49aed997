"""Enums in a key template: whether their members could give two calls the same key.

The text of a member is known when a function is decorated, so it is compared with what stands
beside it: `{kind}_{state}` is clear unless one kind is `a`, another `a_b`, and a state `b_c`.
"""

from __future__ import annotations

from enum import Enum, Flag
from itertools import chain, pairwise
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from dualcache.keys.annotations import bare
from dualcache.keys.placeholders import Field, ambiguous
from dualcache.keys.templates import field_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualcache.keys.placeholders import Template

__all__ = ["check_members", "members_of"]


def members_of(annotation: Any) -> tuple[Any, ...] | None:
    """Return all values that an annotation allows; `None` where they are not listed."""
    annotation = bare(annotation)
    if annotation is None or annotation is NoneType:
        return (None,)
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (Union, UnionType):
        parts = [members_of(each) for each in get_args(annotation)]
        return None if None in parts else tuple(chain.from_iterable(filter(None, parts)))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return None if issubclass(annotation, Flag) else tuple(annotation)
    return None


def check_members(
    template: Template,
    is_free: Callable[[str], bool],
    members: Callable[[str], tuple[Any, ...] | None],
) -> None:
    """Raise `KeyTemplateError` if an Enum and what stands beside it could be read in two ways.

    `is_free` and `members` tell of a parameter whether it may hold free text, and its values where
    they are listed.
    """
    previous, between = None, ""
    for part in template.parts:
        if not isinstance(part, Field):
            between = part
            continue
        if previous is not None and between and ":" not in between:
            left = _texts(template, previous, members(previous.name))
            right = _texts(template, part, members(part.name))
            if _is_unclear(left, between, right, is_free(previous.name), is_free(part.name)):
                raise ambiguous(template, previous, part, has_members=True)
        previous, between = part, ""


def _texts(template: Template, field: Field, values: Iterable[Any] | None) -> set[str] | None:
    """Return the texts of a placeholder whose values are listed."""
    if values is None or field.path or field.spec or field.is_digested:
        return None
    return {field_text(template, field, value) for value in values}


def _is_unclear(
    left: set[str] | None, between: str, right: set[str] | None, left_free: bool, right_free: bool
) -> bool:
    if left is not None and right is not None:
        whole = {f"{one}{between}{other}" for one in left for other in right}
        return len(whole) < len(left) * len(right)
    if left is not None:
        return right_free and _has_prefixes(f"{one}{between}" for one in left)
    if right is not None:
        return left_free and _has_prefixes(f"{between}{other}"[::-1] for other in right)
    return False


def _has_prefixes(texts: Iterable[str]) -> bool:
    """Tell whether one text begins with another."""
    return any(later.startswith(first) for first, later in pairwise(sorted(texts)))
