"""Copiers: each caller of a front hit gets a separate copy of a value that can be changed.

Dicts, lists, sets and bytearrays are copied, those inside of them too: for a small value that takes
a fraction of the time of decoding.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from dualcache.codecs.compare import is_immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Copier = Callable[[Any], Any]
    Shape = tuple[type, tuple[tuple[Any, "Shape"], ...]]

__all__ = ["MOST", "copier_of"]

MOST: Final = 9
"""A value of more containers than these is decoded as fast as it is copied."""
_COPIED: Final[dict[type, Copier]] = {
    dict: dict.copy,
    list: list.copy,
    set: set.copy,
    bytearray: bytearray.copy,
}


def copier_of(value: Any) -> Copier | None:
    """Return a copier for `value` and all that can be changed in it; `None`: decode it instead."""
    try:
        return _copier(_shape_of(value, MOST)[0])
    except _NoCopy:
        return None


class _NoCopy(Exception):
    """There are too many containers in a value, or something else that can be changed."""


def _shape_of(value: Any, room: int) -> tuple[Shape, int]:
    """Return the shape of a container, and how much is left of the `room` for containers in it.

    A shape is a type, and the _places and shapes of the containers inside. Raises `_NoCopy`.
    """
    kind: type = type(value)
    if kind not in _COPIED or not room:
        raise _NoCopy
    inner, room = [], room - 1
    for place, item in _places(value):
        if not is_immutable(item):
            shape, room = _shape_of(item, room)
            inner.append((place, shape))
    return (kind, tuple(inner)), room


def _places(value: Any) -> Iterable[tuple[Any, Any]]:
    """Return each item of a container with its place: an index or a key."""
    if type(value) is dict:
        if not all(map(is_immutable, value)):
            raise _NoCopy
        return value.items()
    return () if type(value) is bytearray else enumerate(value)


@lru_cache(maxsize=1_024)
def _copier(shape: Shape) -> Copier:
    """Return the copier of all values of one shape."""
    kind, inner = shape
    outer = _COPIED[kind]
    if not inner:
        return outer
    steps = [(place, _copier(each)) for place, each in inner]

    def copied(value: Any) -> Any:
        made = outer(value)
        for place, copy in steps:
            made[place] = copy(made[place])
        return made

    return copied
