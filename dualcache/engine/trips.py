"""Several ops in few trips: what goes out together, and how much of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from dualcache.core.ops import Batch, Commit, CommitWay
from dualcache.engine.recovery import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dualcache.core.ops import Flow, Op
    from dualcache.engine.env import Env

T = TypeVar("T")

MOST_AT_ONCE: Final = 1_000
MOST_BYTES_AT_ONCE: Final = 1 << 20
"""How much goes out in one trip: more would not be through before the server counts as late."""


def ask_together(
    ops: Sequence[Op[T]], env: Env, asking: Callable[[Op[Any], Env], Flow[Any]] = ask
) -> Flow[Sequence[T]]:
    """Perform ops in one trip, `asking` for it once or, where they may be repeated, again."""
    if len(ops) == 1:
        return ((yield from asking(ops[0], env)),)
    replies: Sequence[T] = yield from asking(Batch(tuple(ops)), env)
    return replies


def ask_all(ops: Sequence[Op[T]], env: Env) -> Flow[list[T]]:
    """Perform any number of ops that may be repeated."""
    replies: list[T] = []
    for part in slices(ops):
        replies += yield from ask_together(part, env)
    return replies


def slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Split what is to be asked for into trips."""
    for start in range(0, len(items), MOST_AT_ONCE):
        yield items[start : start + MOST_AT_ONCE]


def commit_slices(ops: Sequence[Commit]) -> Iterable[Sequence[Commit]]:
    """Split commits into trips by their size too; by WATCH each is a conversation of its own."""
    if len(ops) == 1:
        return (ops,)
    if ops[0].way is CommitWay.WATCH:
        return [(op,) for op in ops]
    parts: list[list[Commit]] = [[]]
    size_bytes = 0
    for op in ops:
        op_bytes = len(op.blob) + len(op.expected)
        size_bytes += op_bytes
        if parts[-1] and (len(parts[-1]) == MOST_AT_ONCE or size_bytes > MOST_BYTES_AT_ONCE):
            parts.append([])
            size_bytes = op_bytes
        parts[-1].append(op)
    return parts
