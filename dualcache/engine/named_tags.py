"""Tags that only an entry itself names, as they depend on its value: they are read after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.front_ports import heard_together
from dualcache.core.ops import Look, ReadTags
from dualcache.engine.freshness import FRESH, UNUSABLE
from dualcache.engine.pipelines import slices
from dualcache.engine.recovery import ask
from dualcache.engine.serve import classify, keep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.front_ports import PushEpoch
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult
    from dualcache.engine.looks import FirstLook

__all__ = ["classify_again", "look_at_tags"]


def look_at_tags(
    calls: Sequence[Call], looks: Sequence[FirstLook], env: Env
) -> Flow[list[ReadResult]]:
    """Classify what looks have found by the tags that only the entries name, too.

    The front tier may keep what is fresh by then.
    """
    reads = [look.read for look in looks if look.read is not None]
    if all(call.policy.front is None for call in calls):
        return (yield from classify_again(calls, reads, env))
    unread = [_unread_tags(read) for read in reads]
    names = tuple(dict.fromkeys([name for each in unread for name in each]))
    # A ticket for each name, taken before that very name is read. One for all, taken now, would not
    # notice a push for the key that came since the key was read.
    for call, look, own in zip(calls, looks, unread, strict=True):
        if own and call.policy.front is not None:
            look.tickets += (call.policy.front.begin_read(own),)
    ids: dict[str, bytes | None] = {}
    push_epochs: set[PushEpoch] = set()
    for part in slices(names):
        more = yield from ask(
            Look(part[0], tuple(part[1:])), env
        )  # a look is tracked as the first is
        ids.update(zip(part, (more.raw, *more.tag_ids), strict=True))
        push_epochs.add(more.push_epoch)
    for at, (call, look, own) in enumerate(zip(calls, looks, unread, strict=True)):
        if not own:
            continue
        raw_read, read, front = look.raw_read, reads[at], call.policy.front
        known = {**read.ids, **{name: ids[name] for name in own}}
        look.read = again = classify(call, read.raw, known, look.sequence, env, raw_read.left_ms)
        reads[at] = again
        if front is not None and again.state is FRESH:
            push_epoch = heard_together((raw_read.push_epoch, *push_epochs))
            keep(call, front, look, push_epoch, env)
    return reads


def _unread_tags(read: ReadResult) -> tuple[str, ...]:
    """Return the tags of an entry whose ids were not read with it."""
    if read.state is not UNUSABLE or read.stored is None:
        return ()
    return tuple(tag.name for tag in read.stored.tags if tag.name not in read.ids)


def classify_again(
    calls: Sequence[Call], reads: Sequence[ReadResult], env: Env
) -> Flow[list[ReadResult]]:
    """Read all tags that were not read with their entries, and classify by them too."""
    unread = [_unread_tags(read) for read in reads]
    names = tuple(dict.fromkeys([name for each in unread for name in each]))
    if not names:
        return list(reads)
    ids: dict[str, bytes | None] = {}
    for part in slices(names):
        ids.update(zip(part, (yield from ask(ReadTags(tuple(part)), env)), strict=True))
    classified = []
    for call, read, own in zip(calls, reads, unread, strict=True):
        known = {**read.ids, **{name: ids[name] for name in own}}
        again = classify(call, read.raw, known, read.sequence, env, read.left_ms) if own else read
        classified.append(again)
    return classified
