"""Big jobs in small parts: how much goes out at once, and when other tasks are let run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from dualcache.core.ops import GiveWay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dualcache.core.ops import Flow

T = TypeVar("T")
U = TypeVar("U")

MOST_AT_ONCE: Final = 1_000
MOST_BYTES_AT_ONCE: Final = 256 * 1024
"""How much goes out in one trip: more would not be through, on a narrow link, before the server
counts as late.
"""
STEPS_AT_ONCE: Final = 250
"""How many steps of a loop run before others do: of a few microseconds each, so about a
millisecond, beside which the pause costs little.
"""


def slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Split what is to be asked for into trips."""
    for start in range(0, len(items), MOST_AT_ONCE):
        yield items[start : start + MOST_AT_ONCE]


def slices_by_size(items: Iterable[T], size_of: Callable[[T], int]) -> list[list[T]]:
    """Split what is to be sent into trips, by its size in bytes too."""
    parts: list[list[T]] = []
    size_bytes = 0
    for item in items:
        item_bytes = size_of(item)
        size_bytes += item_bytes
        if not parts or len(parts[-1]) == MOST_AT_ONCE or size_bytes > MOST_BYTES_AT_ONCE:
            parts.append([])
            size_bytes = item_bytes
        parts[-1].append(item)
    return parts


def paced(make: Callable[[T], U], items: Iterable[T]) -> Flow[list[U]]:
    """Make something of each item, letting others run now and then."""
    made: list[U] = []
    for at, item in enumerate(items):
        if at and not at % STEPS_AT_ONCE:
            yield GiveWay()
        made.append(make(item))
    return made
