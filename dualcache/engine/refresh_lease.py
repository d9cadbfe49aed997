"""The lease under which an entry is loaded anew while it stays, and the pause after a failed load.

It lies beside the entry, under `~r:` and the key, and only saves work: the commit compares with the
entry itself, so two who load it at once do no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from dualcache.core.entry import TOKEN_BYTES, Kind
from dualcache.core.envelope import kind_of, owner_of
from dualcache.core.events import Unusable
from dualcache.core.ops import CommitReply, Delete, GiveWay, Look, TryLease
from dualcache.engine.commit import Change, commit_all, commit_each
from dualcache.engine.freshness import FRESH, ReadResult, is_within
from dualcache.engine.leases import job_ms, keep_lost, lease_ms, release_all, release_lost
from dualcache.engine.pipelines import one_trip, replies_of, slices
from dualcache.engine.recovery import ask, ask_once
from dualcache.engine.starting import Start, held_by, refresh_key, resealed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.ops import Flow, RawRead
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env

    _Wanted = tuple[Call, ReadResult]
    _Taken = tuple[Call, Start]

__all__ = ["Paused", "is_lease", "pause", "pause_all", "pause_ms", "take_refresh", "take_refreshes"]


class Paused(NamedTuple):
    """An entry whose loads have failed, and of which nobody loads for a while."""

    read: ReadResult


_PAUSE: Final = b"pause"
"""How what stands in the place of a lease begins, during a pause and for as long after it."""
_FIRST_PAUSE_MS: Final = 1_000
_LONGEST_PAUSE_MS: Final = 30_000
_MOST_FAILURES: Final = 16


def is_lease(key: str, content: bytes, env: Env) -> bool:
    """Tell whether a stored key says that a load is under way, and nothing else."""
    if key.startswith(refresh_key("", env)):
        return not content.startswith(_PAUSE)
    return kind_of(content) is Kind.FILLING


def take_refresh(
    call: Call, read: ReadResult, sent: dict[bytes, str], env: Env
) -> Flow[Start | Paused | None]:
    """Try to become the one who loads an entry anew; `None`: another is."""
    (start,) = yield from take_refreshes(((call, read),), sent, env)
    return start


def take_refreshes(
    wanted: Sequence[_Wanted], sent: dict[bytes, str], env: Env
) -> Flow[list[Start | Paused | None]]:
    """Try to become the one who loads each of some entries anew, in as few trips as can be.

    The calls are of one policy. `None` where another is; raises `BackendError`. `sent` gets each
    token that may have arrived, with its key, before it is sent.
    """
    starts = [Start(read, read.raw or b"", env.draw_token()) for _, read in wanted]
    pairs = [(call, start) for (call, _), start in zip(wanted, starts, strict=True)]
    are_ours = yield from _try_leases(pairs, sent, env)
    foreign = [at for at, is_ours in enumerate(are_ours) if is_ours is None]
    if foreign:
        # No lease of ours, or one without an end: nobody will give it back, and while it is there
        # every refresh would be left to a holder that does not exist.
        env.emit(Unusable(wanted[0][0].policy.label, "foreign"))
        yield from ask_once(
            Delete(tuple([refresh_key(pairs[at][0].key, env) for at in foreign])), env
        )
        for at in foreign:
            call, start = pairs[at]
            pairs[at] = call, replace(start, token=env.draw_token())
        again = yield from _try_leases([pairs[at] for at in foreign], sent, env)
        for at, is_ours in zip(foreign, again, strict=True):
            are_ours[at] = is_ours
    found: list[Start | Paused | None] = [start for _, start in pairs]
    held = [at for at, is_ours in enumerate(are_ours) if not is_ours]
    afters = yield from _after_pauses([pairs[at] for at in held], sent, env)
    for at, after in zip(held, afters, strict=True):
        found[at] = after
    taken = [(wanted[at][0], start) for at, start in enumerate(found) if isinstance(start, Start)]
    adopted = iter((yield from _adopt_all(taken, env)))
    return [next(adopted) if isinstance(start, Start) else start for start in found]


def _try_leases(
    pairs: Sequence[_Taken], sent: dict[bytes, str], env: Env
) -> Flow[list[bool | None]]:
    """Ask for the efficiency leases of some keys once."""
    if env.health.lost_leases:
        yield from release_lost(env)
    are_ours: list[bool | None] = []
    for part in slices(pairs):
        if are_ours:
            yield GiveWay()
        life_ms = lease_ms(part[0][0].policy.counters) + job_ms(len(pairs))
        ops = [
            TryLease(refresh_key(call.key, env), start.token or b"", life_ms)
            for call, start in part
        ]
        sent.update({op.token: op.key for op in ops})
        replies = replies_of(ops, (yield from ask_once(one_trip(ops), env)))
        for op, is_ours in zip(ops, replies, strict=True):
            if not is_ours:
                del sent[op.token]
        are_ours += replies
    return are_ours


def _after_pauses(
    pairs: Sequence[_Taken], sent: dict[bytes, str], env: Env
) -> Flow[list[Start | Paused | None]]:
    """See which of the leases held are pauses after failed loads; take those that are over."""
    raw_reads: list[RawRead] = []
    for part in slices(pairs):
        if raw_reads:
            yield GiveWay()
        looks = [Look(refresh_key(call.key, env), with_ttl=True) for call, _ in part]
        raw_reads += replies_of(looks, (yield from ask(one_trip(looks), env)))
    found = [_paused(*pair, raw_read) for pair, raw_read in zip(pairs, raw_reads, strict=True)]
    over = [at for at, each in enumerate(found) if isinstance(each, Start)]
    # Under a compare: of all who find that the pause is over, one loads.
    changes = []
    for at in over:
        (call, start), held = pairs[at], raw_reads[at].raw or b""
        token = start.token or b""
        sent[token] = refresh_key(call.key, env)
        changes.append(Change(sent[token], held, token, lease_ms(call.policy.counters)))
    replies = yield from commit_all(changes, env)
    for at, change, reply in zip(over, changes, replies, strict=True):
        if reply is not CommitReply.STORED:
            del sent[change.blob]
            found[at] = None
    return found


def _paused(call: Call, start: Start, raw_read: RawRead) -> Start | Paused | None:
    """Tell whether a lease is a pause: one that goes on, one that is over, or none (`None`)."""
    held, left_ms = raw_read.raw or b"", raw_read.left_ms or 0
    if len(held) != TOKEN_BYTES or not held.startswith(_PAUSE):
        return None
    failures, read = held[len(_PAUSE)], start.read
    may_wait = read.state is FRESH or is_within(read, call.policy.stale_ms)
    if may_wait and left_ms > pause_ms(failures):
        return Paused(read)
    return replace(start, failures=failures)


def pause_ms(failures: int) -> int:
    """Return for how long nobody loads after so many loads have failed in a row."""
    return min(_LONGEST_PAUSE_MS, _FIRST_PAUSE_MS << min(max(0, failures - 1), _MOST_FAILURES))


def _adopt_all(pairs: Sequence[_Taken], env: Env) -> Flow[list[Start | None]]:
    """Make stale entries that somebody else stored this function's own before loading over them."""
    # `cache_clear` revokes a load by deleting what it started from, and it deletes only what
    # carries the function's own mark. A load over a foreign entry would survive it.
    found: list[Start | None] = [start for _, start in pairs]
    owner = pairs[0][0].policy.owner if pairs and env.health.ways else b""
    foreign = [at for at, (_, start) in enumerate(pairs) if owner_of(start.expected) != owner]
    if not owner or not foreign:
        return found
    changes: dict[int, Change] = {}
    for places in slices(foreign):
        looks = [Look(pairs[at][0].key, with_ttl=True) for at in places]
        raw_reads = replies_of(looks, (yield from ask(one_trip(looks), env)))
        for at, raw_read in zip(places, raw_reads, strict=True):
            (call, start), found[at] = pairs[at], None
            stored = start.read.stored
            if raw_read.raw == start.expected and stored is not None and not raw_read.refusal:
                blob = resealed(call, stored, env)
                changes[at] = Change(call.key, start.expected, blob, raw_read.left_ms)
    replies = yield from commit_all(tuple(changes.values()), env)
    for (at, change), reply in zip(changes.items(), replies, strict=True):
        if reply is CommitReply.STORED:
            start, blob = pairs[at][1], change.blob
            found[at] = replace(start, read=replace(start.read, raw=blob), expected=blob)
    lost = [pairs[at] for at in foreign if found[at] is None]
    yield from release_all({t: k for pair in lost for t, k in held_by(*pair, env).items()}, env)
    return found


def pause(call: Call, start: Start, env: Env) -> Flow[None]:
    """Keep the lease of an entry whose load has failed: longer with each failure in a row."""
    yield from pause_all(((call, start),), env)


def pause_all(pairs: Sequence[_Taken], env: Env) -> Flow[None]:
    """Keep the leases of entries whose load has failed, in as few trips as can be."""
    # Each is there for as long again when the pause is over, so that the next failure is known to
    # be one more in a row. Of the length of a lease: what is not is taken for somebody else's.
    changes = []
    for call, start in pairs:
        if start.token is None:
            continue
        failures = min(start.failures + 1, _MOST_FAILURES)
        mark = _PAUSE + bytes((failures,)) + env.draw_token()[: TOKEN_BYTES - len(_PAUSE) - 1]
        changes.append(
            Change(refresh_key(call.key, env), start.token, mark, 2 * pause_ms(failures))
        )
    replies = yield from commit_each(changes, env)
    lost = [change for change, reply in zip(changes, replies, strict=True) if reply is None]
    keep_lost({change.expected: change.key for change in lost}, env)
