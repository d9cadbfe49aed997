"""Ending the freshness of entries without deleting them: the flow of `expire`.

An expired entry is the same entry under another kind and a new version. So it needs no second
marker, no reader takes it for fresh, and a load that started from what was there cannot store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.core.entry import Kind
from dualcache.core.envelope import open_envelope, owner_of, seal
from dualcache.core.events import Invalidated
from dualcache.core.ops import GiveWay, Look
from dualcache.engine.commit import Change, rewrite_each
from dualcache.engine.deletion import notice_of
from dualcache.engine.health import PendingDeletion
from dualcache.engine.invalidation import base_tags, delete, drop_copies, traced
from dualcache.engine.pipelines import one_trip, replies_of, slices
from dualcache.engine.recovery import ask, keep_pending
from dualcache.engine.starting import refresh_key
from dualcache.errors import BackendError, DecodeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.ops import Flow, RawRead
    from dualcache.engine.env import Env

__all__ = ["expire"]

_LASTING: Final = (Kind.VALUE, Kind.EXPIRED)


def expire(keys: Sequence[str], env: Env, label: str = "") -> Flow[Invalidated]:
    """Make entries (by keys in full) stale, and revoke every load of them that is under way.

    What cannot be served as stale is deleted: markers, negative entries, what is no entry, the
    variants of a key. So is everything where the backend cannot compare and set; while it fails,
    deletions are pending.
    """
    return traced(_expire(keys, env, label), env, label)


def _expire(keys: Sequence[str], env: Env, label: str) -> Flow[Invalidated]:
    bases = yield from base_tags(keys, env)
    names = (*keys, *bases)
    yield from drop_copies(keys, env)  # before the trips too, as in `delete`
    try:
        expired = yield from _expire_all(keys, env)
    except BackendError:
        expired = set()
    except BaseException:
        keep_pending(PendingDeletion(names), env)
        env.front.drop(names)
        raise
    yield from drop_copies(tuple(expired), env)  # and after: a look sent before may have kept one
    # A load under way whose marker is deleted cannot store, nor can one that started from an entry:
    # that has another version now. The deletion tells others what they may hold of either.
    # The leases beside expired entries go too: a pause after failed loads would put off the load
    # that the caller asks for, and the load of a holder cannot store any more.
    rest = tuple([name if name not in expired else refresh_key(name, env) for name in names])
    asked = Invalidated(label, keys=len(keys), expired=len(expired))
    return (yield from delete(PendingDeletion(rest), asked, names, env))


def _expire_all(keys: Sequence[str], env: Env) -> Flow[set[str]]:
    """Expire what can be served as stale; return the keys of those entries."""

    def changes_of(names: Sequence[str]) -> Flow[list[Change]]:
        looks = [Look(key, with_ttl=True) for key in names]
        raw_reads = replies_of(looks, (yield from ask(one_trip(looks), env)))
        pairs = zip(names, raw_reads, strict=True)
        changes = [_change_of(key, raw_read, env) for key, raw_read in pairs]
        return [change for change in changes if change is not None]

    # An entry that goes on changing may hold what a load brought that began before this call. It is
    # not among those that are returned, and is deleted.
    expired: set[str] = set()
    for part in slices(tuple(dict.fromkeys(keys))):
        if expired:
            yield GiveWay()
        yield from rewrite_each(part, changes_of, expired, env)
    return expired


def _change_of(key: str, raw_read: RawRead, env: Env) -> Change | None:
    """Return the change that makes an entry stale; `None` where none is left to be served."""
    raw, left_ms = raw_read.raw, raw_read.left_ms
    if not raw or raw_read.refusal:  # without knowing how long it lives it would stay for ever
        return None
    try:
        stored = open_envelope(key, raw)
    except DecodeError:
        return None
    if stored.kind not in _LASTING or stored.is_negative:
        return None
    age_ms = max(0, env.now_ms() - stored.created_ms)
    fresh_ms = age_ms if stored.fresh_ms is None else min(stored.fresh_ms, age_ms)
    if left_ms is not None and stored.fresh_ms is not None:
        left_ms -= stored.fresh_ms - fresh_ms  # its stale window begins now
    if left_ms is not None and left_ms < 1:
        return None
    blob = seal(
        key,
        stored.packed,
        version=env.draw_token(),
        created_ms=stored.created_ms,
        fresh_ms=fresh_ms,
        load_ms=stored.load_ms,
        tags=stored.tags,
        owner=owner_of(raw),
        is_expired=True,
    )
    return Change(key, raw, blob, left_ms, notice_of((key,), env))
