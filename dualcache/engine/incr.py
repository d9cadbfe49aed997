"""Counting: an entry that is a whole number, changed under a compare so that no count is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dualcache.core.envelope import owner_of, seal
from dualcache.core.flight import CloseFlights
from dualcache.core.ops import AwaitChange, CommitReply, Look
from dualcache.engine.add import claim_absent
from dualcache.engine.commit import Change, commit
from dualcache.engine.deletion import notice_of
from dualcache.engine.freshness import FILLING, FRESH, UNKNOWN, UNTYPED, ReadResult
from dualcache.engine.leases import keep_lost, release_all
from dualcache.engine.read import classify_with_tags
from dualcache.engine.recovery import ask, ask_once
from dualcache.engine.starting import NOTHING, Start
from dualcache.engine.storing import sealed, worth
from dualcache.errors import BackendError, UsageError

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env

__all__ = ["MOST_TRIES", "incr"]

MOST_TRIES: Final = 200
"""How often a counter may change under a caller's hands: each time one of so many has counted."""
_TRIES_IN_A_ROW: Final = 3
_PAUSE_MS: Final = 20.0
"""How long a caller steps aside at most, so that many do not trip each other up."""
_PRESENT: Final = (FRESH, UNTYPED, UNKNOWN)


class _Counter(NamedTuple):
    """A counter as it is: what its change starts from, and the time that it has left.

    `is_new`: the key is claimed, and nothing is counted yet.
    """

    start: Start
    left_ms: int | None = None
    is_new: bool = False


def incr(call: Call, by: int, env: Env) -> Flow[int | None]:
    """Add to a counter, which begins at 0 where no value is served; return its new value.

    An existing entry keeps its lifetime and its tags; those of `call` are for a new one. `None`:
    not known to be counted, since the backend failed or takes no writes. Nothing is counted twice,
    so a commit whose reply is lost is not repeated. Raises `UsageError` if the entry is not a whole
    number.
    """
    sent: dict[bytes, str] = {}
    try:
        return (yield from _count(call, by, sent, env))
    except BaseException:  # as in `lead`
        yield from release_all(sent, env)
        raise


def _count(call: Call, by: int, sent: dict[bytes, str], env: Env) -> Flow[int | None]:
    """Try until nobody else changes the counter between the read and the commit."""
    held: bytes | None = None
    began_ms = env.elapsed_ms()
    try:
        for tries in range(MOST_TRIES):
            if held is not None or tries >= _TRIES_IN_A_ROW:
                waited_ms = env.elapsed_ms() - began_ms
                yield AwaitChange(call.key, _PAUSE_MS, waited_ms=waited_ms)
            found = yield from _find_counter(call, held, sent, env)
            held = None
            if isinstance(found, _Counter):
                total = yield from _count_on(call, found, by, env)
                if total is not None or not env.health.ways:
                    return total
            elif found.state is FILLING:
                held = found.raw  # another write, most likely; a load that lasts is replaced
            elif found.state not in _PRESENT:
                return None
    except BackendError:
        keep_lost(sent, env)
        env.front.drop((call.key,))
    return None


def _find_counter(
    call: Call, held: bytes | None, sent: dict[bytes, str], env: Env
) -> Flow[_Counter | ReadResult]:
    """Return the counter as it is, or claimed where there is none; else what is in the way.

    `held` is the marker that was there before a pause: if it still is, its holder loses the key.
    """
    sequence = env.sequence()
    began_ms = env.elapsed_ms()
    raw_read = yield from ask(Look(call.key, call.tags, with_ttl=True), env)
    read = yield from classify_with_tags(call, raw_read, sequence, env)
    is_negative = read.stored is not None and read.stored.is_negative
    if is_negative or read.state not in _PRESENT:
        claimed = yield from claim_absent(call, sent, env, lambda marker: marker == held)
        return _Counter(claimed, is_new=True) if isinstance(claimed, Start) else claimed
    if raw_read.refusal:  # without knowing how long it lives, it would be stored for ever
        return NOTHING
    left_ms = raw_read.left_ms
    if left_ms is not None:
        left_ms = max(1, left_ms - (env.elapsed_ms() - began_ms))
    return _Counter(Start(read, read.raw or b""), left_ms)


def _count_on(call: Call, counter: _Counter, by: int, env: Env) -> Flow[int | None]:
    """Change a counter that is still as it was found; `None` where it is not any more."""
    start = counter.start
    total = by if counter.is_new else _number_of(start.read) + by
    change = _next_change(call, counter, total, env)
    if change is None:  # a ttl of 0: nothing is stored
        yield from release_all({start.expected: call.key}, env)
        return total
    (reply,) = yield from commit((change,), env, ask_once)  # a lost reply leaves it open
    if reply is not CommitReply.STORED:
        return None
    env.front.drop((call.key,))
    yield CloseFlights((call.key,))
    return total


def _next_change(call: Call, counter: _Counter, total: int, env: Env) -> Change | None:
    """Return the change to commit: a new entry, or the old one with another value."""
    start, left_ms, is_new = counter
    notice = notice_of((call.key,), env)
    stored = start.read.stored
    if is_new or stored is None:
        what = worth(call, total, env)
        if what is None:
            return None
        blob = sealed(call, total, what, start.read.ids, 0, env)
        return Change(call.key, start.expected, blob, what.ttl_ms, notice)
    value_codec = call.policy.value_codec
    blob = seal(
        call.key,
        value_codec.sign(call.key, value_codec.pack(total), stored.tags),
        version=env.draw_token(),
        created_ms=stored.created_ms,
        fresh_ms=stored.fresh_ms,
        load_ms=stored.load_ms,
        tags=stored.tags,
        owner=owner_of(start.expected),
    )
    return Change(call.key, start.expected, blob, left_ms, notice)


def _number_of(read: ReadResult) -> int:
    """Return the value of a counter."""
    value = read.value
    if read.state is not FRESH or type(value) is not int:
        raise UsageError(
            "the value under this key is not a whole number",
            code="DC181",
            help="count under another key, or set this key to a whole number first",
        )
    return value
