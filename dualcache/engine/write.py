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
from dualcache.core.ops import Claim, CommitReply, GiveWay
from dualcache.engine.commit import Change, commit_each
from dualcache.engine.commit_ways import can_commit
from dualcache.engine.cut_keys import over_a_limit
from dualcache.engine.health import PendingDeletion
from dualcache.engine.invalidation import delete
from dualcache.engine.leases import take_leases
from dualcache.engine.pipelines import paced, slices_by_size
from dualcache.engine.recovery import keep_pending
from dualcache.engine.serve import ids_of
from dualcache.engine.storing import Storable, report_unstored, sealed, tag_names, worth

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env

__all__ = ["Put", "drop", "put_of", "set_many", "set_value", "size_of"]


class Put(NamedTuple):
    """A value to store; the tags of the call are all that the entry will have."""

    call: Call
    value: Any
    worth: Storable | None
    """`None`: not to be stored; what is there goes."""


def set_value(call: Call, value: Any, env: Env) -> Flow[bool]:
    """Store a value, as `set_many` does."""
    (is_there,) = yield from set_many(((call, value),), env)
    return is_there


def set_many(values: Iterable[tuple[Call, Any]], env: Env) -> Flow[list[bool]]:
    """Store values; return for each whether it is there (False: not worth storing, or overtaken).

    Part by part they are claimed in one trip and committed in another, so that no claim has to live
    longer than its part takes. The calls are of one policy. Raises `UnencodableValue`, or what the
    policy's callables raise, before anything is changed. Where the backend fails, the deletion of
    what was there before is pending, so that it is never served again.
    """
    # All values are encoded before anything is sent: one that cannot be must change nothing.
    made = yield from paced(lambda pair: put_of(*pair, env), values)
    puts = [put for put in made if put.worth is not None]
    stored: dict[str, bool] = {}
    try:
        for part in slices_by_size(puts, size_of):
            if stored:
                yield GiveWay()
            # Claim, then commit over the claim. A plain SET that a hanging server carries out late
            # would bring the value back after an invalidation; a late claim only makes a marker.
            there = yield from _put_together(part, env)
            stored.update(there)
            if there:
                # After the trip: a load that began before it must not be joined by a caller who
                # begins after the set has returned, nor its look be kept in front.
                env.front.drop(there)
                yield CloseFlights(tuple(there))
    except BaseException:
        # What of this part arrived is not known. The value of before must not be served again, so
        # its deletion is pending; the next read of this process delivers it first.
        missing = tuple([put.call.key for put in puts if put.call.key not in stored])
        keep_pending(PendingDeletion(missing), env)
        raise
    dropped = tuple([put.call.key for put in made if put.call.key not in stored])
    if dropped:
        yield from drop(dropped, env)
    return [stored.get(put.call.key, False) for put in made]


def put_of(call: Call, value: Any, env: Env) -> Put:
    """Make the bytes of a value, and name all its tags: it is known, so they are made before."""
    what = worth(call, value, env)
    if what is None:
        return Put(call, value, None)
    tags = tuple(dict.fromkeys(tag_names(call.policy, call, value)))
    return Put(call if tags == call.tags else replace(call, tags=tags), value, what)


def size_of(put: Put) -> int:
    """Return the bytes of a value; an object that is referred to counts for nothing."""
    payload = put.worth.packed.payload if put.worth else b""
    return len(payload) if isinstance(payload, bytes) else 0


def _put_together(puts: Sequence[Put], env: Env) -> Flow[dict[str, bool]]:
    """Claim and commit; return by key whether the value is there. Keys left out could not be."""
    if not can_commit(env):
        return {}
    leased = yield from take_leases(Claim, [put.call for put in puts], env, {})
    changes = []
    for (call, value, what), claim in zip(puts, leased, strict=True):
        if what is not None and claim is not None and not claim.raw_read.refusal:
            blob = sealed(call, value, what, ids_of(call, claim.raw_read), 0, env)
            changes.append(Change(call.key, claim.filling, blob, what.ttl_ms))
    replies = yield from commit_each(changes, env)
    if CommitReply.TOO_LARGE in replies:
        report_unstored(puts[0].call, over_a_limit(), env)
    return {
        change.key: reply is CommitReply.STORED
        for change, reply in zip(changes, replies, strict=True)
        if reply not in {None, CommitReply.TOO_LARGE}
    }


def drop(keys: tuple[str, ...], env: Env) -> Flow[Invalidated]:
    """Delete what a set could not replace."""
    return (yield from delete(PendingDeletion(keys), Invalidated(keys=len(keys)), keys, env))
