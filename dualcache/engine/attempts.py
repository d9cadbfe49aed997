"""One backend op, tried: the breaker sees how it went, and a cut connection is tried once more.

Nothing here looks at pending deletions. Flows use these only to deliver one, or to ping; all else
goes through `ask` and `ask_once` of `recovery.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from dualcache.engine.apart import ask_nodes
from dualcache.engine.outcomes import note_answer, note_failure
from dualcache.errors import BackendError, BackendRefused, BackendUnavailable

if TYPE_CHECKING:
    from dualcache.core.ops import Flow, Op
    from dualcache.engine.env import Env

__all__ = ["attempt", "attempt_once"]

T = TypeVar("T")


def attempt(op: Op[T], env: Env) -> Flow[T]:
    """Perform an op that may be repeated: once more if its connection was cut, or is left."""
    if env.nodes is not None:
        return (yield from ask_nodes(op, env, env.nodes, may_repeat=True))
    left_at_ms = env.health.leave_at_ms
    try:
        return (yield from attempt_once(op, env))
    except BackendUnavailable as error:
        if not error.was_connected:
            raise
    except BackendRefused:
        if env.health.leave_at_ms == left_at_ms:
            raise
    return (yield from attempt_once(op, env))


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
