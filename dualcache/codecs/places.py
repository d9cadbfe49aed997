"""Where in a value the part is that no form keeps: its place and its type, never the value.

Runs only after every form has failed.
"""

from __future__ import annotations

import re
from datetime import datetime, time
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.codecs import libraries, subclasses, tagged
from dualcache.codecs.annotated import types_in
from dualcache.codecs.objects import is_value_class, state_of
from dualcache.core.entry import MISSING
from dualcache.errors import UnencodableValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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

    An annotation keeps enums and what classes with fields hold, so a part is at fault whose class
    is only a subclass of one that the annotation names. A subclass of a plain type in such a field
    comes back as the plain type, so it is at fault where nothing else is.
    """
    is_annotated = annotation is not MISSING
    found = _Search(is_annotated=is_annotated).find(value, root, tagged.MAX_DEPTH)
    if found is not None or not is_annotated:
        return found
    named: list[type] = []
    _add_named(annotation, named)
    exact = _Search(is_annotated=True, named=named)
    plain = _Search(is_annotated=True, are_subclasses_kept=False)
    searches = (search.find(value, root, tagged.MAX_DEPTH) for search in (exact, plain))
    return next((place for place in searches if place is not None), None)


def _add_named(annotation: object, named: list[type]) -> None:
    """Add the classes that an annotation names, also in the fields of its classes."""
    for info in types_in(annotation):
        kind = getattr(info, "cls", None)
        if kind is None or _holds(named, kind):
            continue
        named.append(kind)
        fields = getattr(kind, "__pydantic_fields__", {})  # msgspec does not look into models
        for field in fields.values():
            _add_named(field.annotation, named)


def _holds(kinds: Iterable[type], kind: type) -> bool:
    return any(each is kind for each in kinds)  # by identity: some classes have no hash


class _Search:
    """One walk through a value, outer parts first."""

    __slots__ = ("_are_subclasses_kept", "_is_annotated", "_named")

    def __init__(
        self,
        *,
        is_annotated: bool,
        are_subclasses_kept: bool = True,
        named: Sequence[type] = (),
    ) -> None:
        self._is_annotated = is_annotated
        self._are_subclasses_kept = are_subclasses_kept
        self._named = named

    def find(self, value: Any, path: str, depth: int) -> Place | None:
        kind = type(value)
        if depth <= 0:
            return None
        if self._is_annotated and is_value_class(kind):
            if self._is_other_than_named(kind):
                return Place(path, value)
            return self._first(_fields(value, path), depth)
        if not self._is_kept(value):
            is_moment = kind in (datetime, time)  # the rest of which can always be kept
            return Place(f"{path}.tzinfo", value.tzinfo) if is_moment else Place(path, value)
        return self._first(_parts(value, path), depth) if isinstance(value, _ALL) else None

    def _is_other_than_named(self, kind: type) -> bool:
        """Tell whether only a base of a class is named: nothing tells to make one of `kind`."""
        is_named = _holds(self._named, kind)
        return not is_named and any(_holds(self._named, base) for base in kind.__mro__)

    def _is_kept(self, value: Any) -> bool:
        if self._is_annotated and isinstance(value, Enum):
            return True
        if type(value) in _ALL or libraries.parts_of(value) is not None:
            return True
        if subclasses.parts_of(value) is not None:
            return self._are_subclasses_kept
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
