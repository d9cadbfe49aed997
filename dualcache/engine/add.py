"""Setting a value only where there is none: of several callers at once, one succeeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.flight import CloseFlights
from dualcache.core.ops import CommitReply
from dualcache.engine.claim import claim_absent
from dualcache.engine.commit import Change, commit_each
from dualcache.engine.cut_keys import over_a_limit
from dualcache.engine.deletion import notice_of
from dualcache.engine.leases import release_all
from dualcache.engine.starting import Start
from dualcache.engine.storing import report_unstored, sealed
from dualcache.engine.write import drop, put_of
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from typing import Any

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.write import Put


def add(call: Call, value: Any, env: Env) -> Flow[bool]:
    """Store a value where no entry is served; tell whether it was stored.

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
    whose caller is then told that his value was stored.
    """
    call, value, what = put
    try:
        start = yield from claim_absent(call, sent, env)
    except BackendError:
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
        yield from drop((call.key,), env)  # our marker is there, or the value that nobody knows of
        return False
    env.front.drop((call.key,))
    yield CloseFlights((call.key,))
    return reply is CommitReply.STORED
