"""The fenced store: a value gets in only where the key still holds what its load started from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from dualcache.core.events import NotStored
from dualcache.core.ops import (
    Batch,
    Claim,
    Commit,
    CommitReply,
    CommitWay,
    LoadScript,
    LookAndLease,
)
from dualcache.engine.freshness import lifetime_ms
from dualcache.engine.recovery import ask, ask_once, note_refusal, notice_of, twice
from dualcache.engine.tags import entry_life_ms, entry_tags, new_tags, prolonged, tag_life_ms
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from dualcache.core.entry import Packed
    from dualcache.core.notice import Notice
    from dualcache.core.ops import Flow, Op, Seen
    from dualcache.core.policy import Call, Policy, Usage
    from dualcache.engine.env import Env
    from dualcache.errors import UnencodableValue

T = TypeVar("T")

FIRST_LEASE_MS: Final = 10_000
LEAST_LEASE_MS: Final = 2_000
MOST_LEASE_MS: Final = 120_000
RELEASED_MS: Final = 1
LARGE_BYTES: Final = 4_096
"""Above this, a compare of the whole value costs more than a script that compares its header."""
MOST_AT_ONCE: Final = 1_000
MOST_BYTES_AT_ONCE: Final = 1 << 20
"""How much goes out in one trip: more would not be through before the server counts as late."""


class Leased(NamedTuple):
    """A marker that was sent, and what the read behind it found."""

    filling: bytes
    tick: int
    seen: Seen


class Worth(NamedTuple):
    """A value that is to be stored: its bytes, and for how long."""

    packed: Packed
    fresh_ms: int | None
    ttl_ms: int | None


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


def lease_ms(usage: Usage) -> int:
    """Return how long a load may take before it loses the right to store: four measured loads."""
    if usage.load_ms is None:
        return FIRST_LEASE_MS
    return round(min(MOST_LEASE_MS, max(LEAST_LEASE_MS, 4 * usage.load_ms)))


def new_filling(call: Call, env: Env) -> bytes:
    """Make a marker with a token that was never used; it announces the load time to waiters."""
    return env.seal_filling(
        call.key,
        token=env.draw_token(),
        created_ms=env.now_ms(),
        load_ms=round(call.policy.usage.load_ms or 0),
    )


def take_lease(
    kind: type[LookAndLease | Claim], call: Call, env: Env, names: Sequence[str] | None = None
) -> Flow[Leased]:
    """Send a marker, again with a fresh token if a worn connection was cut: no token goes twice."""
    life_ms = tag_life_ms(entry_life_ms(call.policy))
    names = call.tags if names is None else names
    leased = yield from twice(lambda: send_lease(kind, call, names, life_ms, env))
    if leased.seen.refusal:
        note_refusal(leased.seen.refusal, env)
    else:
        env.health.are_stores_stopped = False
    doomed = prolonged(names, leased.seen, life_ms, entry_life_ms(call.policy))
    if doomed:
        yield from or_release(ask(Batch(doomed), env), call, leased.filling, env)
    return leased


def send_lease(
    kind: type[LookAndLease | Claim],
    call: Call,
    names: Sequence[str],
    life_ms: int | None,
    env: Env,
) -> Flow[Leased]:
    """Send a new marker and new tag ids once."""
    filling = new_filling(call, env)
    tick = env.tick()
    tags = new_tags(names, life_ms, env)
    op: Op[Seen]
    if kind is Claim:
        notice = notice_of((call.key,), env)
        op = Claim(call.key, filling, lease_ms(call.policy.usage), tags, notice)
    else:
        op = LookAndLease(call.key, filling, lease_ms(call.policy.usage), tags)
    seen = yield from or_release(ask_once(op, env), call, filling, env)
    return Leased(filling, tick, seen)


def or_release(flow: Flow[T], call: Call, filling: bytes, env: Env) -> Flow[T]:
    """Run a flow; give the marker back if the caller is cancelled or interrupted meanwhile.

    The marker may have arrived though its reply was never seen: others would wait for nobody.
    """
    try:
        return (yield from flow)
    except BackendError:
        raise
    except BaseException:
        yield from release(call, filling, env)
        raise


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
    """Compare and set each, together; the best way that the server has is found by trying."""
    replies = [CommitReply.REFUSED] * len(changes)
    ways = env.ways
    left: Sequence[int] = range(len(changes))
    while left and ways:
        ops = [as_commit(changes[at], ways) for at in left]
        unmet = []
        found = yield from send_commits(ops, env)
        for at, op, reply in zip(left, ops, found, strict=True):
            if reply is CommitReply.UNSUPPORTED:
                unmet.append(at)
                ways = tuple(way for way in ways if way is not op.way)
            else:
                replies[at] = reply
        if unmet:
            env.ways = tuple(way for way in env.ways if way in ways)
        left = unmet
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
    """Send commits in few trips; a script that the server has forgotten goes with them again."""
    replies: list[CommitReply] = []
    for part in parts(ops):
        if len(part) == 1:
            replies.append((yield from ask(part[0], env)))
        else:
            replies += yield from ask(Batch(part), env)
    lacking = [at for at, reply in enumerate(replies) if reply is CommitReply.NO_SCRIPT]
    if lacking:
        again = Batch((LoadScript(), *(ops[at] for at in lacking)))
        _, *found = yield from ask(again, env)
        for at, reply in zip(lacking, found, strict=True):
            is_lacking = reply is CommitReply.NO_SCRIPT
            replies[at] = CommitReply.UNSUPPORTED if is_lacking else reply
    return replies


def parts(ops: Sequence[Commit]) -> Iterator[tuple[Commit, ...]]:
    """Split commits into trips; by WATCH each is a conversation of its own."""
    part: list[Commit] = []
    size_bytes = 0
    for op in ops:
        size_bytes += len(op.blob) + len(op.expected)
        is_full = len(part) == MOST_AT_ONCE or size_bytes > MOST_BYTES_AT_ONCE
        if part and (is_full or op.way is CommitWay.WATCH):
            yield tuple(part)
            part, size_bytes = [], len(op.blob) + len(op.expected)
        part.append(op)
    yield tuple(part)


def release(call: Call, filling: bytes, env: Env) -> Flow[None]:
    """Give a lease back: let the marker expire at once, if it is still there."""
    try:
        yield from commit(call.key, filling, filling, RELEASED_MS, env)
    except BackendError:
        return


def worth(call: Call, value: Any, env: Env) -> Worth | None:
    """Decide whether and for how long a value is stored, and make its bytes.

    Raises what the policy's callables raise, and `UnencodableValue` where no codec keeps the value.
    """
    policy = call.policy
    if policy.condition is not None and not policy.condition(value, *call.args):
        return None
    ttl_ms = policy.ttl_ms if policy.ttl_of is None else policy.ttl_of(value, *call.args)
    if ttl_ms == 0:
        return None
    fresh_ms, whole_ms = lifetime_ms(
        ttl_ms, policy.stale_if_error_ms, policy.jitter, env.draw() if policy.jitter else 0.0
    )
    return Worth(policy.recipe.pack(call.key, value), fresh_ms, whole_ms)


def report_unstored(call: Call, error: UnencodableValue, env: Env) -> None:
    """Tell once per function that a value could not be stored, with the line that mends it."""
    usage = call.policy.usage
    usage.unstored += 1
    if usage.unstored == 1:
        env.emit(NotStored(call.policy.label, error.what, error.help))


def tag_names(policy: Policy, call: Call, value: Any) -> Sequence[str]:
    """Return all tags of an entry, those known only from its value included."""
    if policy.tags_of is None:
        return call.tags
    return (*call.tags, *policy.tags_of(value, *call.args))


def sealed(
    call: Call,
    value: Any,
    what: Worth,
    ids: Mapping[str, bytes | None],
    load_ms: float,
    env: Env,
) -> bytes:
    """Make the bytes that are stored for a value."""
    return env.seal(
        call.key,
        what.packed,
        version=env.draw_token(),
        created_ms=env.now_ms(),
        fresh_ms=what.fresh_ms,
        load_ms=round(load_ms),
        tags=entry_tags(tag_names(call.policy, call, value), ids),
    )
