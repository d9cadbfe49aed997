"""The start of a refresh: the right to replace the entry of a key, even during its load.

A usable entry stays until it is replaced. An entry of another release, or a hold, is left alone,
whenever it comes: nothing is replaced without a compare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from dualcache.core.ops import WRONG_TYPE, CommitReply, Delete, Look, LookAndLease
from dualcache.engine.acquire import MOST_ROUNDS, after_claim
from dualcache.engine.commit import Change, commit_one
from dualcache.engine.deletion import notice_of
from dualcache.engine.freshness import ABSENT, OTHER, REPLACED, SERVED, TOMBSTONE, ReadResult
from dualcache.engine.leases import lease_ms, marker, take_together
from dualcache.engine.read import classify_with_tags, left_of
from dualcache.engine.recovery import ask
from dualcache.engine.starting import NOTHING, Start, resealed

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env

__all__ = ["start_refresh"]


def start_refresh(call: Call, sent: dict[bytes, str], env: Env) -> Flow[Start | ReadResult]:
    """Get the right to replace what a key holds; every load of it begun before loses its own.

    A usable entry stays for the time it has left. One of another shape is left alone, and so is a
    hold: what was read of it is returned. Anything else is claimed; `NOTHING` where the server
    takes no writes, or the key never rests. `sent` is as for `acquire`.
    """
    sequence = env.sequence()
    began_ms = env.elapsed_ms()
    raw_read = yield from ask(Look(call.key, call.tags, with_ttl=True), env)
    read = yield from classify_with_tags(call, raw_read, sequence, env)
    is_held = read.state is TOMBSTONE and raw_read.left_ms is not None
    if read.state is OTHER or is_held:
        return read
    is_there = read.state in SERVED or read.state in REPLACED
    if is_there and read.stored is not None and not raw_read.refusal:
        passed_ms = env.elapsed_ms() - began_ms
        left_ms = None if raw_read.left_ms is None else max(1, raw_read.left_ms - passed_ms)
        # The same entry under a version that no other load started from: those then fail their
        # compare, and readers are served meanwhile. A marker would make all of them wait.
        blob = resealed(call, read.stored, env)
        change = Change(call.key, read.raw or b"", blob, left_ms)
        reply = yield from commit_one(change, env)
        if reply is CommitReply.STORED:
            return Start(replace(read, raw=blob, left_ms=left_ms), blob, is_refresh=True)
    return (yield from _claim(call, read, sent, env))


def _claim(
    call: Call, read: ReadResult, sent: dict[bytes, str], env: Env
) -> Flow[Start | ReadResult]:
    """Put a marker in the place of what a key holds, unless that is a hold by now."""
    # Under a compare, not by a plain SET: that would take away a hold that has come since the look,
    # and a load that read the source before the commit of its holder could be stored.
    for _ in range(MOST_ROUNDS):
        (leased,) = yield from take_together(LookAndLease, (call,), env, sent, read.ids)
        if leased.raw_read.raw == leased.filling:
            return Start(after_claim(call, leased), leased.filling)
        read = yield from classify_with_tags(call, leased.raw_read, leased.sequence, env)
        is_held = read.state is TOMBSTONE and left_of(leased.raw_read) is not None
        if read.state is OTHER or is_held:
            return read
        if read.state is ABSENT and leased.raw_read.refusal:
            break
        if read.raw == WRONG_TYPE:
            yield from ask(Delete((call.key,)), env)
        elif read.raw is not None:
            filling = marker(call, read.ids, env)
            sent[filling] = call.key
            life_ms, notice = lease_ms(call.policy.counters), notice_of((call.key,), env)
            change = Change(call.key, read.raw, filling, life_ms, notice)
            reply = yield from commit_one(change, env)
            if reply is CommitReply.STORED:
                return Start(after_claim(call, replace(leased, filling=filling)), filling)
    return NOTHING
