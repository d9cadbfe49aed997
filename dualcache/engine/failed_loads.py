"""A load that failed: the user's exception, or the stale value that stands in for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.events import LoadFailed
from dualcache.core.flight import Outcome, failure_of, set_context
from dualcache.engine.freshness import is_outage, is_within
from dualcache.engine.telling import key_told, tell_stale
from dualcache.errors import UsageError

if TYPE_CHECKING:
    from dualcache.core.ops import Raised
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult

__all__ = ["outcome_of_failure", "stand_in"]


def outcome_of_failure(
    call: Call,
    result: Raised,
    sequence: int,
    read: ReadResult,
    env: Env,
    *,
    is_told: bool = True,
) -> Outcome:
    """Return the outcome of a load that raised; see `stand_in`. Emit that it failed."""
    is_answer = call.policy.value_codec.lists(result.error)
    call.policy.counters.load_failures += 1
    name, key = type(result.error).__name__, key_told(call, env)
    env.emit(LoadFailed(call.policy.label, name, is_answer, result.load_ms, key))
    return stand_in(call, result, sequence, read, env, is_told=is_told)


def stand_in(
    call: Call, result: Raised, sequence: int, read: ReadResult, env: Env, *, is_told: bool
) -> Outcome:
    """Return the user's exception, or the stale value that stands in for it (RFC 5861, 4).

    `is_told`: a caller is served by it, so it counts as a stale hit.
    """
    # A mistake in how the cache is used is no outage, and a stale value would hide it. Nor is an
    # exception that is remembered as an answer, unless the user's own `stale_on` counts it.
    is_no_failure = isinstance(result.error, UsageError) or (
        call.policy.stale_on is None and call.policy.value_codec.lists(result.error)
    )
    if read.stored is None or is_no_failure or not is_within(read, call.policy.stale_ms):
        return failure_of(result.error, sequence)
    try:
        may_stand_in = is_outage(call.policy, result.error)
    except Exception as error:  # noqa: BLE001  raised by stale_on: the user's own
        set_context(error, result.error)
        return failure_of(error, sequence)
    if not may_stand_in:
        return failure_of(result.error, sequence)
    if is_told:
        call.policy.counters.stale_hits += 1
        tell_stale(call, read, env, "error")
    return Outcome(read.value, None, read.sequence, read.stored.packed)
