"""Whether and for how long a value is stored, and its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from dualcache.core.entry import NOT_MODIFIED
from dualcache.core.envelope import seal
from dualcache.core.events import NotStored
from dualcache.engine.freshness import lifetime_ms
from dualcache.engine.tags import entry_tags
from dualcache.errors import UnencodableValue, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from dualcache.core.entry import Packed
    from dualcache.core.policy import Call, Policy
    from dualcache.engine.env import Env
    from dualcache.errors import DualCacheError

__all__ = [
    "Storable",
    "answer",
    "no_old_entry",
    "report_unstored",
    "sealed",
    "tag_names",
    "why_unwanted",
    "worth",
]


class Storable(Struct, frozen=True):
    """A value that is to be stored: its bytes, and for how long."""

    packed: Packed
    fresh_ms: int | None
    ttl_ms: int | None


def worth(call: Call, value: Any, env: Env) -> Storable | None:
    """Decide whether and for how long a value is stored, and make its bytes.

    Raises what the policy's callables raise, and `UnencodableValue` where no codec keeps the value.
    """
    policy = call.policy
    if value is NOT_MODIFIED:  # of a batch, or given to `set`
        raise no_old_entry(call)
    if policy.condition is not None and not policy.condition(value, *call.args):
        return None
    ttl_ms = policy.ttl_ms if policy.ttl_of is None else policy.ttl_of(value, *call.args)
    if ttl_ms == 0:
        return None
    draw = env.draw() if policy.jitter else 0.0
    fresh_ms, whole_ms = lifetime_ms(
        ttl_ms, policy.stale_ms, policy.jitter, draw, is_early=policy.early > 0
    )
    return Storable(policy.value_codec.pack(value), fresh_ms, whole_ms)


def why_unwanted(call: Call, *, is_worth: bool) -> str:
    """Return why a value is not stored that could be, for `stats()`."""
    if is_worth:
        return "other_release"
    return "ttl" if call.policy.condition is None else "condition"


def answer(
    call: Call, error: Exception, ids: Mapping[str, bytes | None], load_ms: float, env: Env
) -> tuple[Storable, bytes] | None:
    """Return the entry for an exception, and its bytes; `None` where it is not remembered.

    There is no result, so no callable of the policy is asked, and there is no stale window: an
    exception that has expired stands in for nothing.
    """
    policy = call.policy
    if not policy.negative_ttl_ms:
        return None
    try:
        packed = policy.value_codec.pack_error(error)
        if packed is None:
            return None
        draw = env.draw() if policy.jitter else 0.0
        _, ttl_ms = lifetime_ms(policy.negative_ttl_ms, 0, policy.jitter, draw)
        what = Storable(packed, None, ttl_ms)
        return what, _sealed(call, call.tags, what, ids, load_ms, env)
    except UnencodableValue as failure:
        report_unstored(call, failure, env)
        return None


def no_old_entry(call: Call) -> UsageError:
    """Return the error for a `NOT_MODIFIED` where no old entry was given to a loader."""
    return UsageError(
        f"{call.policy.label} was given NOT_MODIFIED for a value, without an old entry",
        code="DC424",
        help="return it only from refresh_from=…, which is called if there is an old entry",
    )


def report_unstored(call: Call, error: DualCacheError, env: Env) -> None:
    """Tell once per function that a value could not be stored, with the line that fixes it."""
    counters = call.policy.counters
    counters.unstored += 1
    counters.count_unstored(error.what)
    if counters.unstored == 1:
        env.emit(NotStored(call.policy.label, error.what, error.help))


def tag_names(policy: Policy, call: Call, value: Any) -> Sequence[str]:
    """Return all tags of an entry, those known only from its value included."""
    if policy.tags_of is None:
        return call.tags
    return (*call.tags, *policy.tags_of(value, *call.args))


def sealed(
    call: Call,
    value: Any,
    what: Storable,
    ids: Mapping[str, bytes | None],
    load_ms: float,
    env: Env,
) -> bytes:
    """Make the bytes that are stored for a value, signed together with its tags."""
    return _sealed(call, tag_names(call.policy, call, value), what, ids, load_ms, env)


def _sealed(
    call: Call,
    names: Sequence[str],
    what: Storable,
    ids: Mapping[str, bytes | None],
    load_ms: float,
    env: Env,
) -> bytes:
    # Signed with the tags: otherwise the payload could be moved under tags that live longer.
    tags = (*call.beside, *entry_tags(names, ids)) if names else call.beside
    return seal(
        call.key,
        call.policy.value_codec.sign(call.key, what.packed, tags),
        version=env.draw_token(),
        created_ms=env.now_ms(),
        fresh_ms=what.fresh_ms,
        load_ms=round(load_ms),
        tags=tags,
        owner=call.policy.owner,
    )
