"""Setting values directly: unconditional for the caller, fenced all the same.

A set first claims the key with a marker, which revokes every load under way, and then commits over
that marker. So a set whose first trip is carried out late (a server that hung, a lost reply) can
never bring back a value that was invalidated in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from dualcache.core.events import Invalidated
from dualcache.core.flight import CloseFlights
from dualcache.core.ops import Claim, CommitReply
from dualcache.engine.commit import Change, commit_all, take_leases
from dualcache.engine.deletion import Owed
from dualcache.engine.invalidation import delete
from dualcache.engine.read import ids_of
from dualcache.engine.worth import Worth, sealed, tag_names, worth
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env


class Put(NamedTuple):
    """A value to store; the tags of the call are all that the entry will have."""

    call: Call
    value: Any
    worth: Worth


def set_value(call: Call, value: Any, env: Env) -> Flow[bool]:
    """Store a value, as `set_many` does."""
    (is_there,) = yield from set_many((call,), (value,), env)
    return is_there


def set_many(calls: Sequence[Call], values: Sequence[Any], env: Env) -> Flow[list[bool]]:
    """Store values; return for each whether it is there (False: not worth storing, or overtaken).

    All are claimed in one trip and committed in another. `calls` are of one policy. Raises
    `UnencodableValue`, or what the policy's callables raise, before anything is changed. Where the
    backend fails, the deletion of what was there before is owed, so that it is never served again.
    """
    puts: list[Put] = []
    dropped: list[str] = []
    for call, value in zip(calls, values, strict=True):
        what = worth(call, value, env)
        if what is None:
            dropped.append(call.key)
        else:
            # The value is known, so all its tags are read or made before anything is stored.
            tags = tuple(dict.fromkeys(tag_names(call.policy, call, value)))
            puts.append(Put(replace(call, tags=tags), value, what))
    stored = yield from put_all(puts, env)
    dropped += [put.call.key for put in puts if put.call.key not in stored]
    if dropped:
        yield from drop(tuple(dropped), env)
    if stored:
        env.front.drop(stored)
        yield CloseFlights(tuple(stored))
    return [stored.get(call.key, False) for call in calls]


def put_all(puts: Sequence[Put], env: Env) -> Flow[dict[str, bool]]:
    """Claim and commit; return by key whether the value is there. Keys left out could not be."""
    try:
        leased = yield from take_leases(Claim, [put.call for put in puts], env, {})
        changes = []
        for (call, value, what), (filling, _, seen) in zip(puts, leased, strict=True):
            if not seen.refusal:
                blob = sealed(call, value, what, ids_of(call, seen), 0, env)
                changes.append(Change(call.key, filling, blob, what.ttl_ms))
        replies = yield from commit_all(changes, env)
    except BackendError:
        return {}
    except BaseException:
        env.health.owe(Owed(tuple([put.call.key for put in puts])), env)
        raise
    return {
        change.key: reply is CommitReply.STORED
        for change, reply in zip(changes, replies, strict=True)
    }


def drop(keys: tuple[str, ...], env: Env) -> Flow[Invalidated]:
    """Delete what a set could not replace."""
    return (yield from delete(Owed(keys), Invalidated(keys=len(keys)), keys, env))
