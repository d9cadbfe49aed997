"""The start of a load: our own marker, or a stale entry under an efficiency lease.

Nothing here waits. Whatever a load starts from carries the mark of its function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from dualcache.core.entry import TOKEN_BYTES, Kind
from dualcache.core.envelope import owner_of, seal
from dualcache.core.events import Unusable
from dualcache.core.ops import CommitReply, Delete, Look, TryLease
from dualcache.engine.commit import Change, commit
from dualcache.engine.deletion import notice_of
from dualcache.engine.freshness import ABSENT, FRESH, REPLACED, ReadResult, is_within
from dualcache.engine.health import PendingDeletion
from dualcache.engine.leases import (
    RELEASED_MS,
    keep_lost,
    lease_ms,
    new_filling,
    release_all,
    release_lost,
)
from dualcache.engine.recovery import ask, ask_once, keep_pending
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from dualcache.core.entry import Stored
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env

__all__ = [
    "NOTHING",
    "Paused",
    "Start",
    "give_up",
    "held_by",
    "keep_entry_pending",
    "leave_unstored",
    "pause",
    "pause_ms",
    "resealed",
    "take_refresh",
]


class Start(NamedTuple):
    """The start of a load: the reading of its key, and the bytes that its commit expects to find.

    `token` is that of the efficiency lease of a stale entry, where one was taken. `is_refresh`: the
    caller asked for a new result, so the old one is not to be served after it. `is_beside`: the
    load runs in the background, and nobody is served by it. `failures`: how many loads over this
    entry have failed in a row.
    """

    read: ReadResult
    expected: bytes
    token: bytes | None = None
    is_refresh: bool = False
    is_beside: bool = False
    failures: int = 0

    @property
    def is_over_entry(self) -> bool:
        """Whether an entry is there that stays until the load replaces it."""
        return self.read.state is FRESH or self.read.state in REPLACED


class Paused(NamedTuple):
    """An entry whose loads have failed, and of which nobody loads for a while."""

    read: ReadResult


_PAUSE: Final = b"pause"
"""How what stands in the place of a lease begins, during a pause and for as long after it."""
_FIRST_PAUSE_MS: Final = 1_000
_LONGEST_PAUSE_MS: Final = 30_000
_MOST_FAILURES: Final = 16

NOTHING: Final = ReadResult(ABSENT, -1)
"""The start of a caller that may not store: it loads for itself alone."""


def take_refresh(
    call: Call, read: ReadResult, sent: dict[bytes, str], env: Env
) -> Flow[Start | Paused | None]:
    """Try to become the one who loads an entry anew; `None`: another is.

    This lease only saves work: the entry itself is what the commit compares with, so two who load
    it at once do no harm.
    """
    key, owner = _refresh_key(call, env), call.policy.owner
    start = Start(read, read.raw or b"", env.draw_token())
    is_ours = yield from _try_lease(key, start, call, sent, env)
    if is_ours is None:
        # No lease of ours, or one without an end: nobody will give it back, and while it is there
        # every refresh would be left to a holder that does not exist.
        env.emit(Unusable(call.policy.label, "foreign"))
        yield from ask_once(Delete((key,)), env)
        start = start._replace(token=env.draw_token())
        is_ours = yield from _try_lease(key, start, call, sent, env)
    if not is_ours:
        after = yield from _after_pause(key, start, call, sent, env)
        if not isinstance(after, Start):
            return after
        start = after
    if owner and env.health.ways and owner_of(start.expected) != owner:
        return (yield from _adopt(call, start, env))
    return start


def _try_lease(
    key: str, start: Start, call: Call, sent: dict[bytes, str], env: Env
) -> Flow[bool | None]:
    """Ask for the efficiency lease of a key once."""
    if env.health.lost_leases:
        yield from release_lost(env)
    token = start.token or b""
    sent[token] = key
    is_ours = yield from ask_once(TryLease(key, token, lease_ms(call.policy.counters)), env)
    if not is_ours:
        del sent[token]
    return is_ours


def _after_pause(
    key: str, start: Start, call: Call, sent: dict[bytes, str], env: Env
) -> Flow[Start | Paused | None]:
    """See whether what is held is a pause after a failed load; take the lease when it is over."""
    found = yield from ask(Look(key, with_ttl=True), env)
    held, left_ms = found.raw or b"", found.left_ms or 0
    if len(held) != TOKEN_BYTES or not held.startswith(_PAUSE):
        return None
    failures, read = held[len(_PAUSE)], start.read
    may_wait = read.state is FRESH or is_within(read, call.policy.stale_ms)
    if may_wait and left_ms > pause_ms(failures):
        return Paused(read)
    # Under a compare: of all who find that the pause is over, one loads.
    token = start.token or b""
    sent[token] = key
    change = Change(key, held, token, lease_ms(call.policy.counters))
    (reply,) = yield from commit((change,), env)
    if reply is CommitReply.STORED:
        return start._replace(failures=failures)
    del sent[token]
    return None


def pause_ms(failures: int) -> int:
    """Return for how long nobody loads after so many loads have failed in a row."""
    return min(_LONGEST_PAUSE_MS, _FIRST_PAUSE_MS << min(max(0, failures - 1), _MOST_FAILURES))


def _adopt(call: Call, start: Start, env: Env) -> Flow[Start | None]:
    """Make a stale entry that somebody else stored this function's own before loading over it."""
    # `cache_clear` revokes a load by deleting what it started from, and it deletes only what
    # carries the function's own mark. A load over a foreign entry would survive it.
    raw_read = yield from ask(Look(call.key, with_ttl=True), env)
    stored = start.read.stored
    if raw_read.raw == start.expected and stored is not None and not raw_read.refusal:
        blob = resealed(call, stored, env)
        change = Change(call.key, start.expected, blob, raw_read.left_ms)
        (reply,) = yield from commit((change,), env)
        if reply is CommitReply.STORED:
            return start._replace(read=replace(start.read, raw=blob), expected=blob)
    yield from give_up(call, start, env)
    return None


def resealed(call: Call, stored: Stored, env: Env) -> bytes:
    """Spell the same entry under a new version, as one of the function that loads it anew."""
    return seal(
        call.key,
        stored.packed,
        version=env.draw_token(),
        created_ms=stored.created_ms,
        fresh_ms=stored.fresh_ms,
        load_ms=stored.load_ms,
        tags=stored.tags,
        owner=call.policy.owner,
        is_expired=stored.kind is Kind.EXPIRED,
    )


def _refresh_key(call: Call, env: Env) -> str:
    """Return the key of the efficiency lease under which a stale entry is loaded anew."""
    return f"{env.prefix}~r:{call.key.removeprefix(env.prefix)}"


def leave_unstored(call: Call, start: Start, env: Env) -> Flow[None]:
    """End a load whose result is not stored; a refresh takes the old entry away."""
    if start.is_refresh:
        yield from _withdraw(call, start, env)
    else:
        yield from give_up(call, start, env)


def _withdraw(call: Call, start: Start, env: Env) -> Flow[None]:
    """Take away the entry that a load started from, and nothing that came after it."""
    # A deletion would take along what another caller has stored meanwhile, so a marker that expires
    # at once is put over that very entry. Where that may not have arrived, the deletion is pending.
    marker = new_filling(call, env)
    notice = notice_of((call.key,), env)
    try:
        change = Change(call.key, start.expected, marker, RELEASED_MS, notice)
        yield from commit((change,), env)
    except BackendError:
        keep_entry_pending(call, env)
    except BaseException:
        keep_entry_pending(call, env)
        raise
    env.front.drop((call.key,))


def keep_entry_pending(call: Call, env: Env) -> None:
    """Keep the deletion of an entry that is not to be served any more."""
    keep_pending(PendingDeletion((call.key,)), env)
    env.front.drop((call.key,))


def held_by(call: Call, start: Start, env: Env) -> dict[bytes, str]:
    """Return the tokens that a load holds, with their keys: a marker, or a stale entry's lease."""
    if not start.is_over_entry:
        return {start.expected: call.key}
    return {} if start.token is None else {start.token: _refresh_key(call, env)}


def pause(call: Call, start: Start, env: Env) -> Flow[None]:
    """Keep the lease of an entry whose load has failed: longer with each failure in a row."""
    # It is there for as long again when the pause is over, so that the next failure is known to be
    # one more in a row. Of the length of a lease, as what is not is taken for somebody else's.
    if start.token is None:
        return
    failures = min(start.failures + 1, _MOST_FAILURES)
    mark = _PAUSE + bytes((failures,)) + env.draw_token()[: TOKEN_BYTES - len(_PAUSE) - 1]
    change = Change(_refresh_key(call, env), start.token, mark, 2 * pause_ms(failures))
    try:
        yield from commit((change,), env)
    except BackendError:
        keep_lost(held_by(call, start, env), env)


def give_up(call: Call, start: Start, env: Env) -> Flow[None]:
    """Give back what the load had taken: the marker, or the lease of a stale entry."""
    # Whatever fails here is not told: the caller has its result.
    try:
        if start.is_over_entry:
            if start.token is not None:
                name = _refresh_key(call, env)
                change = Change(name, start.token, start.token, RELEASED_MS)
                yield from commit((change,), env)
        else:
            yield from release_all({start.expected: call.key}, env)
    except BackendError:
        keep_lost(held_by(call, start, env), env)
