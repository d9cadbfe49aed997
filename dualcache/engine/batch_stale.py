"""The stale entries of a batch: served at once, and loaded anew together beside their reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.core.background import Spawn
from dualcache.core.flight import ABANDONED, Flight
from dualcache.core.ops import GiveWay, do
from dualcache.engine.background import note_spawned, start_over_all
from dualcache.engine.flights import join_of
from dualcache.engine.freshness import FRESH, ReadResult, is_within
from dualcache.engine.lead_many import Held, LedKey, end_all, end_unled, give_back, load_led
from dualcache.engine.pipelines import STEPS_AT_ONCE
from dualcache.engine.read import served_stale
from dualcache.engine.serve import count_hit
from dualcache.engine.starting import held_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env

__all__ = ["Served", "refresh_beside", "serve_reads"]


class Served(NamedTuple):
    """The values that a batch serves; `due` are those to be loaded anew, each with its reading."""

    values: dict[str, Any]
    due: dict[str, tuple[Call, ReadResult]]


def serve_reads(
    calls: Mapping[str, Call], reads: Mapping[str, ReadResult], served: Served, env: Env
) -> Flow[None]:
    """Serve what was read where it may be, as `serve_read` does for one key; count hits."""
    values, due = served
    for at, (name, read) in enumerate(reads.items()):
        if at and not at % STEPS_AT_ONCE:
            yield GiveWay()
        call = calls[name]
        if read.state is FRESH:
            count_hit(call, env, read.raw)
            values[name] = read.value
            if read.is_due:
                due[name] = call, read
        elif is_within(read, call.policy.stale_while_revalidate_ms):
            served_stale(call, read, env, "revalidate")
            values[name], due[name] = read.value, (call, read)


def refresh_beside(
    due: Mapping[str, tuple[Call, ReadResult]], loader: Callable[..., Any], env: Env
) -> Flow[None]:
    """Start to load some entries anew in one call of `loader`; wait for nothing."""
    if not due:
        return
    calls = [call for call, _ in due.values()]
    key, *others = [call.key for call in calls]
    spawn = Spawn(key, _refresh_together(due, loader, env), others=tuple(others))
    note_spawned(calls[0], (yield from do(spawn)), env)


def _refresh_together(
    due: Mapping[str, tuple[Call, ReadResult]], loader: Callable[..., Any], env: Env
) -> Flow[None]:
    """Load entries anew as one of a whole cluster, all of them that nobody else is loading."""
    held = Held({}, {}, {})
    try:
        led: list[tuple[str, Call, ReadResult, Flight]] = []
        for at, (name, (call, read)) in enumerate(due.items()):
            if at and not at % STEPS_AT_ONCE:
                yield GiveWay()
            ask_join = join_of(call, read.sequence, read, None, is_stored=True)
            flight = yield from do(ask_join)
            if isinstance(flight, Flight) and flight.leader is ask_join:
                held.results[flight] = ABANDONED
                led.append((name, call, read, flight))
        wanted = [(call, read) for _, call, read, _ in led]
        starts = yield from start_over_all(wanted, held.sent, env)
        leads: list[LedKey] = []
        for (name, call, _, flight), start in zip(led, starts, strict=True):
            if start is not None:
                held.markers.update(held_by(call, start, env))
                leads.append(LedKey(name, call, flight, start))
        yield from end_unled(leads, held)
        yield from load_led(leads, loader, held, env)
    except BaseException:
        yield from give_back(held, env)
        raise
    yield from end_all(held, env)
