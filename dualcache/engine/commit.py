"""The fenced store: a value gets in only where the key still holds what its load started from."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from dualcache.core.ops import (
    Batch,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    GiveWay,
    LoadScript,
)
from dualcache.engine import cut_keys
from dualcache.engine.pacing import slices_by_size
from dualcache.engine.pipelines import ask_together
from dualcache.engine.recovery import ask, ask_once
from dualcache.engine.ways import can_commit, note_lacking
from dualcache.errors import BackendError, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from dualcache.core.ops import Flow, Op
    from dualcache.core.revocation import Revocation
    from dualcache.engine.env import Env

LARGE_BYTES: Final = 4_096
"""Above this, a compare of the whole value costs more than a script that compares its header."""


class Change(NamedTuple):
    """What a commit puts where; the fields of `Commit` but for the way.

    `notice` where others may hold what it replaces. Over our own marker nobody does: whatever was
    there before was told of when the marker replaced it, or had gone by itself.
    """

    key: str
    expected: bytes
    blob: bytes
    ttl_ms: int | None
    notice: Revocation | None = None


def commit(
    key: str,
    expected: bytes,
    blob: bytes,
    ttl_ms: int | None,
    env: Env,
    notice: Revocation | None = None,
) -> Flow[CommitReply]:
    """Compare and set, in the best way that the server has."""
    (reply,) = yield from commit_all((Change(key, expected, blob, ttl_ms, notice),), env)
    return reply


def commit_once(change: Change, env: Env) -> Flow[CommitReply]:
    """Compare and set without ever repeating it: a reply that is lost leaves it open."""
    (reply,) = yield from find_way((change,), env, partial(send_commits, asking=ask_once))
    return reply


def commit_all(changes: Sequence[Change], env: Env) -> Flow[list[CommitReply]]:
    """Compare and set each, in as few trips as their size allows."""
    replies: list[CommitReply] = []
    for part in slices_by_size(changes, size_of):
        replies += yield from commit_together(part, env)
    return replies


def commit_each(changes: Sequence[Change], env: Env) -> Flow[list[CommitReply | None]]:
    """Compare and set each, as `commit_all` does; `None` where the backend failed.

    Each trip is on its own: what was stored before one that fails is known to be stored.
    """
    replies: list[CommitReply | None] = []
    for part in slices_by_size(changes, size_of):
        if replies:
            yield GiveWay()
        try:
            replies += yield from commit_together(part, env)
        except BackendError:
            replies += [None] * len(part)
    return replies


def size_of(change: Change) -> int:
    """Return about how many bytes a commit sends."""
    return len(change.expected) + len(change.blob)


def commit_together(changes: Sequence[Change], env: Env) -> Flow[list[CommitReply]]:
    """Compare and set each in one trip; the best way that the server has is found by trying.

    A way that is lacking, or a script that was forgotten, shows in the first trip of a big job, so
    no more than that is ever sent twice.
    """
    if len(changes) == 1 and len(changes[0].blob) > cut_keys.LARGE_BYTES:
        return [(yield from commit_large(changes[0], env))]
    return (yield from find_way(changes, env, send_commits))


def commit_large(change: Change, env: Env) -> Flow[CommitReply]:
    """Compare and set one large value; one that cuts the connection is not sent again.

    A server hangs up at a value over one of its limits, and a link may be too slow for it.
    """
    size_bytes, known = len(change.blob), env.health.cut_keys
    if not known.may_write(change.key, size_bytes, env.elapsed_ms()):
        return CommitReply.TOO_LARGE
    try:
        (reply,) = yield from find_way((change,), env, send_large)
    except (BackendUnavailable, BackendTimeout) as error:
        if not error.was_connected and error.is_outage:
            raise
        known.note_write(change.key, size_bytes, env.elapsed_ms())
        return CommitReply.TOO_LARGE
    return reply


def find_way(
    changes: Sequence[Change],
    env: Env,
    send: Callable[[Sequence[Commit], Env], Flow[list[CommitReply]]],
) -> Flow[list[CommitReply]]:
    """Send commits in the best way that the server has."""
    if not can_commit(env):
        return [CommitReply.REFUSED] * len(changes)
    ways = env.ways
    ops = [as_commit(change, ways) for change in changes]
    replies = yield from send(ops, env)
    while CommitReply.UNSUPPORTED in replies:
        unmet = [at for at, reply in enumerate(replies) if reply is CommitReply.UNSUPPORTED]
        lacking = {ops[at].way for at in unmet}
        ways = tuple(way for way in ways if way not in lacking)
        note_lacking(lacking, env)
        again = [CommitReply.REFUSED] * len(unmet)
        if ways:
            for at in unmet:
                ops[at] = as_commit(changes[at], ways)
            again = yield from send([ops[at] for at in unmet], env)
        else:
            # Others would wait for the markers. To delete more than those only costs misses.
            yield from ask(Delete(tuple([changes[at].key for at in unmet])), env)
        for at, reply in zip(unmet, again, strict=True):
            replies[at] = reply
    return replies


def as_commit(change: Change, ways: Sequence[CommitWay]) -> Commit:
    """Return the op for a change."""
    key, expected, blob, ttl_ms, notice = change
    return Commit(key, expected, blob, ttl_ms, way_for(change, ways), notice)


def way_for(change: Change, ways: Sequence[CommitWay]) -> CommitWay:
    """Return how to commit a change best."""
    if len(change.expected) > LARGE_BYTES and CommitWay.SCRIPT in ways:
        return CommitWay.SCRIPT
    return ways[0]


def send_commits(
    ops: Sequence[Commit], env: Env, asking: Callable[[Op[Any], Env], Flow[Any]] = ask
) -> Flow[list[CommitReply]]:
    """Send commits; a script that the server has forgotten goes with them again.

    By WATCH each is a conversation of its own.
    """
    replies: list[CommitReply] = []
    for part in [(op,) for op in ops] if ops[0].way is CommitWay.WATCH else (ops,):
        replies += yield from ask_together(part, env, asking)
    if CommitReply.NO_SCRIPT in replies:
        lacking = [at for at, reply in enumerate(replies) if reply is CommitReply.NO_SCRIPT]
        again = Batch((LoadScript(), *(ops[at] for at in lacking)))
        _, *found = yield from asking(again, env)
        for at, reply in zip(lacking, found, strict=True):
            is_lacking = reply is CommitReply.NO_SCRIPT
            replies[at] = CommitReply.UNSUPPORTED if is_lacking else reply
    return replies


def send_large(ops: Sequence[Commit], env: Env) -> Flow[list[CommitReply]]:
    """Send one commit, once: its script goes before it, as the server may have forgotten that."""
    (op,) = ops
    if op.way is CommitWay.SCRIPT:
        _, reply = yield from ask_once(Batch((LoadScript(), op)), env)
    else:
        reply = yield from ask_once(op, env)
    return [CommitReply.UNSUPPORTED if reply is CommitReply.NO_SCRIPT else reply]
