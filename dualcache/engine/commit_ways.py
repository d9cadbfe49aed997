"""Which ways to compare and set the server has: found by trying, forgotten after a while.

A right may be granted later, and another server may stand behind the address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.core.events import StoresStopped
from dualcache.engine.closing import closed_ways

if TYPE_CHECKING:
    from collections.abc import Container

    from dualcache.core.ops import CommitWay
    from dualcache.engine.env import Env

__all__ = [
    "RETRY_MS",
    "SOON_MS",
    "can_commit",
    "note_lacking",
    "try_all_again",
    "try_all_again_soon",
]

RETRY_MS: Final = 60_000
"""After how long a way that was lacking is tried once more: that costs one trip."""
SOON_MS: Final = 1_000
_NO_WAY: Final = "nothing to compare and set with"


def can_commit(env: Env) -> bool:
    """Tell whether there is any way to compare and set, as far as is known.

    Where there is none a lease only costs: its load cannot store, and others would wait for it.
    """
    lacking = env.health.lacking
    if lacking.before and env.elapsed_ms() >= lacking.retry_at_ms:
        try_all_again(env)
    return bool(env.health.ways)


def try_all_again(env: Env) -> None:
    """Forget what was lacking: a while is over, or the connection is another."""
    health = env.health.whole  # what one node of a cluster lacks, no commit counts on
    lacking = health.lacking
    if not lacking.before:
        return
    closed = closed_ways(env)
    health.ways = tuple([way for way in lacking.before if way not in closed])
    if closed:  # to be tried later: what cuts the connection is not a question of rights
        lacking.retry_at_ms = env.elapsed_ms() + RETRY_MS
    else:
        lacking.before = ()


def try_all_again_soon(env: Env) -> None:
    """Let what was lacking be tried soon: a new connection may lead to another server.

    Not at once: a pool that grows opens several, which lead to the same.
    """
    lacking = env.health.lacking
    # Never later than it was going to be: a pool that keeps growing would put it off for ever.
    lacking.retry_at_ms = min(lacking.retry_at_ms, env.elapsed_ms() + SOON_MS)


def note_lacking(ways: Container[CommitWay], env: Env) -> None:
    """Note that the server does not have these; tell observers once if none is left."""
    health = env.health.whole
    lacking = health.lacking
    # Only the first time: `before` is all ways, to which those found lacking later belong as well.
    if not lacking.before:
        lacking.before = health.ways
        lacking.retry_at_ms = env.elapsed_ms() + RETRY_MS
    health.ways = tuple(way for way in health.ways if way not in ways)
    if not health.ways and not lacking.is_told:
        lacking.is_told = True
        env.emit(StoresStopped(reason=_NO_WAY))
