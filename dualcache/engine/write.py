"""Setting values directly: unconditional for the caller, fenced all the same.

A set first claims the key with a marker, which revokes every load under way, and then commits over
that marker. So a set whose first trip is carried out late (a server that hung, a lost reply) can
never bring back a value that was invalidated in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from dualcache.core.events import Invalidated
from dualcache.core.ops import Claim, CloseFlights, CommitReply
from dualcache.engine.commit import commit, sealed, tag_names, take_lease, worth
from dualcache.engine.invalidation import delete
from dualcache.engine.read import ids_of
from dualcache.engine.recovery import Owed
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from typing import Any

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env


def set_value(call: Call, value: Any, env: Env) -> Flow[bool]:
    """Store a value; return whether it is there (False: not worth storing, or overtaken).

    Raises `UnencodableValue`, or what the policy's callables raise, before anything is changed.
    Where the backend fails, the deletion of what was there before is owed, so that it is never
    served again.
    """
    what = worth(call, value, env)
    if what is None:
        yield from drop(call, env)
        return False
    # The value is known, so all its tags are read or made before anything is stored.
    whole = replace(call, tags=tuple(dict.fromkeys(tag_names(call.policy, call, value))))
    try:
        leased = yield from take_lease(Claim, whole, env)
        if leased.seen.refusal:
            yield from drop(call, env)
            return False
        blob = sealed(call, value, what, ids_of(whole, leased.seen), 0, env)
        reply = yield from commit(call.key, leased.filling, blob, what.ttl_ms, env)
    except BackendError:
        yield from drop(call, env)
        return False
    except BaseException:
        env.health.owe(Owed((call.key,)), env)
        raise
    env.front.drop((call.key,))
    yield CloseFlights((call.key,))
    return reply is CommitReply.STORED


def drop(call: Call, env: Env) -> Flow[Invalidated]:
    """Delete what a set could not replace."""
    return (yield from delete(Owed((call.key,)), Invalidated(keys=1), (call.key,), env))
