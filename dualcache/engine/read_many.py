"""Reading several keys, in as few trips as can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.entry import MISSING
from dualcache.core.ops import DropConnections, GiveWay, Look, RawRead
from dualcache.engine.beside import call_beside
from dualcache.engine.freshness import LOST, ReadResult
from dualcache.engine.looks import begin_look
from dualcache.engine.named_tags import classify_again, look_at_tags
from dualcache.engine.peek import entry_of
from dualcache.engine.pipelines import paced, slices
from dualcache.engine.read import found, left_of, tell_miss
from dualcache.engine.recovery import ask_each
from dualcache.engine.serve import classify, classify_look, find_in_front, ids_of
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.entry import Entry
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.looks import FirstLook

__all__ = ["get_many", "look_beside", "look_many", "peek_many"]


def get_many(calls: Sequence[Call], env: Env) -> Flow[list[object]]:
    """Return the fresh value of each call, or MISSING; what is not kept is read in few trips."""
    values = yield from paced(lambda call: find_in_front(call, env), calls)
    unkept = [at for at, value in enumerate(values) if value is MISSING]
    read_keys = 0
    try:
        for places in slices(unkept):
            part = [calls[at] for at in places]
            reads = yield from look_many(part, env)
            part, reads = yield from look_beside(part, reads, env)
            for at, call, read in zip(places, part, reads, strict=True):
                values[at] = found(call, read, env)
            read_keys += len(places)
    except BackendError:
        unread = [calls[at] for at in unkept[read_keys:]]
        yield from paced(lambda call: tell_miss(call, "backend_down", env), unread)
    return values


def peek_many(calls: Sequence[Call], env: Env) -> Flow[list[Entry | None]]:
    """Tell what is stored under several keys, as `peek` does, in few trips."""
    entries: list[Entry | None] = []
    try:
        for part in slices(calls):
            if entries:
                yield GiveWay()
            sequence = env.sequence()
            looks = [Look(call.key, call.tags, with_ttl=True) for call in part]
            replies = [
                RawRead(None, (None,) * len(call.tags)) if isinstance(each, BackendError) else each
                for call, each in zip(part, (yield from ask_each(looks, env)), strict=True)
            ]
            reads = [
                classify(call, each.raw, ids_of(call, each), sequence, env, left_of(each))
                for call, each in zip(part, replies, strict=True)
            ]
            reads = yield from classify_again(part, reads, env)
            for call, read, raw_read in zip(part, reads, replies, strict=True):
                entries.append((yield from entry_of(call, read, raw_read, env)))
    except BackendError:
        pass
    return entries + [None] * (len(calls) - len(entries))


def look_beside(
    calls: Sequence[Call], reads: Sequence[ReadResult], env: Env
) -> Flow[tuple[list[Call], list[ReadResult]]]:
    """Look beside the entries of other shapes that were found, all together.

    Returns the calls that serve each caller, and what they found.
    """
    calls, reads = list(calls), list(reads)
    while True:
        pairs = enumerate(zip(calls, reads, strict=True))
        moved = [(at, call_beside(call, read, env)) for at, (call, read) in pairs]
        besides = {at: call for at, call in moved if call is not None}
        if not besides:
            return calls, reads
        found = yield from look_many(list(besides.values()), env)
        for (at, call), read in zip(besides.items(), found, strict=True):
            calls[at], reads[at] = call, read


def look_many(calls: Sequence[Call], env: Env) -> Flow[list[ReadResult]]:
    """Read several keys and their tags in few trips; tags that only entries name, in others.

    The front tier may keep what is fresh, as after a single look.
    """
    looks: list[FirstLook] = []

    def classified(each: tuple[Call, FirstLook, RawRead | BackendError]) -> ReadResult:
        call, look, raw_read = each
        if isinstance(raw_read, BackendError):
            look.read = ReadResult(LOST, look.sequence)
            return look.read
        return classify_look(call, look, raw_read, env)

    reads: list[ReadResult] = []
    for part in slices(calls):
        if reads:
            yield GiveWay()
        # The tickets of all names before the first of them is read, as for a single look.
        begun = [begin_look(call, env) for call in part]
        ops = [look.op for look in begun]
        replies = yield from ask_each(ops, env)
        reads += yield from paced(classified, zip(part, begun, replies, strict=True))
        looks += begun
    if any(read.is_doubtful for read in reads):
        yield DropConnections()
    return (yield from look_at_tags(calls, looks, env))
