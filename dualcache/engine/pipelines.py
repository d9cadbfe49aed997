"""Several ops in one trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from dualcache.core.ops import Batch
from dualcache.engine.recovery import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.core.ops import Flow, Op
    from dualcache.engine.env import Env

T = TypeVar("T")


def ask_together(
    ops: Sequence[Op[T]], env: Env, asking: Callable[[Op[Any], Env], Flow[Any]] = ask
) -> Flow[Sequence[T]]:
    """Perform ops in one trip, `asking` for it once or, where they may be repeated, again."""
    if len(ops) == 1:
        return ((yield from asking(ops[0], env)),)
    replies: Sequence[T] = yield from asking(Batch(tuple(ops)), env)
    return replies
