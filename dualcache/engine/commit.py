"""The fenced store: a value gets in only where the key still holds what its load started from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dualcache.core.ops import (
    Batch,
    Commit,
    CommitReply,
    CommitWay,
    GiveWay,
    LoadScript,
)
from dualcache.engine.pacing import slices_by_size
from dualcache.engine.recovery import ask
from dualcache.engine.trips import ask_together
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.notice import Notice
    from dualcache.core.ops import Flow
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
    notice: Notice | None = None


def commit(
    key: str,
    expected: bytes,
    blob: bytes,
    ttl_ms: int | None,
    env: Env,
    notice: Notice | None = None,
) -> Flow[CommitReply]:
    """Compare and set, in the best way that the server has."""
    (reply,) = yield from commit_all((Change(key, expected, blob, ttl_ms, notice),), env)
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
    ways = env.ways
    if not ways:
        return [CommitReply.REFUSED] * len(changes)
    ops = [as_commit(change, ways) for change in changes]
    replies = yield from send_commits(ops, env)
    while CommitReply.UNSUPPORTED in replies:
        unmet = [at for at, reply in enumerate(replies) if reply is CommitReply.UNSUPPORTED]
        lacking = {ops[at].way for at in unmet}
        ways = tuple(way for way in ways if way not in lacking)
        env.ways = tuple(way for way in env.ways if way in ways)
        again = [CommitReply.REFUSED] * len(unmet)
        if ways:
            for at in unmet:
                ops[at] = as_commit(changes[at], ways)
            again = yield from send_commits([ops[at] for at in unmet], env)
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


def send_commits(ops: Sequence[Commit], env: Env) -> Flow[list[CommitReply]]:
    """Send commits; a script that the server has forgotten goes with them again.

    By WATCH each is a conversation of its own.
    """
    replies: list[CommitReply] = []
    for part in [(op,) for op in ops] if ops[0].way is CommitWay.WATCH else (ops,):
        replies += yield from ask_together(part, env)
    if CommitReply.NO_SCRIPT in replies:
        lacking = [at for at, reply in enumerate(replies) if reply is CommitReply.NO_SCRIPT]
        again = Batch((LoadScript(), *(ops[at] for at in lacking)))
        _, *found = yield from ask(again, env)
        for at, reply in zip(lacking, found, strict=True):
            is_lacking = reply is CommitReply.NO_SCRIPT
            replies[at] = CommitReply.UNSUPPORTED if is_lacking else reply
    return replies
