"""Claiming a key under which there is no entry: for writes that depend on what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.ops import LookAndLease
from dualcache.engine.acquire import MOST_ROUNDS, after_claim, reclaim_all
from dualcache.engine.freshness import ABSENT, FILLING, STALE, UNUSABLE
from dualcache.engine.leases import take_together
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
        (leased,) = yield from take_together(LookAndLease, (call,), env, sent)
        if leased.raw_read.raw == leased.filling:
            return Start(after_claim(call, leased), leased.filling)
        read = yield from classify_with_tags(call, leased.raw_read, leased.sequence, env)
        is_other = read.state is FILLING and may_replace(read.raw)
        if is_other or read.state in {STALE, UNUSABLE}:
            (start,) = yield from reclaim_all(((call, read),), sent, env)
            if start is not None:
                return start
        elif read.state is not ABSENT:
            return read
        elif leased.raw_read.refusal:
            break
    return NOTHING
