"""The fenced store: a value gets in only where the key still holds what its load started from."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from dualcache.core.ops import Commit, CommitReply, CommitWay, Delete, GiveWay, LoadScript, Look
from dualcache.engine import cut_keys
from dualcache.engine.apart import groups
from dualcache.engine.commit_ways import can_commit, note_lacking
from dualcache.engine.pipelines import one_trip, replies_of, slices_by_size
from dualcache.engine.recovery import ask, ask_once
from dualcache.errors import BackendError, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from dualcache.core.ops import Flow, Op
    from dualcache.core.revocation import Revocation
    from dualcache.engine.env import Env

__all__ = [
    "LARGE_BYTES",
    "Change",
    "commit",
    "commit_all",
    "commit_each",
    "commit_one",
    "rewrite_each",
]

LARGE_BYTES: Final = 4_096
"""Above this, a compare of the whole value costs more than a script that compares its header."""
MOST_ROUNDS: Final = 3
"""How often an entry that changes meanwhile is read again before it is left as it is."""
# Looking up a member costs more than the rest of a comparison on CPython 3.11.
_UNSUPPORTED: Final = CommitReply.UNSUPPORTED
_NO_SCRIPT: Final = CommitReply.NO_SCRIPT
_SCRIPT: Final = CommitWay.SCRIPT
_NOT_TRIED: Final = frozenset({_UNSUPPORTED, _NO_SCRIPT})


class Change(Struct, frozen=True):
    """One value to be committed; the fields of `Commit` except for the way.

    `notice` where others may hold what it replaces. Over our own marker nobody does: whatever was
    there before was published when the marker replaced it, or had gone by itself.
    """

    key: str
    expected: bytes
    blob: bytes
    ttl_ms: int | None
    notice: Revocation | None = None


def commit_one(change: Change, env: Env) -> Flow[CommitReply]:
    """Compare and set one value, as `commit` does: every miss ends with one."""
    if len(change.blob) > cut_keys.LARGE_BYTES or not can_commit(env):
        (reply,) = yield from commit((change,), env)
        return reply
    ways = env.health.ways
    op, since = _as_commit(change, ways), env.health.breaker.events
    reply = yield from ask(op, env)
    if reply is not _UNSUPPORTED and reply is not _NO_SCRIPT:
        if reply is CommitReply.REFUSED and env.health.breaker.events != since:
            (reply,) = yield from _looked_up((change,), (reply,), env)
        return reply
    if reply is _UNSUPPORTED:
        ways = tuple(way for way in ways if way is not op.way)
        note_lacking((op.way,), env)
    is_forgotten = reply is _NO_SCRIPT
    (reply,) = yield from _carry_out((change,), ways, env, ask, with_script=is_forgotten)
    return reply


def commit(
    changes: Sequence[Change],
    env: Env,
    asking: Callable[[Op[Any], Env], Flow[Any]] = ask,
    *,
    with_script: bool = False,
) -> Flow[list[CommitReply]]:
    """Compare and set each, in one trip unless the server lacks something.

    `asking` is `ask_once` where a lost reply must leave it open whether the value was stored.
    `with_script` sends the script ahead, before the server can reply that it forgot it.
    """
    if asking is ask and len(changes) == 1 and len(changes[0].blob) > cut_keys.LARGE_BYTES:
        return [(yield from _commit_large(changes[0], env))]
    if not can_commit(env):
        return [CommitReply.REFUSED] * len(changes)
    ways = env.health.ways
    return (yield from _carry_out(changes, ways, env, asking, with_script=with_script))


def _carry_out(
    changes: Sequence[Change],
    ways: tuple[CommitWay, ...],
    env: Env,
    asking: Callable[[Op[Any], Env], Flow[Any]],
    *,
    with_script: bool,
) -> Flow[list[CommitReply]]:
    """Compare and set each in one of these ways; where none is left, give the markers up."""
    replies = [_UNSUPPORTED] * len(changes)
    unmet, since = [*range(len(changes))], env.health.breaker.events
    # One loop, as each round may show something else that is lacking. Only what was not carried out
    # goes into the next: a value that was stored would be refused there, as it is not `expected`.
    while unmet and ways:
        ops = [_as_commit(changes[at], ways) for at in unmet]
        if ops[0].way is CommitWay.WATCH:  # a conversation of its own, which fits into no batch
            del ops[1:]
        is_sent = with_script and any(op.way is _SCRIPT for op in ops)
        trip: list[Op[Any]] = [LoadScript(), *ops] if is_sent else [*ops]
        found = replies_of(trip, (yield from asking(one_trip(trip), env)))[is_sent:]
        for at, reply in zip(unmet, found, strict=False):
            replies[at] = reply
        lacking = _lacking_ways(ops, found, is_sent=is_sent)
        with_script = with_script or _NO_SCRIPT in found
        if lacking:
            ways = tuple(way for way in ways if way not in lacking)
            note_lacking(lacking, env)
        unmet = [at for at in unmet if replies[at] in _NOT_TRIED]
    if unmet:
        # Others would wait for the markers. To delete more than those only costs misses.
        yield from ask(Delete(tuple([changes[at].key for at in unmet])), env)
        for at in unmet:
            replies[at] = CommitReply.REFUSED
    if env.health.breaker.events != since:
        return (yield from _looked_up(changes, replies, env))
    return replies


def _looked_up(
    changes: Sequence[Change], replies: Sequence[CommitReply], env: Env
) -> Flow[list[CommitReply]]:
    """Return the replies to commits that may have been sent twice, as a connection was cut."""
    # The compare of the second fails where the first was carried out and its reply was lost. What
    # is there now tells: nobody else has these bytes, since each value draws a version.
    found = list(replies)
    unsure = [at for at, reply in enumerate(replies) if reply is CommitReply.REFUSED]
    if unsure:
        looks = [Look(changes[at].key) for at in unsure]
        raw_reads = replies_of(looks, (yield from ask(one_trip(looks), env)))
        for at, raw_read in zip(unsure, raw_reads, strict=True):
            if raw_read.raw == changes[at].blob:
                found[at] = CommitReply.STORED
    return found


def commit_all(changes: Sequence[Change], env: Env) -> Flow[list[CommitReply]]:
    """Compare and set each, in as few trips as their size allows.

    A way that is lacking, or a script that was forgotten, shows in the first trip, so no more than
    that is ever sent twice.
    """
    replies: list[CommitReply] = []
    for part in slices_by_size(changes, _size_of):
        replies += yield from commit(part, env)
    return replies


def commit_each(changes: Sequence[Change], env: Env) -> Flow[list[CommitReply | None]]:
    """Compare and set each, as `commit_all` does; `None` where the backend failed.

    Each trip is on its own: what was stored before one that fails is known to be stored.
    """
    found: dict[int, CommitReply] = {}
    for part in slices_by_size(range(len(changes)), lambda at: _size_of(changes[at])):
        if part[0]:
            yield GiveWay()
        for group in groups(part, lambda at: (changes[at].key,), env):
            with suppress(BackendError):
                stored = yield from commit([changes[at] for at in group], env)
                found.update(zip(group, stored, strict=True))
    return [found.get(at) for at in range(len(changes))]


def rewrite_each(
    keys: Sequence[str],
    changes_of: Callable[[Sequence[str]], Flow[list[Change]]],
    rewritten: set[str],
    env: Env,
) -> Flow[None]:
    """Read entries and replace them by changed ones, each under a compare with the read one.

    `changes_of` reads some keys and returns the change of each that is to be rewritten. `rewritten`
    gets the keys whose change was stored, before anything after it can fail.
    """
    # An entry that changed between the two trips may hold the result of another load, so it is read
    # again: what the change was made of is not what is there.
    left = keys
    for _ in range(MOST_ROUNDS):
        if not left or not can_commit(env):
            return
        changes = yield from changes_of(left)
        replies = yield from commit_each(changes, env)
        told = list(zip([change.key for change in changes], replies, strict=True))
        rewritten.update([key for key, reply in told if reply is CommitReply.STORED])
        left = [key for key, reply in told if reply is CommitReply.REFUSED]


def _commit_large(change: Change, env: Env) -> Flow[CommitReply]:
    """Compare and set one large value; one that cuts the connection is not sent again.

    A server hangs up at a value over one of its limits, and a link may be too slow for it. So it is
    sent once, its script ahead of it: asked for afterwards, that would cost a second sending.
    """
    size_bytes, known = len(change.blob), env.health.cut_keys
    if not known.may_write(change.key, size_bytes, env.elapsed_ms()):
        return CommitReply.TOO_LARGE
    try:
        (reply,) = yield from commit((change,), env, ask_once, with_script=True)
    except (BackendUnavailable, BackendTimeout) as error:
        if not error.was_connected and error.is_outage:
            raise
        known.note_write(change.key, size_bytes, env.elapsed_ms())
        return CommitReply.TOO_LARGE
    return reply


def _lacking_ways(
    ops: Sequence[Commit], replies: Sequence[CommitReply], *, is_sent: bool
) -> set[CommitWay]:
    """Return the ways that the server does not have; `is_sent`: the script went with the ops."""
    return {
        op.way
        for op, reply in zip(ops, replies, strict=True)
        if reply is _UNSUPPORTED or (reply is _NO_SCRIPT and is_sent)
    }


def _size_of(change: Change) -> int:
    """Return about how many bytes a commit sends."""
    return len(change.expected) + len(change.blob)


def _as_commit(change: Change, ways: Sequence[CommitWay]) -> Commit:
    """Return the op for a change, in the way that is best for its size."""
    is_large = len(change.expected) > LARGE_BYTES and _SCRIPT in ways
    way = _SCRIPT if is_large else ways[0]
    return Commit(change.key, change.expected, change.blob, change.ttl_ms, way, change.notice)
