"""Refreshing several keys: one load for all, whatever is stored, by the rules of `refresh`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dualcache.core.flight import Flight, Outcome, value_of
from dualcache.core.ops import Delete
from dualcache.engine.beside import call_beside
from dualcache.engine.commit_ways import can_commit
from dualcache.engine.freshness import ReadResult
from dualcache.engine.lead_many import Held, LedKey, load_led, take_failure
from dualcache.engine.leases import release_all
from dualcache.engine.pipelines import slices
from dualcache.engine.recovery import ask
from dualcache.engine.start_over import start_refresh
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.starting import Start

__all__ = ["refresh_many"]


def refresh_many(
    calls: Mapping[str, Call], loader: Callable[..., Any], env: Env
) -> Flow[dict[str, Any]]:
    """Load all keys in one call of `loader`, and store what it returns, as `refresh` does for one.

    The entry of a key that the loader does not know goes too; where it fails, all entries stay.
    """
    found: dict[str, Any] = value_of((yield from _refresh_all(calls, loader, env)))
    return found


def _refresh_all(calls: Mapping[str, Call], loader: Callable[..., Any], env: Env) -> Flow[Outcome]:
    """Refresh; an outcome, as the frame of a flow must not hold what it raises."""
    held = Held({}, {}, {})
    try:
        leads = []
        for name, call in calls.items():
            leads.append((yield from _begin(name, call, held, env)))
        found = dict((yield from load_led(leads, loader, held, env)))
    except BaseException:
        # As in `refresh`: a marker may have arrived though its reply was not seen.
        yield from release_all({**held.sent, **held.markers}, env)
        raise
    yield from release_all(held.markers, env)
    failed = take_failure(held)
    if failed:
        return failed.pop()
    if not can_commit(env):
        # Nothing was stored, so at least the old entries must not be served after this call.
        with suppress(BackendError):
            for part in slices([call.key for call in calls.values()]):
                yield from ask(Delete(tuple(part)), env)
    return Outcome(found)


def _begin(name: str, call: Call, held: Held, env: Env) -> Flow[LedKey]:
    """Get the right to replace what one key holds; without it, the key is loaded all the same."""
    start: Start | None = None
    if can_commit(env):
        try:
            call, start = yield from _start(call, held, env)
        except BackendError:
            start = None
    if start is not None and not start.is_over_entry:
        held.markers[start.expected] = call.key
    # A refresh shares its load with nobody, so no table holds its flight.
    return LedKey(name, call, Flight(call.key, call, 0), start)


def _start(call: Call, held: Held, env: Env) -> Flow[tuple[Call, Start | None]]:
    """Return where the load of a key starts from, beside an entry of another shape if need be."""
    start = yield from start_refresh(call, held.sent, env)
    if not isinstance(start, ReadResult):
        return call, start
    beside = call_beside(call, start, env)
    if beside is None:
        return call, None
    return (yield from _start(beside, held, env))
