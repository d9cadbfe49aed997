"""Reading a key: look, and what the caller gets of it. The flows of get, peek, contains and ttl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.core.entry import MISSING, Entry
from dualcache.core.events import Miss, NotRead, StaleHit
from dualcache.core.flight import Outcome
from dualcache.core.ops import FOR_EVER, DropConnections, Look
from dualcache.core.policy import READ_WEIGHT
from dualcache.engine.attempts import attempt_once
from dualcache.engine.beside import call_beside
from dualcache.engine.freshness import (
    ABSENT,
    FRESH,
    OTHER,
    STALE,
    UNTYPED,
    UNUSABLE,
    ReadResult,
    is_fresh,
)
from dualcache.engine.named_tags import classify_again, look_at_tags
from dualcache.engine.recovery import ask
from dualcache.engine.serve import (
    UNREAD,
    begin_look,
    classify,
    classify_look,
    count_hit,
    find_in_front,
    ids_of,
)
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from typing import Any

    from dualcache.core.entry import Stored
    from dualcache.core.ops import Flow, RawRead
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import State
    from dualcache.engine.serve import FirstLook

__all__ = [
    "UNTYPED_HELP",
    "UNTYPED_REASON",
    "classify_with_tags",
    "contains",
    "count_miss",
    "entry_of",
    "found",
    "get",
    "left_of",
    "look",
    "make_entry",
    "peek",
    "served",
    "served_stale",
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
        read = yield from look(call, env)
    except BackendError:
        env.emit(Miss(call.policy.label, "backend_down"))
        return MISSING
    beside = call_beside(call, read, env)
    if beside is not None:
        return (yield from get(beside, env))
    return found(call, read, env)


def found(call: Call, read: ReadResult, env: Env) -> object:
    """Return the value that was read if it may be served, else MISSING; count it."""
    if read.state is FRESH:
        count_hit(call, env)
        return read.value
    count_miss(call, read.state.value, env)
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
        raw_read = yield from ask(Look(call.key, call.tags, with_ttl=True), env)
        read = yield from classify_with_tags(call, raw_read, sequence, env)
    except BackendError:
        return None
    return (yield from entry_of(call, read, raw_read, env))


def entry_of(call: Call, read: ReadResult, raw_read: RawRead, env: Env) -> Flow[Entry | None]:
    """Make the `Entry` of a read; where it has another shape, of what lies beside it."""
    beside = call_beside(call, read, env)
    if beside is not None:
        return (yield from peek(beside, env))
    stored = read.stored
    is_unread = read.state in UNREAD.values()
    if stored is None or not (is_unread or read.state in {FRESH, STALE}):
        return None
    if read.state is UNTYPED:
        _report_untyped(call, env)
    value = MISSING if is_unread else read.value
    return make_entry(call, read.state, stored, value, raw_read.left_ms, env)


def make_entry(
    call: Call, state: State, stored: Stored, value: Any, left_ms: int | None, env: Env
) -> Entry:
    """Make the `Entry` that a user sees of what is stored."""
    is_unread = state in UNREAD.values()
    return Entry(
        value=value,
        age=max(0, env.now_ms() - stored.created_ms) / 1000,
        ttl=None if left_ms is None else left_ms / 1000,
        tier="front" if _is_kept(call) else env.tier,
        stale=state is STALE or (is_unread and not is_fresh(stored, env.now_ms())),
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

    Where a driver has performed the `first` look, only what it left undone is done here.
    """
    if first is None:
        first = begin_look(call, env)
        classify_look(call, first, (yield from ask(first.op, env)), env)
    elif first.read is None:  # its connection was cut, and a read may be repeated
        classify_look(call, first, (yield from attempt_once(first.op, env)), env)
    read = first.read
    assert read is not None
    if read.state is not UNUSABLE:
        return read
    if read.is_doubtful:
        yield DropConnections()
    (read,) = yield from look_at_tags((call,), (first,), env)
    return read


def classify_with_tags(call: Call, raw_read: RawRead, sequence: int, env: Env) -> Flow[ReadResult]:
    """Classify what a read found; read the tags first that only the entry itself names."""
    read = classify(call, raw_read.raw, ids_of(call, raw_read), sequence, env, left_of(raw_read))
    if read.state is UNUSABLE:
        (read,) = yield from classify_again((call,), (read,), env)
    return read


def left_of(raw_read: RawRead) -> int | None:
    """Return the time to live of a key; `None` where it was not asked for, or never ends."""
    return None if raw_read.left_ms == FOR_EVER else raw_read.left_ms


def count_miss(call: Call, reason: str, env: Env) -> None:
    """Count a miss and tell why."""
    call.policy.counters.count_miss()
    tell_miss(call, reason, env)


def tell_miss(call: Call, reason: str, env: Env) -> None:
    """Tell that a caller found nothing to serve, and why.

    Where it looked beside an entry of another shape, that is why.
    """
    if call.beside and reason in (ABSENT.value, "unread"):
        reason = OTHER.value
    env.emit(Miss(call.policy.label, reason))
    if reason == UNTYPED.value:
        _report_untyped(call, env)


def _report_untyped(call: Call, env: Env) -> None:
    """Tell once per function or loader that what is stored reads exactly only with its type."""
    counters = call.policy.counters
    counters.unread += 1
    if counters.unread == 1:
        env.emit(NotRead(call.policy.label, UNTYPED_REASON, UNTYPED_HELP))


def served(call: Call, read: ReadResult, env: Env) -> Outcome:
    """Serve a fresh entry."""
    count_hit(call, env)
    return Outcome(read.value, None, read.sequence)


def served_stale(call: Call, read: ReadResult, env: Env) -> Outcome:
    """Serve a stale value without a load; it counts as a hit, too."""
    counters = call.policy.counters
    counters.hits += 1
    counters.stale_hits += 1
    counters.recent_hits += (1 - counters.recent_hits) * READ_WEIGHT
    env.emit(StaleHit(call.policy.label, env.tier))
    return Outcome(read.value, None, read.sequence)
