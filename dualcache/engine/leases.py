"""Leases: taking the right to store, by a marker under a fresh token, and giving it back."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from dualcache.core.entry import Tag
from dualcache.core.envelope import seal_filling
from dualcache.core.events import Unusable
from dualcache.core.ops import Claim, CommitReply, Delete, GiveWay, LookAndLease, MakeTags
from dualcache.engine.apart import groups
from dualcache.engine.commit import Change, commit_each
from dualcache.engine.deletion import notice_of
from dualcache.engine.outcomes import is_cut, note_refusal
from dualcache.engine.pipelines import MOST_AT_ONCE, one_trip, replies_of, slices
from dualcache.engine.recovery import NOT_ASKED, ask, ask_once
from dualcache.engine.tags import (
    NO_IDS,
    entry_life_ms,
    foreign_tags,
    new_tags,
    prolonged,
    tag_life_ms,
)
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualcache.core.ops import Flow, RawRead
    from dualcache.core.policy import Call, Counters, Policy
    from dualcache.engine.env import Env

__all__ = [
    "FIRST_LEASE_MS",
    "KEY_MS",
    "MOST_TOLD",
    "RELEASED_MS",
    "Leased",
    "job_ms",
    "keep_lost",
    "lease_ms",
    "marker",
    "new_filling",
    "release_all",
    "release_lost",
    "release_unfilled",
    "take_leases",
    "take_together",
]

FIRST_LEASE_MS: Final = 10_000
_LEAST_LEASE_MS: Final = 2_000
_MOST_LEASE_MS: Final = 30_000
KEY_MS: Final = 2  # longer by so much for each key of a big job: all are taken before the load
RELEASED_MS: Final = 1
MOST_TOLD: Final = 64  # tags that a marker names: the rest is not told, and waited for


class Leased(Struct, frozen=True):
    """A marker that was sent, and what the read behind it found."""

    filling: bytes
    sequence: int
    raw_read: RawRead


def lease_ms(counters: Counters) -> int:
    """Return how long a lease lasts unless it is renewed: four measured loads."""
    load_ms = counters.load_ms
    if load_ms is None:
        return FIRST_LEASE_MS
    lease = 4 * load_ms
    return _LEAST_LEASE_MS if lease <= _LEAST_LEASE_MS else round(min(_MOST_LEASE_MS, lease))


def job_ms(count: int) -> int:
    """Return by how much the leases of so many keys are longer."""
    return KEY_MS * count if count > MOST_AT_ONCE else 0


def new_filling(call: Call, env: Env, tags: Sequence[Tag] = ()) -> bytes:
    """Make a marker with a token that was never used; it announces the load time to waiters."""
    return seal_filling(
        call.key,
        token=env.draw_token(),
        created_ms=env.now_ms(),
        load_ms=round(call.policy.counters.load_ms or 0),
        tags=tags,
        owner=call.policy.owner,
    )


def take_together(
    kind: type[LookAndLease | Claim],
    calls: Sequence[Call],
    env: Env,
    sent: dict[bytes, str],
    known: Mapping[str, bytes | None] = NO_IDS,
    more_ms: int = 0,
) -> Flow[list[Leased]]:
    """Send markers in one trip, and others if a worn connection was cut.

    `sent` gets each marker that may have arrived, with its key. `known` are the ids of tags as a
    look found them just now: the marker then tells what it depends on. `more_ms` is by how much a
    lease is to outlive what its load takes. Raises `BackendError`.
    """
    if env.health.lost_leases:
        yield from release_lost(env)
    count = len(sent)
    try:
        return (yield from _send_leases(kind, calls, env, sent, known, more_ms))
    except BackendError as error:
        if error.code in NOT_ASKED:  # or each call of an outage would leave leases to give back
            for filling in [*sent][count:]:
                del sent[filling]
        if not is_cut(error):
            raise
    # With fresh tokens and tag ids. Those of the first trip may still be on their way: if they came
    # twice, the second could arrive after an invalidation and look like the lease of a later load.
    return (yield from _send_leases(kind, calls, env, sent, known, more_ms))


def take_leases(
    kind: type[LookAndLease | Claim],
    calls: Sequence[Call],
    env: Env,
    sent: dict[bytes, str],
    known: Mapping[str, bytes | None] = NO_IDS,
) -> Flow[list[Leased | None]]:
    """Send markers in as few trips as can be, as `take_together` does; `None` where one failed.

    `calls` are of one policy. A lease that was taken before a trip that fails is to be given back.
    """
    found, more_ms = dict[int, Leased](), job_ms(len(calls))
    for part in slices(range(len(calls))):
        if part[0]:
            yield GiveWay()
        for group in groups(part, lambda at: (calls[at].key, *calls[at].tags), env):
            with suppress(BackendError):
                own = [calls[at] for at in group]
                own_leases = yield from take_together(kind, own, env, sent, known, more_ms)
                found.update(zip(group, own_leases, strict=True))
    return [found.get(at) for at in range(len(calls))]


def _send_leases(
    kind: type[LookAndLease | Claim],
    calls: Sequence[Call],
    env: Env,
    sent: dict[bytes, str],
    known: Mapping[str, bytes | None],
    more_ms: int,
) -> Flow[list[Leased]]:
    """Send new markers and new tag ids once, in one trip; the tags go with the first."""
    names, policy = calls[0].tags, calls[0].policy
    if len(calls) > 1:
        names = tuple(dict.fromkeys([name for call in calls for name in call.tags]))
    # Tags are read or made in the same trip, before any load: an id that is read when the load has
    # begun may be that of the next life of a tag which was invalidated since.
    tags = new_tags(names, tag_life_ms(entry_life_ms(policy)), env) if names else ()
    ids = known and {tag.key: known[tag.key] or tag.id for tag in tags if tag.key in known}
    life_of_lease = min(_MOST_LEASE_MS, lease_ms(policy.counters) + more_ms)
    ops = []
    for call in calls:
        op = kind(call.key, marker(call, ids, env), life_of_lease)
        if isinstance(op, Claim):  # published with its own claim, so that no cut comes between
            op.notice = notice_of((op.key,), env)
        sent[op.filling] = op.key  # before it is sent: an interrupt must find it
        ops.append(op)
    ops[0].tags = tags
    sequence = env.sequence()
    replies = replies_of(ops, (yield from ask_once(one_trip(ops), env)))
    _note_refusals(replies, env)
    if names:
        replies = yield from _settled_tags(calls, names, replies, env)
    found = []
    for op, raw_read in zip(ops, replies, strict=True):
        if raw_read.raw != op.filling:  # what the read found there is the answer, not what was sent
            del sent[op.filling]
        found.append(Leased(op.filling, sequence, raw_read))
    return found


def _settled_tags(
    calls: Sequence[Call], names: Sequence[str], replies: Sequence[RawRead], env: Env
) -> Flow[Sequence[RawRead]]:
    """Replace what is no tag, prolong tags; return the reading of each call with its own tags."""
    policy, first = calls[0].policy, replies[0]
    foreign = foreign_tags(names, first.tag_ids)
    made = (yield from _replace_tags(foreign, policy, env)) if foreign else NO_IDS
    entry_ms = entry_life_ms(policy)
    dying = prolonged(names, first, tag_life_ms(entry_ms), entry_ms)
    if dying:
        yield from ask(one_trip(dying), env)
    if len(calls) == 1 and not foreign:
        return replies
    ids = {**dict(zip(names, first.tag_ids, strict=True)), **made}
    return [
        replace(raw_read, tag_ids=tuple([ids[name] for name in call.tags]), tag_left_ms=())
        for call, raw_read in zip(calls, replies, strict=True)
    ]


def _replace_tags(
    names: Sequence[str], policy: Policy, env: Env
) -> Flow[Mapping[str, bytes | None]]:
    """Delete what is under the keys of tags and is none, and make the tags; return their ids."""
    # Otherwise no entry with such a tag could ever be served, and each call would load.
    env.emit(Unusable(policy.label, "foreign"))
    yield from ask_once(Delete(tuple(names)), env)
    tags = new_tags(names, tag_life_ms(entry_life_ms(policy)), env)
    return dict(zip(names, (yield from ask_once(MakeTags(tags), env)), strict=True))


def marker(call: Call, ids: Mapping[str, bytes | None], env: Env) -> bytes:
    """Make a marker that tells which tags, of those whose ids are known, its load depends on."""
    if not ids:
        return new_filling(call, env)
    tags = [Tag(name, tag_id) for name in call.tags if (tag_id := ids.get(name))]
    return new_filling(call, env, tags[:MOST_TOLD])


def _note_refusals(replies: Sequence[RawRead], env: Env) -> None:
    """Note whether the server takes writes."""
    for raw_read in replies:
        if raw_read.refusal:
            note_refusal(raw_read.refusal, env)
            return
    env.health.are_stores_stopped = False


def release_all(sent: Mapping[bytes, str], env: Env) -> Flow[None]:
    """Give leases back: let the markers expire at once, where they are still there."""
    # By a compare, not a deletion: the lease may have ended, and the key hold another's marker or
    # a value by now. To delete that would revoke a load that is still good.
    changes = [Change(key, filling, filling, RELEASED_MS) for filling, key in sent.items()]
    replies = yield from commit_each(changes, env)
    answered = [
        change.expected for change, reply in zip(changes, replies, strict=True) if reply is not None
    ]
    for token in answered:
        env.health.lost_leases.forget(token)
    _keep_unanswered(changes, replies, sent, env)


def release_lost(env: Env) -> Flow[None]:
    """Give back the leases whose reply was lost, before one is taken."""
    # The breaker would refuse them, and the lease after them too: without looking at each of them,
    # or every call of an outage would pay for all that came before it.
    if env.health.breaker.is_pausing(env.elapsed_ms()):
        return
    yield from release_all(env.health.lost_leases.living(env.elapsed_ms()), env)


def keep_lost(held: Mapping[bytes, str], env: Env) -> None:
    """Keep tokens that may have arrived, each with its key, where no load goes on under them.

    They are given back before this process takes its next lease. Not at once: a server that has
    just failed would make this caller wait a second time.
    """
    env.health.lost_leases.keep(held, env.elapsed_ms() + _MOST_LEASE_MS)


def release_unfilled(
    changes: Sequence[Change],
    replies: Sequence[CommitReply | None],
    markers: Mapping[bytes, str],
    env: Env,
) -> Flow[None]:
    """Give back the leases under which nothing was stored, or keep those that got no reply."""
    left = [
        Change(change.key, change.expected, change.expected, RELEASED_MS)
        for change, reply in zip(changes, replies, strict=False)
        if reply is CommitReply.TOO_LARGE and change.expected in markers
    ]
    if left:
        yield from commit_each(left, env)
    _keep_unanswered(changes, replies, markers, env)


def _keep_unanswered(
    changes: Sequence[Change],
    replies: Sequence[CommitReply | None],
    markers: Mapping[bytes, str],
    env: Env,
) -> None:
    """Keep the leases under which nothing is known to be committed."""
    # Leases alone: an entry that a load was to replace stays what it is.
    lost = {
        change.expected: change.key
        for change, reply in zip(changes, replies, strict=False)
        if reply is None and change.expected in markers
    }
    if lost:
        keep_lost(lost, env)
