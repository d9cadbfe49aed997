"""Trips: several ops in one, big jobs in several, and room for other tasks between their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from dualcache.core.ops import Batch, GiveWay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dualcache.core.ops import Flow, Op

__all__ = [
    "MOST_AT_ONCE",
    "MOST_BYTES_AT_ONCE",
    "STEPS_AT_ONCE",
    "one_trip",
    "paced",
    "paced_parts",
    "replies_of",
    "slices",
    "slices_by_size",
]

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


def one_trip(ops: Sequence[Op[Any]]) -> Op[Any]:
    """Return the op that performs all of these in one trip."""
    return ops[0] if len(ops) == 1 else Batch(tuple(ops))


def replies_of(ops: Sequence[Op[T]], reply: Any) -> Sequence[T]:
    """Return the reply to each of the ops, of the reply to their `one_trip`."""
    replies: Sequence[T] = (reply,) if len(ops) == 1 else reply
    return replies


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


def paced_parts(make: Callable[[Sequence[T]], list[U]], items: Sequence[T]) -> Flow[list[U]]:
    """Make something of items, of many in one call, letting others run between the calls."""
    made = make(items[:STEPS_AT_ONCE])
    for start in range(STEPS_AT_ONCE, len(items), STEPS_AT_ONCE):
        yield GiveWay()
        made += make(items[start : start + STEPS_AT_ONCE])
    return made
