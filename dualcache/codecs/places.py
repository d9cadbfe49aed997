"""Where in a value the part is that no form keeps: its place and its type, never the value.

Runs only after every form has failed.
"""

from __future__ import annotations

import re
from datetime import datetime, time
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.codecs import learned, libraries, subclasses, tagged
from dualcache.codecs.objects import is_value_class, state_of
from dualcache.core.entry import MISSING
from dualcache.errors import UnencodableValue

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Place", "find_unkept"]

_HARMLESS_KEY: Final = re.compile(r"[A-Za-z_]{1,32}")
"""Keys that are shown: they are taken for names of fields; anything else may be data."""
_SEQUENCES: Final = (list, tuple)
_ALL: Final = (dict, list, tuple, set, frozenset)


class Place(NamedTuple):
    """A part of a value: how it is reached, and what it is."""

    path: str
    part: Any


def find_unkept(value: Any, root: str, annotation: object) -> Place | None:
    """Return the first part that cannot be kept; `None` where each part could be.

    An annotation keeps enums, and what the classes that it names hold.
    """
    return _Search(is_annotated=annotation is not MISSING).find(value, root, tagged.MAX_DEPTH)


class _Search:
    """One walk through a value, outer parts first."""

    __slots__ = ("_is_annotated",)

    def __init__(self, *, is_annotated: bool) -> None:
        self._is_annotated = is_annotated

    def find(self, value: Any, path: str, depth: int) -> Place | None:
        kind = type(value)
        if depth <= 0:
            return None
        if is_value_class(kind):
            found = self._first(_fields(value, path), depth)
            is_kept = found is not None or learned.parts_of(value) is not None
            return found if is_kept else Place(path, value)
        if not self._is_kept(value):
            is_moment = kind in (datetime, time)  # the rest of which can always be kept
            return Place(f"{path}.tzinfo", value.tzinfo) if is_moment else Place(path, value)
        return self._first(_parts(value, path), depth) if isinstance(value, _ALL) else None

    def _is_kept(self, value: Any) -> bool:
        if self._is_annotated and isinstance(value, Enum):
            return True
        if type(value) in _ALL or libraries.parts_of(value) is not None:
            return True
        if subclasses.parts_of(value) is not None:
            return True
        try:
            tagged.encode(value)
        except UnencodableValue:
            return False
        return True

    def _first(self, parts: Iterator[Place], depth: int) -> Place | None:
        found = (self.find(part, path, depth - 1) for path, part in parts)
        return next((place for place in found if place is not None), None)


def _fields(value: Any, path: str) -> Iterator[Place]:
    if isinstance(value, tuple):
        named = zip(value._fields, value, strict=False)  # type: ignore[attr-defined]  # a NamedTuple
        yield from (Place(f"{path}.{name}", part) for name, part in named)
        return
    for name, part in state_of(value).items():
        if not str(name).startswith("__"):  # else pydantic's notes
            yield Place(f"{path}.{name}", part)


def _parts(value: Any, path: str) -> Iterator[Place]:
    if isinstance(value, dict):
        for key, part in dict.items(value):
            yield Place(f"a key of {path}", key)
            is_harmless = type(key) is str and _HARMLESS_KEY.fullmatch(key)
            yield Place(f'{path}["{key}"]' if is_harmless else f"{path}[…]", part)
    elif isinstance(value, _SEQUENCES):
        for at, part in enumerate(value):
            yield Place(f"{path}[{at}]", part)
    else:
        for part in value:
            yield Place(f"an item of {path}", part)
