"""How each caller gets a copy of his own of a value that is kept in process.

Dicts, lists, sets and bytearrays are copied, those inside of them too: for what is small that takes
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

MOST: Final = 9
"""A value of more containers than these is decoded as fast as it is copied."""
COPIED: Final[dict[type, Copier]] = {
    dict: dict.copy,
    list: list.copy,
    set: set.copy,
    bytearray: bytearray.copy,
}


def copier_of(value: Any) -> Copier | None:
    """Return what copies `value` with all that can be changed in it; `None` if nothing does."""
    try:
        return copier(shape_of(value, MOST)[0])
    except NoCopy:
        return None


class NoCopy(Exception):
    """There are too many containers in a value, or something else that can be changed."""


def shape_of(value: Any, room: int) -> tuple[Shape, int]:
    """Return the shape of a container, and how much is left of the `room` for containers in it.

    A shape is a type, and the places and shapes of the containers inside. Raises `NoCopy`.
    """
    kind: type = type(value)
    if kind not in COPIED or not room:
        raise NoCopy
    inner, room = [], room - 1
    for place, item in places(value):
        if not is_immutable(item):
            shape, room = shape_of(item, room)
            inner.append((place, shape))
    return (kind, tuple(inner)), room


def places(value: Any) -> Iterable[tuple[Any, Any]]:
    """Return where each item of a container is, and the item."""
    if type(value) is dict:
        if not all(map(is_immutable, value)):
            raise NoCopy
        return value.items()
    return () if type(value) is bytearray else enumerate(value)


@lru_cache(maxsize=1_024)
def copier(shape: Shape) -> Copier:
    """Return what copies values of one shape; all of them share it."""
    kind, inner = shape
    outer = COPIED[kind]
    if not inner:
        return outer
    steps = [(place, copier(each)) for place, each in inner]

    def copied(value: Any) -> Any:
        made = outer(value)
        for place, copy in steps:
            made[place] = copy(made[place])
        return made

    return copied
