"""Invalidation: what dies, in which order, and what becomes of it while the backend is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from dualcache.core.events import Invalidated
from dualcache.core.flight import ANY_TAG, CloseFlights
from dualcache.core.ops import GiveWay
from dualcache.engine.deletion import ScanRefused
from dualcache.engine.failover import deliver_to_master
from dualcache.engine.health import Owned, PendingDeletion
from dualcache.engine.pipelines import paced, slices
from dualcache.engine.recovery import keep_pending, restore, retry_refused, set_aside
from dualcache.errors import BackendError, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env

__all__ = ["base_tag", "clear", "clear_function", "delete", "drop_copies", "invalidate"]


def invalidate(
    keys: Sequence[str],
    tags: Sequence[str],
    patterns: Sequence[str],
    env: Env,
    label: str = "",
    hold_ms: int = 0,
) -> Flow[Invalidated]:
    """Delete keys (in full) with their variants, tags (in full), and what matches the patterns.

    After it returns with nothing pending, no load that began before it can be stored or served:
    its marker or its tags are gone. Under the keys nothing is stored for `hold_ms`.
    """
    base_tags = yield from paced(lambda key: base_tag(key, env), keys)
    deletion = PendingDeletion((*keys, *base_tags, *tags), tuple(patterns))
    if hold_ms:
        ends_ms = env.elapsed_ms() + hold_ms
        deletion = deletion._replace(held=tuple(keys), hold_ends_ms=ends_ms)
    asked = Invalidated(label, keys=len(keys), tags=len(tags), patterns=len(patterns))
    return (
        yield from delete(
            deletion, asked, None if patterns else _closing_names(deletion.keys, tags), env
        )
    )


def _closing_names(names: tuple[str, ...], tags: Sequence[str]) -> tuple[str, ...]:
    """Name the flights to close: a load whose tags come with its result may have any tag."""
    return (*names, ANY_TAG) if tags else names


def clear(env: Env) -> Flow[Invalidated]:
    """Delete the whole namespace; also ends the state in which too many deletions were pending."""
    asked = Invalidated(patterns=1)
    done = yield from delete(PendingDeletion((), ("*",)), asked, None, env, is_clear=True)
    if not done.pending:
        env.health.has_overflowed = False
        env.health.settle()
    return done


def clear_function(owner: bytes, pattern: str, env: Env, label: str = "") -> Flow[Invalidated]:
    """Delete every entry of one function, whose keys match `pattern`, and no other key."""
    asked = Invalidated(label, patterns=1)
    deletion = PendingDeletion((), (), (Owned(owner, pattern),))
    return (yield from delete(deletion, asked, None, env))


def _forget(deletion: PendingDeletion, closing: tuple[str, ...] | None, env: Env) -> Flow[None]:
    """Drop from the front tier what was deleted, and close its flights: nothing old is kept."""
    # Again after the trip: a read that was sent before it may have put the old value back since.
    # What a pattern matches too, as a copy may be left of a key that had gone from the backend
    # before the scan, and whose push is still to come.
    yield from drop_copies(deletion.keys, env)
    for pattern in deletion.globs:
        env.front.drop_matching(pattern)
    # Flights after the trip: one that was opened during the trip may have read what the trip then
    # deleted, and a caller who begins after this would join it.
    for part in (None,) if closing is None else slices(closing):
        yield CloseFlights(part if part is None else tuple(part))


def drop_copies(names: Sequence[str], env: Env) -> Flow[None]:
    """Drop the front tier's copies of these names, however many."""
    for at, part in enumerate(slices(names)):
        if at:
            yield GiveWay()
        env.front.drop(part)


def base_tag(key: str, env: Env) -> str:
    """Return the implicit tag that all variants of a key carry."""
    return f"{env.prefix}~b:{key.removeprefix(env.prefix)}"


def delete(
    deletion: PendingDeletion,
    asked: Invalidated,
    closing: tuple[str, ...] | None,
    env: Env,
    *,
    is_clear: bool = False,
) -> Flow[Invalidated]:
    """Deliver a deletion now, or keep it; close the flights it concerns; tell what happened."""
    health = env.health
    removed = pending = 0
    failure: BackendError | None = None
    try:
        # Before the trip too, so that the front tier serves nothing old while it lasts: a caller
        # that sees the backend's new state and then the front's old one would go back in time.
        yield from drop_copies(deletion.keys, env)
        if not health.is_clear:
            yield from restore(env, is_clear=is_clear)
        if health.refused:
            yield from retry_refused(env)
        removed = yield from deliver_to_master(deletion, env)
    except BackendError as error:
        if isinstance(error, ScanRefused):
            set_aside(deletion, error, env)
        else:
            keep_pending(deletion, env)
        failure = error
        pending = asked.keys + asked.tags + asked.patterns
    except BaseException:
        keep_pending(deletion, env)
        yield from _forget(deletion, closing, env)
        raise
    yield from _forget(deletion, closing, env)
    done = replace(asked, removed=removed, pending=pending)
    env.emit(done)
    if failure is not None and env.is_strict:
        raise _undelivered(failure) from failure
    return done


def _undelivered(failure: BackendError) -> BackendUnavailable:
    """Make the error of a strict cache for a deletion that is kept."""
    if isinstance(failure, ScanRefused):
        return BackendUnavailable(failure.what, code=failure.code, help=failure.help)
    return BackendUnavailable(
        "the invalidation could not be delivered; it is kept and will be replayed",
        code="DC207",
        help="it reaches the backend before this process next reads it",
    )
