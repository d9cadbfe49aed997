"""Claiming a key under which there is no entry: for writes that depend on what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.ops import LookAndLease
from dualcache.engine.acquire import MOST_ROUNDS, after_claim, reclaim_all
from dualcache.engine.freshness import ABSENT, FILLING, STALE, UNUSABLE
from dualcache.engine.leases import take_lease
from dualcache.engine.read import classify_with_tags
from dualcache.engine.starting import NOTHING, Start

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult


def any_marker(_: bytes | None) -> bool:
    """Let the marker of any other caller be replaced."""
    return True


def claim_absent(
    call: Call,
    sent: dict[bytes, str],
    env: Env,
    may_replace: Callable[[bytes | None], bool] = any_marker,
) -> Flow[Start | ReadResult]:
    """Put a marker of ours where no entry is served; return what is there instead if one is.

    The marker of another caller, if we `may_replace` it, goes under the compare: a load under way
    loses its right to store, as by any write. `NOTHING`: the server takes no writes, or the key
    never rests. `sent` gets each marker that may have arrived. Raises `BackendError`.
    """
    for _ in range(MOST_ROUNDS):
        leased = yield from take_lease(LookAndLease, call, env, sent)
        if leased.seen.raw == leased.filling:
            return Start(after_claim(call, leased), leased.filling)
        sight = yield from classify_with_tags(call, leased.seen, leased.sequence, env)
        is_other = sight.state is FILLING and may_replace(sight.raw)
        if is_other or sight.state in {STALE, UNUSABLE}:
            (start,) = yield from reclaim_all(((call, sight),), sent, env)
            if start is not None:
                return start
        elif sight.state is not ABSENT:
            return sight
        elif leased.seen.refusal:
            break
    return NOTHING
