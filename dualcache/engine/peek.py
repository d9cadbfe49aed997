"""Looking at an entry without a side effect: the flows of peek, contains and ttl."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.entry import MISSING, Entry
from dualcache.core.ops import Look
from dualcache.engine.beside import call_beside
from dualcache.engine.freshness import NEGATIVE, SERVED, STALE, UNTYPED, is_fresh
from dualcache.engine.read import classify_with_tags, report_untyped
from dualcache.engine.recovery import ask
from dualcache.engine.serve import UNREAD
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from typing import Any

    from dualcache.core.entry import Stored
    from dualcache.core.ops import Flow, RawRead
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult, State

__all__ = ["contains", "entry_of", "make_entry", "peek", "ttl"]


def contains(call: Call, env: Env) -> Flow[bool]:
    """Tell whether a fresh value is there."""
    entry = yield from peek(call, env)
    return entry is not None and not entry.stale and not entry.negative


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
    if stored is None or not (is_unread or read.state in {*SERVED, STALE}):
        return None
    if read.state is UNTYPED:
        report_untyped(call, env)
    value = MISSING if is_unread else read.value
    return make_entry(call, read.state, stored, value, raw_read.left_ms, env)


def make_entry(
    call: Call, state: State, stored: Stored, value: Any, left_ms: int | None, env: Env
) -> Entry:
    """Make the `Entry` that a user sees of what is stored."""
    is_unread = state in UNREAD.values()
    recall = value if state is NEGATIVE else None
    return Entry(
        value=MISSING if state is NEGATIVE else value,
        age=max(0, env.now_ms() - stored.created_ms) / 1000,
        ttl=None if left_ms is None else left_ms / 1000,
        tier="front" if _is_kept(call) else env.tier,
        stale=state is STALE or (is_unread and not is_fresh(stored, env.now_ms())),
        tags=tuple(_shown_tags(tag.name for tag in stored.tags)),
        negative=stored.is_negative,
        error=None if recall is None else recall(),
    )


def _is_kept(call: Call) -> bool:
    """Tell whether the front tier would answer this call."""
    front = call.policy.front
    return front is not None and front.holds(call)


def _shown_tags(names: Any) -> Any:
    """Return the users' tags among full tag keys, as the users wrote them."""
    return (name.partition("~t:")[2] for name in names if "~t:" in name)
