"""Whether and for how long a value is stored, and its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from dualcache.core.entry import NOT_MODIFIED
from dualcache.core.envelope import seal
from dualcache.core.events import NotStored
from dualcache.engine.freshness import lifetime_ms
from dualcache.engine.tags import entry_tags
from dualcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from dualcache.core.entry import Packed
    from dualcache.core.policy import Call, Policy
    from dualcache.engine.env import Env
    from dualcache.errors import DualCacheError

__all__ = ["Storable", "no_old_entry", "report_unstored", "sealed", "tag_names", "worth"]


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


def no_old_entry(call: Call) -> UsageError:
    """Return the error for a `NOT_MODIFIED` where no old entry was given to a loader."""
    return UsageError(
        f"{call.policy.label} was given NOT_MODIFIED for a value, without an old entry",
        code="DC424",
        help="return it from refresh_from=…, which is called where an old entry is there",
    )


def report_unstored(call: Call, error: DualCacheError, env: Env) -> None:
    """Tell once per function that a value could not be stored, with the line that mends it."""
    counters = call.policy.counters
    counters.unstored += 1
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
    # Signed with the tags: otherwise the payload could be moved under tags that live longer.
    names = tag_names(call.policy, call, value)
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
