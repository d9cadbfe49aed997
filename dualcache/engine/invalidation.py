"""Invalidation: what dies, in which order, and what becomes of it while the backend is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from dualcache.core.events import Invalidated
from dualcache.core.flight import ANY_TAG, CloseFlights
from dualcache.core.ops import GiveWay
from dualcache.engine.deletion import ScanRefused
from dualcache.engine.delivery import deliver_to_nodes, first_failure
from dualcache.engine.failover import deliver_to_master
from dualcache.engine.health import Owned, PendingDeletion
from dualcache.engine.pipelines import MOST_AT_ONCE, paced_parts, slices
from dualcache.engine.recovery import keep_pending, restore, retry_refused, set_aside
from dualcache.errors import BackendError, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env
    from dualcache.engine.nodes import Nodes

__all__ = ["base_tags", "clear", "clear_function", "delete", "drop_copies", "invalidate", "traced"]


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
    return traced(_invalidate(keys, tags, patterns, env, label, hold_ms), env, label)


def _invalidate(
    keys: Sequence[str],
    tags: Sequence[str],
    patterns: Sequence[str],
    env: Env,
    label: str,
    hold_ms: int,
) -> Flow[Invalidated]:
    bases = yield from base_tags(keys, env)
    deletion = PendingDeletion((*keys, *bases, *tags), tuple(patterns))
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
    return traced(_clear(env), env)


def _clear(env: Env) -> Flow[Invalidated]:
    asked = Invalidated(patterns=1)
    done = yield from delete(PendingDeletion((), ("*",)), asked, None, env, is_clear=True)
    if not done.pending:
        if env.nodes is not None:
            env.nodes.forget_overflow()
        env.health.has_overflowed = False
        env.health.settle()
    return done


def clear_function(owner: bytes, pattern: str, env: Env, label: str = "") -> Flow[Invalidated]:
    """Delete every entry of one function, whose keys match `pattern`, and no other key."""
    asked = Invalidated(label, patterns=1)
    deletion = PendingDeletion((), (), (Owned(owner, pattern),))
    return traced(delete(deletion, asked, None, env), env, label)


def traced(flow: Flow[Invalidated], env: Env, label: str = "") -> Flow[Invalidated]:
    """Put a span around the flow of an invalidation, where calls are traced."""
    return flow if env.traced is None else env.traced(label, flow)


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
    env.front.drop(names[:MOST_AT_ONCE])
    for start in range(MOST_AT_ONCE, len(names), MOST_AT_ONCE):
        yield GiveWay()
        env.front.drop(names[start : start + MOST_AT_ONCE])


def base_tags(keys: Sequence[str], env: Env) -> Flow[list[str]]:
    """Return the implicit tag that all variants of a key carry, for each of the keys."""
    head, cut = f"{env.prefix}~b:", len(env.prefix)
    return paced_parts(lambda part: [head + key[cut:] for key in part], keys)


def delete(
    deletion: PendingDeletion,
    asked: Invalidated,
    closing: tuple[str, ...] | None,
    env: Env,
    *,
    is_clear: bool = False,
) -> Flow[Invalidated]:
    """Deliver a deletion now, or keep it; close the flights it concerns; tell what happened."""
    removed = pending = 0
    failure: BackendError | None = None
    try:
        # Before the trip too, so that the front tier serves nothing old while it lasts: a caller
        # that sees the backend's new state and then the front's old one would go back in time.
        yield from drop_copies(deletion.keys, env)
        removed, failure, left = yield from _deliver_or_keep(deletion, env, is_clear=is_clear)
        if failure is not None:
            pending = min(left, asked.keys + asked.tags + asked.patterns)
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


def _deliver_or_keep(
    deletion: PendingDeletion, env: Env, *, is_clear: bool
) -> Flow[tuple[int, BackendError | None, int]]:
    """Deliver a deletion, and keep what cannot be delivered.

    Returns how many keys there were, why something is kept, and about how many names that is.
    """
    if env.nodes is not None:
        return (yield from _deliver_by_node(deletion, env, env.nodes, is_clear=is_clear))
    try:
        if not env.health.is_clear:
            yield from restore(env, is_clear=is_clear)
        if env.health.refused:
            yield from retry_refused(env)
        return (yield from deliver_to_master(deletion, env)), None, 0
    except BackendError as error:
        return 0, _kept(deletion, error, env), _size_of(deletion, env)


def _deliver_by_node(
    deletion: PendingDeletion, env: Env, nodes: Nodes, *, is_clear: bool
) -> Flow[tuple[int, BackendError | None, int]]:
    """Deliver to the nodes that can be asked; keep the rest, each part for its node."""
    blocked: dict[str, BackendError] = {}
    failures: list[BackendError] = []
    for node in nodes.parts_of(deletion):
        env_at = nodes.env_at(node, env)
        try:
            if not env_at.health.is_clear:
                yield from restore(env_at, is_clear=is_clear)
        except BackendError as error:
            blocked[node] = error.with_traceback(None)
    if env.health.refused:
        try:
            yield from retry_refused(env)
        except BackendError as error:
            failures.append(error.with_traceback(None))
    removed, left = yield from deliver_to_nodes(deletion, env, nodes, blocked, failures)
    if left is None:
        return removed, None, 0
    return removed, _kept(left, first_failure(failures), env), _size_of(left, env)


def _kept(deletion: PendingDeletion, error: BackendError, env: Env) -> BackendError:
    """Keep a deletion that could not be delivered; return why."""
    if isinstance(error, ScanRefused):
        set_aside(deletion, error, env)
    else:
        keep_pending(deletion, env)
    return error


def _size_of(deletion: PendingDeletion, env: Env) -> int:
    """Return how many keys, tags and patterns of the caller's a deletion has, at least one."""
    bases = f"{env.prefix}~b:"
    named = [name for name in deletion.keys if not name.startswith(bases)]
    return max(1, len(named) + len(deletion.globs))


def _undelivered(failure: BackendError) -> BackendUnavailable:
    """Make the error of a strict cache for a deletion that is kept."""
    if isinstance(failure, ScanRefused):
        return BackendUnavailable(failure.what, code=failure.code, help=failure.help)
    return BackendUnavailable(
        "the invalidation could not be delivered; it is kept and will be replayed",
        code="DC207",
        help="it reaches the backend before this process next reads it",
    )
