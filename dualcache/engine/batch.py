"""Loading several keys at once: the same rules as for one, in as few trips as can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.core.entry import MISSING
from dualcache.core.flight import (
    ABANDONED,
    EndFlight,
    Flight,
    FlightResult,
    Join,
    Load,
    Outcome,
    failure_of,
    value_of,
)
from dualcache.core.ops import GiveWay, Raised, do
from dualcache.engine.acquire_many import acquire_all
from dualcache.engine.batch_others import load_others, serve_fresh
from dualcache.engine.beside import call_beside
from dualcache.engine.commit import Change, commit_each
from dualcache.engine.deletion import notice_of
from dualcache.engine.freshness import OTHER
from dualcache.engine.lead import Begun, concluded, make_ready, note_begun
from dualcache.engine.leases import RELEASED_MS, release_all, release_unfilled
from dualcache.engine.pipelines import STEPS_AT_ONCE, paced
from dualcache.engine.read import count_miss, served
from dualcache.engine.read_many import look_beside, look_many
from dualcache.engine.renewal import begin_lease, keeping
from dualcache.engine.serve import LIKELY_HITS, find_in_front
from dualcache.engine.starting import NOTHING, Start, held_by, leave_unstored
from dualcache.errors import BackendError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dualcache.core.ops import Flow, Loaded
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult
    from dualcache.engine.lead import Ready
    from dualcache.engine.renewal import Lease

__all__ = ["Held", "LedKey", "get_or_load_many", "load_led", "mapping_of", "take_failure"]


class LedKey(NamedTuple):
    """A key that this caller loads: its flight, and where it starts from (`None`: not stored)."""

    name: str
    call: Call
    flight: Flight
    start: Start | None


class Held(NamedTuple):
    """The flights and leases that this caller gives back, however its load ends.

    `markers` are the leases, each with its key; `results` how each flight is to end. `sent` are
    all markers that may have arrived: a caller who is interrupted gives them back too.
    """

    markers: dict[bytes, str]
    results: dict[Flight, FlightResult]
    sent: dict[bytes, str]


def get_or_load_many(
    calls: Mapping[str, Call],
    loader: Callable[..., Any],
    one_of: Callable[[str], Callable[[], Any]],
    env: Env,
) -> Flow[dict[str, Any]]:
    """Serve what is fresh, and load the rest that nobody else is loading in one call of `loader`.

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
    found = yield from _serve_kept(calls, env)
    unkept = {name: call for name, call in calls.items() if name not in found}
    reads, besides, is_down = yield from _look_first(unkept, env)
    calls = {**calls, **besides}
    found.update(serve_fresh(calls, reads, env))
    held = Held({}, {}, {})
    missing = {name: call for name, call in calls.items() if name not in found}
    try:
        leads, moved = yield from _lead_all(
            missing, reads, found, held, began, env, is_down=is_down
        )
        calls = {**calls, **moved}
        _count_batch(unkept, is_whole=not leads)
        found.update((yield from load_led(leads, loader, held, env)))
    except BaseException:
        # Everything that may have been taken: each marker is noted before it is sent, and a driver
        # knows of a flight whose reply an interrupt took away (`Join.led`).
        yield from _give_back(held, env)
        raise
    yield from _end_all(held, env)
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
    found: dict[str, Any],
    held: Held,
    began: int,
    env: Env,
    *,
    is_down: bool,
) -> Flow[tuple[list[LedKey], dict[str, Call]]]:
    """Lead what nobody leads, and get the leases; what is fresh by now is `found`.

    Returns the keys that are led, and the calls that go on beside entries of other shapes, which
    no look had shown.
    """
    leads: list[LedKey] = []
    moved: dict[str, Call] = {}
    led = yield from _join_all(missing, reads, held, began, is_down=is_down)
    moving = yield from _lease_all(led, reads, found, held, leads, env, is_down=is_down)
    while moving:
        moved.update(moving)
        led = yield from _join_all(moving, {}, held, began, is_down=is_down)
        moving = yield from _lease_all(led, {}, found, held, leads, env, is_down=is_down)
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
        ask = Join(
            call.key, began, seen_version, has_looked=has_looked, is_patient=is_down, tags=call.tags
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
    found: dict[str, Any],
    held: Held,
    leads: list[LedKey],
    env: Env,
    *,
    is_down: bool,
) -> Flow[dict[str, Call]]:
    """Lease all led keys; what is fresh by now is `found`, what another holds is left to others.

    `leads` gets the keys that are to be loaded. Returns the calls that go on beside entries of
    other shapes.
    """
    ready = len(leads)
    starts: Sequence[Start | ReadResult | None] = [NOTHING] * len(led)
    if not is_down:
        known = {tag: each for read in reads.values() for tag, each in read.ids.items()}
        starts = yield from acquire_all(
            [(call, flight) for _, call, flight in led], env, held.sent, known
        )
    moved: dict[str, Call] = {}
    for (name, call, flight), start in zip(led, starts, strict=True):
        if isinstance(start, Start):
            if not start.is_over_entry:
                held.markers[start.expected] = call.key
            leads.append(LedKey(name, call, flight, start))
        elif start is NOTHING:
            leads.append(LedKey(name, call, flight, None))
        elif start is not None and start.state is OTHER:
            beside = call_beside(call, start, env)
            if beside is None:
                leads.append(LedKey(name, call, flight, None))
            else:
                moved[name] = beside
        elif start is not None:
            found[name] = start.value
            held.results[flight] = FlightResult(served(call, start, env))
    yield from paced(lambda lead: _count_led(lead, reads, env, is_down=is_down), leads[ready:])
    # What is not loaded here lands before the load: its followers need not wait for other keys.
    leading = {lead.flight for lead in leads}
    for flight in [each for each in held.results if each not in leading]:
        yield EndFlight(flight, held.results.pop(flight))
    return moved


def _count_led(lead: LedKey, reads: Mapping[str, ReadResult], env: Env, *, is_down: bool) -> None:
    """Count a key that is loaded as a miss, and tell why."""
    read = reads.get(lead.name)
    why = read.state.value if read else "backend_down" if is_down else "absent"
    count_miss(lead.call, why, env)


def load_led(
    leads: Sequence[LedKey], loader: Callable[..., Any], held: Held, env: Env
) -> Flow[Mapping[str, Any]]:
    """Call the loader once for all led keys, and store what it returns."""
    if not leads:
        return {}
    held_here: dict[bytes, str] = {}
    for lead in leads:
        if lead.start is not None:
            held_here.update(held_by(lead.call, lead.start, env))
    lease = begin_lease(held_here, leads[0].call.policy.counters, env)
    # One lease and one age for all keys: drawn when all are leased, before the one load begins.
    sequence = env.sequence()
    for lead in leads:
        lead.flight.load_sequence = sequence
        if lead.start is not None:
            begun = Begun(lead.start, lead.start.read.ids, lease, lead.call.policy.owner)
            note_begun(lead.flight, begun, sequence)
    flights = tuple([lead.flight for lead in leads])
    names = [lead.name for lead in leads]
    result = yield from do(Load(loader, (names,), flights, keeping(lease, env)))
    if isinstance(result, Raised):
        held.results.update(
            dict.fromkeys(flights, FlightResult(failure_of(result.error, sequence)))
        )
        return {}
    values = mapping_of(result.value)
    loaded = [lead for lead in leads if lead.name in values]
    filled = yield from _store_all(loaded, values, result, held, sequence, env, lease)
    for lead in leads:
        # A refresh takes the old entry away also where the new result is not stored.
        start = lead.start
        if start is not None and start.is_refresh and start.expected not in filled:
            yield from leave_unstored(lead.call, start, env)
    return {lead.name: values[lead.name] for lead in loaded}


def _store_all(
    leads: Sequence[LedKey],
    values: Mapping[str, Any],
    result: Loaded,
    held: Held,
    sequence: int,
    env: Env,
    lease: Lease,
) -> Flow[set[bytes]]:
    """Commit all that is to be stored, and give the other leases back, in one trip.

    Returns what the commits expected to find.
    """
    ready: list[tuple[LedKey, Loaded, Ready]] = []
    changes: list[Change] = []
    for at, lead in enumerate(leads):
        if at and not at % STEPS_AT_ONCE:
            yield GiveWay()
        one = result._replace(value=values[lead.name])
        if lead.start is None:
            held.results[lead.flight] = FlightResult(Outcome(one.value, None, sequence))
            continue
        made = make_ready(lead.call, one, lead.start.read, lead.start.read.ids, sequence, env)
        if isinstance(made, Outcome):
            held.results[lead.flight] = FlightResult(made)
            del made  # as in `take_failure`
            continue
        ready.append((lead, one, made))
        notice = notice_of((lead.call.key,), env) if lead.start.is_over_entry else None
        changes.append(
            Change(lead.call.key, lead.start.expected, made.blob, made.worth.ttl_ms, notice)
        )
    # Leases of keys that the loader did not know go back in the same trip, each by its own compare:
    # callers of other processes would wait for them to end.
    filled = {change.expected for change in changes}
    for marker, key in held.markers.items():
        if marker not in filled:
            changes.append(Change(key, marker, marker, RELEASED_MS))
    replies = yield from commit_each(changes, env)
    yield from release_unfilled(changes, replies, held.markers, env)
    # As after a single commit: what this process read before is not to be kept any more.
    env.front.drop([lead.call.key for lead, *_ in ready])
    held.markers.clear()
    now_ms = env.elapsed_ms()
    for at, ((lead, one, made), change, reply) in enumerate(
        zip(ready, changes, replies, strict=False)
    ):
        if at and not at % STEPS_AT_ONCE:
            yield GiveWay()
        is_late = lease.is_late(change.expected, now_ms)
        ended = concluded(lead.call, one, made, reply, sequence, env, is_late=is_late)
        held.results[lead.flight] = FlightResult(ended)
    return filled


def _end_all(held: Held, env: Env) -> Flow[None]:
    """Give back the leases that are left, and land all flights, also if that is interrupted."""
    try:
        yield from release_all(held.markers, env)
    except BaseException:
        yield from _land_all(held)
        raise
    yield from _land_all(held)


def _give_back(held: Held, env: Env) -> Flow[None]:
    """Give back whatever may have been taken, for a caller who was interrupted."""
    held.markers.update(held.sent)
    yield from _end_all(held, env)


def _land_all(held: Held) -> Flow[None]:
    """Land all flights that are led."""
    for at, (flight, result) in enumerate(held.results.items()):
        if at and not at % STEPS_AT_ONCE:
            yield GiveWay()
        yield EndFlight(flight, result)


def take_failure(held: Held) -> list[Outcome]:
    """Return the first outcome of a loader, or of a callable of the policy, that raised, if any.

    In a list, and the other results are forgotten: no frame of a batch keeps one; see `value_of`.
    """
    outcomes = [result.outcome for result in held.results.values() if result.outcome is not None]
    held.results.clear()
    return [outcome for outcome in outcomes if outcome.error is not None][:1]


def mapping_of(value: Any) -> Mapping[str, Any]:
    """Return the result of a loader of many as a dict; raise where it is no mapping."""
    if not hasattr(value, "keys") or not hasattr(value, "__getitem__"):
        raise UsageError(
            f"the loader of get_or_load_many() returned a {type(value).__name__}, not a mapping",
            code="DC158",
            help="return a dict from key to value; keys that do not exist may be left out",
        )
    return dict(value)
