"""Reading a key: look, and what the caller gets of it. The flows of get, peek, contains and ttl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.core.entry import MISSING, Entry
from dualcache.core.events import Miss, NotRead
from dualcache.core.flight import Outcome
from dualcache.core.front_ports import UNTRACKED
from dualcache.core.ops import FOR_EVER, DropConnections, Look, ReadTags
from dualcache.engine.attempts import attempt_once
from dualcache.engine.freshness import FRESH, STALE, UNTYPED, UNUSABLE, ReadResult, is_fresh
from dualcache.engine.pipelines import slices
from dualcache.engine.recovery import ask
from dualcache.engine.serve import (
    UNREAD,
    begin_look,
    classify,
    count_hit,
    find_in_front,
    ids_of,
    judge,
    keep,
)
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from dualcache.core.front_ports import FunctionPort
    from dualcache.core.ops import Flow, RawRead
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.serve import FirstLook

__all__ = [
    "UNTYPED_HELP",
    "UNTYPED_REASON",
    "classify_again",
    "classify_with_tags",
    "contains",
    "count_miss",
    "found",
    "get",
    "left_of",
    "look",
    "peek",
    "served",
    "tell_miss",
    "ttl",
]

UNTYPED_REASON: Final = (
    "an entry that a function with a return annotation stored reads exactly only as that type"
)
UNTYPED_HELP: Final = (
    "give the type: get(key, type=User), get_or_load(key, loader, type=User); "
    "annotate a function: -> User"
)


def get(call: Call, env: Env) -> Flow[object]:
    """Return the fresh value, or MISSING; a backend that fails is a miss."""
    kept = find_in_front(call, env)
    if kept is not MISSING:
        return kept
    try:
        sight = yield from look(call, env)
    except BackendError:
        env.emit(Miss(call.policy.label, "backend_down"))
        return MISSING
    return found(call, sight, env)


def found(call: Call, sight: ReadResult, env: Env) -> object:
    """Return the value of a sight that may be served, or MISSING; count it."""
    if sight.state is FRESH:
        count_hit(call, env)
        return sight.value
    count_miss(call, sight.state.value, env)
    return MISSING


def contains(call: Call, env: Env) -> Flow[bool]:
    """Tell whether a fresh entry is there."""
    entry = yield from peek(call, env)
    return entry is not None and not entry.stale


def ttl(call: Call, env: Env) -> Flow[float | None]:
    """Return the seconds that an entry has left; `None`: there is none, or it stays for ever."""
    entry = yield from peek(call, env)
    return None if entry is None else entry.ttl


def peek(call: Call, env: Env) -> Flow[Entry | None]:
    """Tell what is stored, fresh or stale, without a side effect; `None`: nothing usable.

    The value is MISSING where only its type reads it exactly and this call does not know it.
    """
    sequence = env.sequence()
    try:
        seen = yield from ask(Look(call.key, call.tags, with_ttl=True), env)
        sight = yield from classify_with_tags(call, seen, sequence, env)
    except BackendError:
        return None
    stored = sight.stored
    is_unread = sight.state in UNREAD.values()
    if stored is None or not (is_unread or sight.state in {FRESH, STALE}):
        return None
    if sight.state is UNTYPED:
        _report_untyped(call, env)
    return Entry(
        value=MISSING if is_unread else sight.value,
        age=max(0, env.now_ms() - stored.created_ms) / 1000,
        ttl=None if seen.left_ms is None else seen.left_ms / 1000,
        tier="front" if _is_kept(call) else env.tier,
        stale=sight.state is STALE or (is_unread and not is_fresh(stored, env.now_ms())),
        tags=tuple(_shown_tags(tag.name for tag in stored.tags)),
    )


def _is_kept(call: Call) -> bool:
    """Tell whether the front tier would answer this call."""
    front = call.policy.front
    return front is not None and front.holds(call)


def _shown_tags(names: Any) -> Any:
    """Return the users' tags among full tag keys, as the users wrote them."""
    return (name.partition("~t:")[2] for name in names if "~t:" in name)


def look(call: Call, env: Env, first: FirstLook | None = None) -> Flow[ReadResult]:
    """Read a key and its tags; raise `BackendError` where the backend fails.

    Of a `first` look that a driver performed only that is done which it left to do.
    """
    if first is None:
        first = begin_look(call, env)
        judge(call, first, (yield from ask(first.op, env)), env)
    elif first.result is None:
        judge(call, first, (yield from attempt_once(first.op, env)), env)  # its connection was cut
    result = first.result
    assert result is not None
    if result.state is not UNUSABLE:
        return result
    if result.is_doubtful:
        yield DropConnections()
    if call.policy.front is not None:
        return (yield from _look_at_tags(call, call.policy.front, first, env))
    (result,) = yield from classify_again((call,), (result,), env)
    return result


def _look_at_tags(call: Call, front: FunctionPort, first: FirstLook, env: Env) -> Flow[ReadResult]:
    """Read the tags that only the entry itself names; the front tier may keep what is fresh then.

    A ticket for each name is taken before that name is read.
    """
    result, seen = first.result, first.seen
    assert result is not None
    others = _unread_tags(result)
    if not others:
        return result
    first.tickets += (front.begin_read(others),)
    more = yield from ask(Look(others[0], others[1:]), env)  # a look is tracked as the first is
    ids = {**result.ids, **dict(zip(others, (more.raw, *more.tag_ids), strict=True))}
    first.result = result = classify(call, result.raw, ids, first.sequence, env, seen.left_ms)
    if result.state is FRESH:
        is_one = more.push_epoch == seen.push_epoch
        keep(call, front, first, seen.push_epoch if is_one else UNTRACKED, env)
    return result


def classify_with_tags(call: Call, seen: RawRead, sequence: int, env: Env) -> Flow[ReadResult]:
    """Judge what a read found; read the tags first that only the entry itself names."""
    sight = classify(call, seen.raw, ids_of(call, seen), sequence, env, left_of(seen))
    if sight.state is UNUSABLE:
        (sight,) = yield from classify_again((call,), (sight,), env)
    return sight


def _unread_tags(sight: ReadResult) -> tuple[str, ...]:
    """Return the tags of an entry whose ids were not read with it."""
    if sight.state is not UNUSABLE or sight.stored is None:
        return ()
    return tuple(tag.name for tag in sight.stored.tags if tag.name not in sight.ids)


def classify_again(
    calls: Sequence[Call], sights: Sequence[ReadResult], env: Env
) -> Flow[list[ReadResult]]:
    """Read the tags that were not read with their entries, all together, and judge by them too."""
    unread = [_unread_tags(sight) for sight in sights]
    names = tuple(dict.fromkeys([name for each in unread for name in each]))
    if not names:
        return list(sights)
    ids: dict[str, bytes | None] = {}
    for part in slices(names):
        ids.update(zip(part, (yield from ask(ReadTags(tuple(part)), env)), strict=True))
    judged = []
    for call, sight, own in zip(calls, sights, unread, strict=True):
        known = {**sight.ids, **{name: ids[name] for name in own}}
        again = (
            classify(call, sight.raw, known, sight.sequence, env, sight.left_ms) if own else sight
        )
        judged.append(again)
    return judged


def left_of(seen: RawRead) -> int | None:
    """Return what a key has left, as far as that was asked; `None` too for one without an end."""
    return None if seen.left_ms == FOR_EVER else seen.left_ms


def count_miss(call: Call, reason: str, env: Env) -> None:
    """Count a miss and tell why."""
    call.policy.counters.count_miss()
    tell_miss(call, reason, env)


def tell_miss(call: Call, reason: str, env: Env) -> None:
    """Tell that a caller found nothing to serve, and why."""
    env.emit(Miss(call.policy.label, reason))
    if reason == UNTYPED.value:
        _report_untyped(call, env)


def _report_untyped(call: Call, env: Env) -> None:
    """Tell once per function or loader that what is stored reads exactly only with its type."""
    counters = call.policy.counters
    counters.unread += 1
    if counters.unread == 1:
        env.emit(NotRead(call.policy.label, UNTYPED_REASON, UNTYPED_HELP))


def served(call: Call, sight: ReadResult, env: Env) -> Outcome:
    """Serve a fresh entry."""
    count_hit(call, env)
    return Outcome(sight.value, None, sight.sequence)
