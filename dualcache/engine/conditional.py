"""Conditional refresh: a load that gets the old entry, and may say that it is still right.

That is a load that returns the old value: its source was asked while it ran. So the commit, its
compare and the ids of the tags from before the load are those of any other load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from dualcache.core.entry import NOT_MODIFIED
from dualcache.core.envelope import open_envelope
from dualcache.core.flight import Load
from dualcache.core.ops import Raised, do
from dualcache.engine.freshness import FRESH, STALE
from dualcache.engine.peek import make_entry
from dualcache.engine.storing import no_old_entry

if TYPE_CHECKING:
    from dualcache.core.flight import Flight
    from dualcache.core.ops import Flow, Keeping, Loaded
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult

__all__ = ["load_from"]


def load_from(
    call: Call,
    read: ReadResult,
    flights: tuple[Flight, ...],
    keeping: Keeping | None,
    env: Env,
) -> Flow[Loaded | Raised]:
    """Run the function, or `refresh_from` where an entry is there that it can start from."""
    loader, raw = call.policy.refresh_from, read.raw
    if loader is None or raw is None or read.state not in (FRESH, STALE):
        result = yield from do(Load(call.function, call.args, flights, keeping))
        is_misused = not isinstance(result, Raised) and result.value is NOT_MODIFIED
        return Raised(no_old_entry(call), result.load_ms) if is_misused else result
    # Each gets a value of its own. The caller who was served the stale one may be changing it, and
    # what the loader does to its own must not be stored.
    stored, unpack = open_envelope(call.key, raw), call.policy.value_codec.unpack
    left_ms = read.left_ms
    if left_ms is None and read.fresh_left_ms is not None:
        left_ms = max(0, read.fresh_left_ms + call.policy.stale_ms)
    entry = make_entry(call, read.state, stored, unpack(call.key, stored), left_ms, env)
    result = yield from do(Load(loader, (entry, *call.args), flights, keeping))
    if isinstance(result, Raised) or result.value is not NOT_MODIFIED:
        return result
    return replace(result, value=unpack(call.key, stored))
