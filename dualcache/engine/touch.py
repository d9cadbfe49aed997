"""Giving entries a new life: the flow of `touch`.

The entry itself is put back under a compare, so a touch that comes late brings nothing back. A
PEXPIRE would prolong whatever is there by then: the marker of a load, or what an `expire` has left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from dualcache.core.envelope import owner_of, seal
from dualcache.core.ops import FOR_EVER, Look, RawRead
from dualcache.engine.commit import Change, rewrite_each
from dualcache.engine.deletion import notice_of
from dualcache.engine.freshness import FRESH, fresh_left_ms
from dualcache.engine.named_tags import classify_again
from dualcache.engine.pipelines import one_trip, replies_of, slices
from dualcache.engine.recovery import ask
from dualcache.engine.serve import classify
from dualcache.engine.tags import NO_IDS, prolonged, tag_life_ms
from dualcache.engine.write import drop
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult

__all__ = ["touch_many"]

_TOUCHED: Final = (FRESH,)
"""A stale entry is not touched: it would be fresh again, though somebody may have expired it."""


def touch_many(calls: Sequence[Call], env: Env) -> Flow[list[bool]]:
    """Let entries live for the ttl of the policy from now on; tell for each whether it was there.

    The calls are of one policy, whose codec need not decode. An entry keeps its age, its tags and
    its stale window. With a ttl of 0 entries are deleted. False, too, where the backend fails.
    """
    keys = tuple([call.key for call in calls])
    if calls and calls[0].policy.ttl_ms == 0:
        yield from drop(keys, env)
        return [False] * len(calls)
    touched: set[str] = set()
    by_key = {call.key: call for call in calls}

    def changes_of(names: Sequence[str]) -> Flow[list[Change]]:
        read = [by_key[key] for key in names]
        pairs = zip(read, (yield from _read_all(read, env)), strict=True)
        found = [each for each in pairs if each[1].state in _TOUCHED]
        yield from _keep_tags(found, env)
        return [_change_of(*each, env) for each in found]

    try:
        for part in slices(keys):
            yield from rewrite_each(part, changes_of, touched, env)
    except BackendError:
        pass
    env.front.drop(touched)  # a copy would outlive its entry, where the new life is shorter
    return [key in touched for key in keys]


def _read_all(calls: Sequence[Call], env: Env) -> Flow[list[ReadResult]]:
    """Read entries with what they have left, and the tags that they name."""
    sequence = env.sequence()
    looks = [Look(call.key, with_ttl=True) for call in calls]
    raw_reads = replies_of(looks, (yield from ask(one_trip(looks), env)))
    reads = [
        classify(call, raw_read.raw, NO_IDS, sequence, env, raw_read.left_ms)
        for call, raw_read in zip(calls, raw_reads, strict=True)
    ]
    reads = yield from classify_again(calls, reads, env)
    pairs = zip(reads, raw_reads, strict=True)
    return [replace(read, left_ms=raw_read.left_ms) for read, raw_read in pairs]


def _keep_tags(found: Sequence[tuple[Call, ReadResult]], env: Env) -> Flow[None]:
    """Prolong the tags that would die before the entries that are given a new life."""
    names = [tag.name for _, read in found if read.stored for tag in read.stored.tags]
    for part in slices(tuple(dict.fromkeys(names))):
        looks = [Look(name, with_ttl=True) for name in part]
        raw_reads = replies_of(looks, (yield from ask(one_trip(looks), env)))
        left_ms = tuple([FOR_EVER if read.left_ms is None else read.left_ms for read in raw_reads])
        life_ms = found[0][0].policy.ttl_ms
        dying = prolonged(part, RawRead(None, tag_left_ms=left_ms), tag_life_ms(life_ms), life_ms)
        if dying:
            yield from ask(one_trip(dying), env)


def _change_of(call: Call, read: ReadResult, env: Env) -> Change:
    """Return the change that gives an entry its new life."""
    ttl_ms, stored, raw = call.policy.ttl_ms, read.stored, read.raw or b""
    notice = notice_of((call.key,), env)
    assert stored is not None
    if stored.fresh_ms is None:  # its expiry alone decides: the same bytes, so loads go on
        return Change(call.key, raw, raw, ttl_ms, notice)
    now_ms = env.now_ms()
    fresh_left = fresh_left_ms(stored, now_ms, None, 0)
    window_ms = max(0, (read.left_ms or 0) - fresh_left)
    blob = seal(
        call.key,
        stored.packed,
        version=stored.version,  # what lies beside it, of another release, stays valid
        created_ms=stored.created_ms,
        fresh_ms=None if ttl_ms is None else max(0, now_ms - stored.created_ms) + ttl_ms,
        load_ms=stored.load_ms,
        tags=stored.tags,
        owner=owner_of(raw),
    )
    return Change(call.key, raw, blob, None if ttl_ms is None else ttl_ms + window_ms, notice)
