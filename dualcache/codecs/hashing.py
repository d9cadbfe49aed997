"""Dicts and sets of items that were read: made in a time that their number bounds.

Numbers of one hash are easy to find, and a set of `n` of them takes time that grows with the square
of `n`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    S = TypeVar("S", set[Any], frozenset[Any])

__all__ = ["MOST_ALIKE", "distinct", "paired", "require_spread"]

MOST_ALIKE: Final = 256
"""How many items of one hash are taken; of values that nobody chose for that a few have one."""


def paired(parts: Sequence[Any]) -> dict[Any, Any]:
    """Return the dict of keys and values in turn; raise `ValueError` for a key that comes twice."""
    keys = parts[::2]
    require_spread(keys)
    result = dict(zip(keys, parts[1::2], strict=True))
    if len(result) != len(keys):
        raise ValueError
    return result


def distinct(kind: Callable[[Sequence[Any]], S], items: Sequence[Any]) -> S:
    """Return the set of these items; raise `ValueError` for one that comes twice."""
    require_spread(items)
    result = kind(items)
    if len(result) != len(items):
        raise ValueError
    return result


def require_spread(items: Collection[Any]) -> None:
    """Raise `ValueError` where too many items have one hash."""
    if len(items) <= MOST_ALIKE or len(set(map(hash, items))) >= len(items) - MOST_ALIKE:
        return
    if max(Counter(map(hash, items)).values()) > MOST_ALIKE:
        raise ValueError
