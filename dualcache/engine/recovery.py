"""Asking the backend, after every pending deletion has been delivered to it.

Every backend op of every flow goes through `ask` or `ask_once`, except those of the replay. A
deletion that may not have arrived is kept, and delivered before anything else is asked:
otherwise this process would read what it has invalidated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from dualcache.core.events import PendingOverflowed, Replayed, ScansRefused
from dualcache.core.ops import Look, LookAndLease
from dualcache.engine.acknowledged import other_master
from dualcache.engine.apart import ask_each_node, ask_nodes
from dualcache.engine.attempts import attempt_once, try_again
from dualcache.engine.cut_keys import over_a_limit
from dualcache.engine.deletion import ScanRefused
from dualcache.engine.failover import deliver_to_master
from dualcache.engine.outcomes import is_cut, note_answer, note_failure
from dualcache.engine.pipelines import one_trip, replies_of
from dualcache.engine.split import raise_first
from dualcache.errors import BackendError, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.core.ops import Flow, Op
    from dualcache.engine.env import Env
    from dualcache.engine.health import PendingDeletion

__all__ = [
    "NOT_ASKED",
    "ask",
    "ask_again",
    "ask_each",
    "ask_once",
    "keep_pending",
    "restore",
    "retry_refused",
    "set_aside",
]

NOT_ASKED: Final = ("DC205", "DC206")
"""The codes of the errors that `restore` raises: nothing was sent."""

T = TypeVar("T")


def ask(op: Op[T], env: Env) -> Flow[T]:
    """Perform an op that may be repeated, after the replay; raise `BackendError` if it fails.

    Every hit goes through here, so the good case is one generator and three tests.
    """
    if env.nodes is not None:
        return (yield from ask_nodes(op, env, env.nodes, _prepare, may_repeat=True))
    health = env.health
    masters = health.masters  # before the look at `is_clear`: see `master_changed`
    if not health.is_clear:
        yield from _prepare(op, env)
    since = health.breaker.events
    try:
        reply: T = yield op
        if health.masters != masters:
            # This thread may have stood still since its look at `is_clear`, and then have asked the
            # new master before anything was repeated there.
            raise other_master()
    except BackendError as error:
        note_failure(error, env, since, op)
        if not is_cut(error):
            raise
        return (yield from ask_again(op, env))
    if health.breaker.failures:
        note_answer(env)
    return reply


def ask_again(op: Op[T], env: Env) -> Flow[T]:
    """Repeat an op whose connection was cut, after the replay of what is pending by now.

    The new connection may lead to another server, to which deletions are yet to be repeated; and
    another thread may have kept one meanwhile.
    """
    health = env.health
    masters = health.masters
    if health.pending or health.has_overflowed:
        yield from _prepare(op, env)
    reply = yield from try_again(op, env)
    if health.masters != masters:
        raise other_master()
    return reply


def ask_once(op: Op[T], env: Env) -> Flow[T]:
    """Perform an op that must not be sent twice, after the replay.

    A marker or a tag's id that arrives a second time, after an invalidation, would bring back what
    that took away.
    """
    if env.nodes is not None:
        return (yield from ask_nodes(op, env, env.nodes, _prepare))
    health = env.health
    masters = health.masters
    if not health.is_clear:
        yield from _prepare(op, env)
    reply = yield from attempt_once(op, env)
    if health.masters != masters:
        raise other_master()
    return reply


def ask_each(
    ops: Sequence[Op[T]], env: Env, asking: Callable[[Op[Any], Env], Flow[Any]] = ask
) -> Flow[Sequence[T | BackendError]]:
    """Perform several ops in one trip; in a cluster each that fails has its error for a reply.

    Raises `BackendError` where none of them was answered.
    """
    if env.nodes is None:
        return replies_of(ops, (yield from asking(one_trip(ops), env)))
    may_repeat = asking is ask
    replies = yield from ask_each_node(
        one_trip(ops), env, env.nodes, _prepare, may_repeat=may_repeat
    )
    if all(isinstance(reply, BackendError) for reply in replies):
        raise_first(replies)
    return replies


def keep_pending(deletion: PendingDeletion, env: Env) -> None:
    """Keep a deletion for the replay; tell observers where too many are kept."""
    dropped = (env.nodes or env.health).keep(deletion)
    if dropped:
        env.emit(PendingOverflowed(dropped=dropped))


def set_aside(deletion: PendingDeletion, error: ScanRefused, env: Env) -> None:
    """Keep a deletion that the server refuses to look for, without stopping reads for it.

    It was reported as pending. If reads waited for its delivery, they would never come again.
    """
    if env.health.whole.set_aside(deletion):
        env.emit(ScansRefused(reason=error.prefix))


def _prepare(op: Op[Any], env: Env) -> Flow[None]:
    """Get back to a clear state before an op; raise where it is not to be performed."""
    reads = env.health.cut_keys
    if isinstance(op, Look | LookAndLease) and not reads.may_read(op.key, env.elapsed_ms()):
        raise over_a_limit()
    yield from restore(env)


def restore(env: Env, *, is_clear: bool = False) -> Flow[None]:
    """Get back to a clear state, or raise `BackendUnavailable` without asking the backend.

    `is_clear`: the whole namespace is about to be deleted, so an overflow does not matter.
    """
    health = env.health
    # Asked first: a caller who may not read must not use up the one attempt after a pause.
    if health.has_overflowed and not is_clear:
        raise BackendUnavailable(
            "the backend is not read: there were too many invalidations to keep",
            code="DC206",
            help="call clear() when the backend is back: it deletes everything that they would "
            "have deleted",
        )
    if not health.breaker.may_try(env.elapsed_ms()):
        raise BackendUnavailable(
            "the backend is not asked: its circuit breaker is open",
            code="DC205",
            help="the cache tries again within seconds; the log says why it opened",
        )
    yield from _replay(env)


def _replay(env: Env) -> Flow[None]:
    """Deliver every pending deletion; one that fails stays pending."""
    health = env.health
    delivered = 0
    # Forgotten only when it is delivered: one that fails, or a caller that is interrupted here,
    # leaves it and all after it for the next. A deletion that arrives twice costs a miss.
    for number, deletion in tuple(health.pending.items()):
        try:
            yield from deliver_to_master(deletion, env)
        except ScanRefused as error:
            set_aside(deletion, error, env)
        else:
            delivered += 1
        health.pending.pop(number, None)
    health.settle()
    if delivered:
        env.emit(Replayed(delivered=delivered))


def retry_refused(env: Env) -> Flow[None]:
    """Deliver what the server refused to look for before, if it does not refuse that any more."""
    refused = env.health.whole.refused
    for number, deletion in tuple(refused.items()):
        try:
            yield from deliver_to_master(deletion, env)
        except ScanRefused:
            return
        refused.pop(number, None)
        env.emit(Replayed(delivered=1))
