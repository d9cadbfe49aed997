"""Setting a value only where there is none: of several callers at once, one succeeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.flight import CloseFlights
from dualcache.core.ops import CommitReply, LookAndLease
from dualcache.engine.acquire import MOST_ROUNDS, after_claim, reclaim_all
from dualcache.engine.commit import Change, commit_each
from dualcache.engine.cut_keys import over_a_limit
from dualcache.engine.deletion import notice_of
from dualcache.engine.freshness import ABSENT, FILLING, STALE, UNUSABLE
from dualcache.engine.leases import keep_lost, release_all, take_together
from dualcache.engine.read import classify_with_tags
from dualcache.engine.starting import NOTHING, Start
from dualcache.engine.storing import report_unstored, sealed
from dualcache.engine.write import drop, put_of
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult
    from dualcache.engine.write import Put

__all__ = ["add", "claim_absent"]


def add(call: Call, value: Any, env: Env) -> Flow[bool]:
    """Store a value where none is served; tell whether it was stored.

    Claimed and committed in two trips, as a set is: a plain `SET … NX` that a hanging server
    carries out late would bring back what was invalidated in between.
    """
    put = put_of(call, value, env)
    if put.worth is None:
        return False
    sent: dict[bytes, str] = {}
    try:
        return (yield from _add(put, sent, env))
    except BackendError:
        raise
    except BaseException:  # as in `lead`
        yield from release_all(sent, env)
        raise


def _add(put: Put, sent: dict[bytes, str], env: Env) -> Flow[bool]:
    """Claim the key and commit the value over the claim.

    A commit that is refused was overtaken: by a write, by an invalidation, or by another `add`,
    which then returns True to its caller.
    """
    call, value, what = put
    try:
        start = yield from claim_absent(call, sent, env)
    except BackendError:
        keep_lost(sent, env)
        return False
    if what is None or not isinstance(start, Start):
        return False
    blob = sealed(call, value, what, start.read.ids, 0, env)
    # What the claim replaced may be kept elsewhere: a stale entry was fresh when it was read.
    notice = notice_of((call.key,), env)
    change = Change(call.key, start.expected, blob, what.ttl_ms, notice)
    (reply,) = yield from commit_each((change,), env)
    if reply is CommitReply.TOO_LARGE:
        report_unstored(call, over_a_limit(), env)
    if reply is None or reply is CommitReply.TOO_LARGE:
        yield from drop((call.key,), env)  # our marker is there, or a value whose reply was lost
        return False
    env.front.drop((call.key,))
    yield CloseFlights((call.key,))
    return reply is CommitReply.STORED


def _any_marker(_: bytes | None) -> bool:
    """Let the marker of any other caller be replaced."""
    return True


def claim_absent(
    call: Call,
    sent: dict[bytes, str],
    env: Env,
    may_replace: Callable[[bytes | None], bool] = _any_marker,
) -> Flow[Start | ReadResult]:
    """Put our marker where no value is served; return the served value if there is one.

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
        is_negative = read.stored is not None and read.stored.is_negative
        if is_other or is_negative or read.state in {STALE, UNUSABLE}:
            (start,) = yield from reclaim_all(((call, read),), sent, env)
            if start is not None:
                return start
        elif read.state is not ABSENT:
            return read
        elif leased.raw_read.refusal:
            break
    return NOTHING
