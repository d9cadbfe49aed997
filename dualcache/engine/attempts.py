"""One backend op, tried: the breaker sees how it went, and a cut connection is tried once more.

Nothing here looks at pending deletions. Flows use these only to deliver one, or to ping; all else
goes through `ask` and `ask_once` of `recovery.py`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from dualcache.core.ops import Batch
from dualcache.engine.apart import ask_each_node, ask_nodes
from dualcache.engine.closing import (
    is_closed,
    kinds_of,
    not_sure_yet,
    note_closed,
    note_searched,
    read_to_compare,
    reply_to_closed,
    smallest_search,
)
from dualcache.engine.outcomes import is_cut, note_answer, note_failure
from dualcache.engine.pipelines import one_trip, replies_of
from dualcache.errors import BackendError, BackendRefused, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.ops import Flow, Op
    from dualcache.engine.env import Env

__all__ = ["attempt", "attempt_each", "attempt_once", "try_again"]

T = TypeVar("T")


def attempt(op: Op[T], env: Env) -> Flow[T]:
    """Perform an op that may be repeated: once more if its connection was cut, or is left."""
    if env.nodes is not None:
        return (yield from ask_nodes(op, env, env.nodes, may_repeat=True))
    left_at_ms = env.health.leave_at_ms
    if is_closed(op, env):
        return reply_to_closed(op)  # type: ignore[no-any-return]  # of a commit, or it raises
    try:
        reply = yield from attempt_once(op, env)
    except BackendUnavailable as error:
        if not error.was_connected:
            raise
    except BackendRefused:
        if env.health.leave_at_ms == left_at_ms:
            raise
    else:
        note_searched(op, env)
        return reply
    return (yield from try_again(op, env))


def try_again(op: Op[T], env: Env) -> Flow[T]:
    """Perform an op once more whose connection was cut; find out whether the op is why."""
    if not kinds_of(op):
        return (yield from attempt_once(op, env))
    since = env.health.breaker.events
    try:
        reply: T = yield op
    except BackendError as error:
        if not is_cut(error):
            note_failure(error, env, since, op)
            raise
    else:
        note_answer(env)
        note_searched(op, env)
        return reply
    # Not counted yet: an op at which the connection is closed tells nothing against the server, if
    # that answers a read right after it.
    # The search before the read: each begins with a fresh connection, as the one before was cut.
    if (yield from _is_known(op, env)):
        raise _counted(not_sure_yet(), op, env)
    with suppress(BackendRefused):  # which is an answer, too
        yield from attempt_once(read_to_compare(env), env)
    if not note_closed(op, env):
        raise _counted(not_sure_yet(), op, env)
    note_answer(env)  # that of the read: what was cut tells nothing against the server
    return reply_to_closed(op)  # type: ignore[no-any-return]  # of a commit, or it raises


def _is_known(op: Op[Any], env: Env) -> Flow[bool]:
    """Ask whether the server knows the search that was cut: by the smallest one of its kind."""
    smallest = smallest_search(op, env)
    if smallest is None:
        return False
    since = env.health.breaker.events
    try:
        yield smallest
    except BackendRefused:  # which is an answer, too
        pass
    except BackendError as error:
        if is_cut(error):
            return False
        note_failure(error, env, since, smallest)
        raise
    note_searched(op, env)
    return True


def _counted(failure: BackendError, op: Op[Any], env: Env) -> BackendError:
    """Count a failure that nobody else has seen, and return it.

    It is certain, so the breaker opens: the next search comes after a pause, when a hiccup is over.
    """
    note_failure(failure, env, env.health.breaker.events, op)
    return failure  # raised where no variable names it: a frame that did would live on with it


def attempt_each(ops: Sequence[Op[T]], env: Env) -> Flow[Sequence[T | None]]:
    """Perform ops in one trip, as `attempt` does; in a cluster `None` where a node fails."""
    if env.nodes is None:
        return replies_of(ops, (yield from attempt(one_trip(ops), env)))
    batch = Batch(tuple(ops))
    replies = yield from ask_each_node(batch, env, env.nodes, may_repeat=True)
    return [None if isinstance(reply, BackendError) else reply for reply in replies]


def attempt_once(op: Op[T], env: Env) -> Flow[T]:
    """Perform one backend op and let the breaker see how it went."""
    if env.nodes is not None:
        return (yield from ask_nodes(op, env, env.nodes))
    health = env.health
    since = health.breaker.events
    try:
        reply: T = yield op
    except BackendError as error:
        note_failure(error, env, since, op)
        raise
    if not health.breaker.is_closed or health.breaker.failures:
        note_answer(env)
    return reply
