"""Reading a key: look, and what the caller gets of it. The flow of get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.core.counters import READ_WEIGHT
from dualcache.core.entry import MISSING
from dualcache.core.events import Hit, Miss, NotRead
from dualcache.core.flight import Outcome
from dualcache.core.ops import FOR_EVER, DropConnections
from dualcache.engine.beside import call_beside
from dualcache.engine.freshness import (
    ABSENT,
    FRESH,
    NEGATIVE,
    OTHER,
    UNTYPED,
    UNUSABLE,
    ReadResult,
)
from dualcache.engine.looks import begin_look
from dualcache.engine.named_tags import classify_again, look_at_tags
from dualcache.engine.recovery import ask, ask_again
from dualcache.engine.serve import classify, classify_look, count_hit, find_in_front, ids_of
from dualcache.engine.telling import age_of, key_told, tell_stale
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.ops import Flow, RawRead
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.looks import FirstLook

__all__ = [
    "UNTYPED_HELP",
    "UNTYPED_REASON",
    "classify_with_tags",
    "count_miss",
    "found",
    "found_or_raised",
    "get",
    "left_of",
    "look",
    "reason_of",
    "report_untyped",
    "served",
    "served_stale",
    "tell_miss",
]

_UNTYPED: Final = UNTYPED.value
UNTYPED_REASON: Final = (
    "an entry of a function with a return annotation can be read exactly only as that type"
)
UNTYPED_HELP: Final = (
    "give the type: get(key, type=User), get_or_load(key, loader, type=User); "
    "annotate a function: -> User"
)


def get(
    call: Call, env: Env, judge: Callable[[Call, ReadResult, Env], object] | None = None
) -> Flow[object]:
    """Return the fresh value, or MISSING; a backend that fails is a miss.

    `judge` classifies the reply of the read instead of `found`.
    """
    kept = find_in_front(call, env)
    if kept is not MISSING:
        return kept
    try:
        read = yield from look(call, env)
    except BackendError:
        env.emit(Miss(call.policy.label, "backend_down", key_told(call, env)))
        return MISSING
    beside = call_beside(call, read, env)
    if beside is not None:
        return (yield from get(beside, env, judge))
    return (judge or found)(call, read, env)


def found(call: Call, read: ReadResult, env: Env) -> object:
    """Return the value that was read if it may be served, else MISSING; count it.

    A negative entry has none.
    """
    if read.state is FRESH:
        count_hit(call, env, read.raw)
        return read.value
    count_miss(call, read.state.value, env)
    return MISSING


def found_or_raised(call: Call, read: ReadResult, env: Env) -> object:
    """Return the result of `found`; for a negative entry, the outcome that raises."""
    return served(call, read, env) if read.state is NEGATIVE else found(call, read, env)


def look(call: Call, env: Env, first: FirstLook | None = None) -> Flow[ReadResult]:
    """Read a key and its tags; raise `BackendError` where the backend fails.

    Where a driver has performed the `first` look, only what it left undone is done here.
    """
    if first is None:
        first = begin_look(call, env)
        classify_look(call, first, (yield from ask(first.op, env)), env)
    elif first.read is None:  # its connection was cut, and a read may be repeated
        classify_look(call, first, (yield from ask_again(first.op, env)), env)
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
    call.policy.counters.count_miss(reason_of(call, reason))
    tell_miss(call, reason, env)


def tell_miss(call: Call, reason: str, env: Env) -> None:
    """Tell that a caller found nothing to serve, and why."""
    reason = reason_of(call, reason)
    if env.misses_are_heard:
        env.emit(Miss(call.policy.label, reason, key_told(call, env)))
    if reason == _UNTYPED:
        report_untyped(call, env)


def reason_of(call: Call, reason: str) -> str:
    """Return why a call is a miss: an entry of another shape is why, if the call is beside one."""
    return OTHER.value if call.beside and reason in (ABSENT.value, "unread") else reason


def report_untyped(call: Call, env: Env) -> None:
    """Tell once per function or loader that what is stored reads exactly only with its type."""
    counters = call.policy.counters
    counters.unread += 1
    if counters.unread == 1:
        env.emit(NotRead(call.policy.label, UNTYPED_REASON, UNTYPED_HELP))


def served(call: Call, read: ReadResult, env: Env) -> Outcome:
    """Serve a fresh entry; a negative one by an exception of the caller's own."""
    if read.state is NEGATIVE:
        return _served_negative(call, read, env)
    count_hit(call, env, read.raw)
    return Outcome(read.value, None, read.sequence)


def _served_negative(call: Call, read: ReadResult, env: Env) -> Outcome:
    """Serve a fresh exception; it counts as a hit, too."""
    counters = call.policy.counters
    counters.hits += 1
    counters.negative_hits += 1
    counters.recent_hits += (1 - counters.recent_hits) * READ_WEIGHT
    if env.hits_are_heard:
        size_bytes, age = len(read.raw or b""), age_of(read.raw, env)
        told = Hit(call.policy.label, env.tier, True, age, size_bytes, key_told(call, env))
        env.emit(told)
    # Made here, and kept by no reading of the key: frames below the caller hold that one, and the
    # traceback of what is raised would lead back to itself.
    return Outcome(None, read.value(), read.sequence)


def served_stale(call: Call, read: ReadResult, env: Env, why: str) -> Outcome:
    """Serve a stale value without a load; it counts as a hit, too. `why` is for the event."""
    counters = call.policy.counters
    counters.hits += 1
    counters.stale_hits += 1
    counters.recent_hits += (1 - counters.recent_hits) * READ_WEIGHT
    tell_stale(call, read, env, why)
    return Outcome(read.value, None, read.sequence)
