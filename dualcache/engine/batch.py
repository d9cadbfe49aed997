"""Loading several keys at once: the same rules as for one, in as few trips as can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.core.entry import MISSING
from dualcache.core.flight import ABANDONED, Flight, FlightResult, Join, Outcome, value_of
from dualcache.core.ops import GiveWay, do
from dualcache.engine.acquire_many import acquire_all
from dualcache.engine.batch_others import load_others
from dualcache.engine.batch_stale import Served, refresh_beside, serve_reads
from dualcache.engine.beside import call_beside
from dualcache.engine.freshness import FRESH, LOST, OTHER
from dualcache.engine.lead_many import (
    Held,
    LedKey,
    end_all,
    end_unled,
    give_back,
    load_led,
    take_failure,
)
from dualcache.engine.pipelines import STEPS_AT_ONCE, paced
from dualcache.engine.read import count_miss, served_stale
from dualcache.engine.read_many import look_beside, look_many
from dualcache.engine.refresh_lease import Paused
from dualcache.engine.serve import LIKELY_HITS, find_in_front
from dualcache.engine.starting import NOTHING, UNREACHED, Start, held_by
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult

__all__ = ["get_or_load_many"]


def get_or_load_many(
    calls: Mapping[str, Call],
    loader: Callable[..., Any],
    one_of: Callable[[str], Callable[[], Any]],
    env: Env,
) -> Flow[dict[str, Any]]:
    """Serve what is there, and load the rest that nobody else is loading in one call of `loader`.

    Stale values are served as a single call serves them; those to be loaded anew in the background
    are loaded there in one call of `loader`, too.
    `calls` are of one policy. Keys that another caller is loading are waited for afterwards, so
    that no two callers wait for each other. `one_of(name)` gives the function that loads a single
    one of those; it returns MISSING for a key that the loader does not know.
    """
    found: dict[str, Any] = value_of((yield from _load_many(calls, loader, one_of, env)))
    return found


def _load_many(
    calls: Mapping[str, Call],
    loader: Callable[..., Any],
    one_of: Callable[[str], Callable[[], Any]],
    env: Env,
) -> Flow[Outcome]:
    """Serve and load; an outcome, as the frame of a flow must not hold what it raises."""
    # Look, join, lease, load, store, land, and only then wait for others. Waiting while flights are
    # led or leases held, two callers with the same keys in another order would wait for each other.
    began = env.sequence()
    served = Served((yield from _serve_kept(calls, env)), {})
    found = served.values
    unkept = {name: call for name, call in calls.items() if name not in found}
    reads, besides, is_down = yield from _look_first(unkept, env)
    calls = {**calls, **besides}
    yield from serve_reads(calls, reads, served, env)
    held = Held({}, {}, {})
    missing = {name: call for name, call in calls.items() if name not in found}
    try:
        leads, moved = yield from _lead_all(
            missing, reads, served, held, began, env, is_down=is_down
        )
        calls = {**calls, **moved}
        _count_batch(unkept, is_whole=not leads)
        # Before this caller's own load, which may take long.
        yield from refresh_beside(served.due, loader, env)
        found.update((yield from load_led(leads, loader, held, env)))
    except BaseException:
        # Everything that may have been taken: each marker is noted before it is sent, and a driver
        # knows of a flight whose reply an interrupt took away (`Join.led`).
        yield from give_back(held, env)
        raise
    yield from end_all(held, env)
    failed = take_failure(held)
    if failed:
        return failed.pop()
    leading = {lead.name for lead in leads}
    others = [name for name in missing if name not in found and name not in leading]
    found.update((yield from load_others(others, calls, one_of, env)))
    return Outcome({name: found[name] for name in calls if name in found})


def _look_first(
    calls: Mapping[str, Call], env: Env
) -> Flow[tuple[dict[str, ReadResult], dict[str, Call], bool]]:
    """Read the keys where that is likely to be all; the leases read them too.

    Returns what was read, the calls that go on beside entries of other shapes, and whether the
    backend failed.
    """
    if not _are_hits_likely(calls):
        return {}, {}, False
    try:
        looked = yield from look_many(list(calls.values()), env)
        besides, looked = yield from look_beside(list(calls.values()), looked, env)
    except BackendError:
        return {}, {}, True
    return dict(zip(calls, looked, strict=True)), dict(zip(calls, besides, strict=True)), False


def _serve_kept(calls: Mapping[str, Call], env: Env) -> Flow[dict[str, Any]]:
    """Return the values that the front tier keeps; count them as hits."""
    kept = yield from paced(lambda call: find_in_front(call, env), calls.values())
    return {name: value for name, value in zip(calls, kept, strict=True) if value is not MISSING}


def _are_hits_likely(calls: Mapping[str, Call]) -> bool:
    """Tell whether a look is worth its trip; the leases, which read too, are one trip as well."""
    # One key that is missing costs a look its worth, so the hits among the keys tell little: of
    # a thousand keys with 99 hits in a hundred, ten are missing each time.
    for call in calls.values():
        return call.policy.counters.whole_batches >= LIKELY_HITS
    return False


def _count_batch(calls: Mapping[str, Call], *, is_whole: bool) -> None:
    """Count whether a batch was all hits."""
    for call in calls.values():
        call.policy.counters.count_batch(is_whole=is_whole)
        return


def _lead_all(
    missing: Mapping[str, Call],
    reads: Mapping[str, ReadResult],
    served: Served,
    held: Held,
    began: int,
    env: Env,
    *,
    is_down: bool,
) -> Flow[tuple[list[LedKey], dict[str, Call]]]:
    """Lead what nobody leads, and get the leases; what is there by now is `served`.

    Returns the keys that are led, and the calls that go on beside entries of other shapes, which
    no look had shown.
    """
    leads: list[LedKey] = []
    moved: dict[str, Call] = {}
    led = yield from _join_all(missing, reads, held, began, is_down=is_down)
    moving = yield from _lease_all(led, reads, served, held, leads, env, is_down=is_down)
    while moving:
        moved.update(moving)
        led = yield from _join_all(moving, {}, held, began, is_down=is_down)
        moving = yield from _lease_all(led, {}, served, held, leads, env, is_down=is_down)
    return leads, moved


def _join_all(
    missing: Mapping[str, Call],
    reads: Mapping[str, ReadResult],
    held: Held,
    began: int,
    *,
    is_down: bool,
) -> Flow[list[tuple[str, Call, Flight]]]:
    """Lead the flight of each missing key that nobody leads."""
    led = []
    for at, (name, call) in enumerate(missing.items()):
        if at and not at % STEPS_AT_ONCE:
            yield GiveWay()
        read = reads.get(name)
        seen_version = read.seen_version if read else None
        has_looked = is_down or read is not None
        is_lost = is_down or (read is not None and read.state is LOST)
        ask = Join(
            call.key, began, seen_version, has_looked=has_looked, is_patient=is_lost, tags=call.tags
        )
        flight = yield from do(ask)
        # The flight of another is not followed here, whatever its age: it is asked for again in
        # `load_others`, when nothing is held any more.
        if isinstance(flight, Flight) and flight.leader is ask:
            held.results[flight] = ABANDONED
            led.append((name, call, flight))
    return led


def _lease_all(
    led: Sequence[tuple[str, Call, Flight]],
    reads: Mapping[str, ReadResult],
    served: Served,
    held: Held,
    leads: list[LedKey],
    env: Env,
    *,
    is_down: bool,
) -> Flow[dict[str, Call]]:
    """Lease all led keys; what is there by now is `served`, what another holds is left to others.

    `leads` gets the keys that are to be loaded. Returns the calls that go on beside entries of
    other shapes.
    """
    ready = len(leads)
    starts: Sequence[Start | Paused | ReadResult | None] = [UNREACHED] * len(led)
    if not is_down:
        known = {tag: each for read in reads.values() for tag, each in read.ids.items()}
        starts = yield from acquire_all(
            [(call, flight) for _, call, flight in led], env, held.sent, known
        )
    moved: dict[str, Call] = {}
    lost = {name for (name, *_), start in zip(led, starts, strict=True) if start is UNREACHED}
    for (name, call, flight), start in zip(led, starts, strict=True):
        if isinstance(start, Start):
            held.markers.update(held_by(call, start, env))
            leads.append(LedKey(name, call, flight, start))
        elif isinstance(start, Paused):  # others have just failed to load it
            held.results[flight] = FlightResult(served_stale(call, start.read, env, "paused"))
            served.values[name] = start.read.value
        elif start is NOTHING or start is UNREACHED:
            leads.append(LedKey(name, call, flight, None))
        elif start is not None and start.state is OTHER:
            beside = call_beside(call, start, env)
            if beside is None:
                leads.append(LedKey(name, call, flight, None))
            else:
                moved[name] = beside
        elif start is not None:
            yield from serve_reads({name: call}, {name: start}, served, env)
            if start.state is FRESH:
                held.results[flight] = FlightResult(Outcome(start.value, None, start.sequence))
    yield from paced(lambda lead: _count_led(lead, reads, lost, env), leads[ready:])
    yield from end_unled(leads, held)
    return moved


def _count_led(
    lead: LedKey, reads: Mapping[str, ReadResult], lost: Container[str], env: Env
) -> None:
    """Count a key that is loaded as a miss, and tell why; of the `lost`, the backend failed."""
    read = reads.get(lead.name)
    if read is None and lead.start is not None and lead.start.is_over_entry:
        read = lead.start.read
    why = read.state.value if read else LOST.value if lead.name in lost else "absent"
    count_miss(lead.call, why, env)
