"""One load of several keys and its commits: all that a batch holds, given back however it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from dualcache.core.events import LoadFailed
from dualcache.core.flight import EndFlight, FlightResult, Load, Outcome
from dualcache.core.ops import GiveWay, Raised, do
from dualcache.engine.commit import Change, commit_each
from dualcache.engine.deletion import notice_of
from dualcache.engine.failed_loads import stand_in
from dualcache.engine.lead import Begun, concluded, make_ready, note_begun
from dualcache.engine.leases import RELEASED_MS, release_all, release_unfilled
from dualcache.engine.pipelines import STEPS_AT_ONCE
from dualcache.engine.refresh_lease import pause_all
from dualcache.engine.renewal import begin_lease, keeping
from dualcache.engine.starting import NOTHING, Start, held_by, leave_unstored
from dualcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dualcache.core.flight import Flight
    from dualcache.core.ops import Flow, Loaded
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.lead import Ready
    from dualcache.engine.renewal import Lease

__all__ = [
    "Held",
    "LedKey",
    "end_all",
    "end_unled",
    "give_back",
    "load_led",
    "mapping_of",
    "take_failure",
]


class LedKey(NamedTuple):
    """A key that this caller loads: its flight, and where it starts from (`None`: not stored)."""

    name: str
    call: Call
    flight: Flight
    start: Start | None


class Held(NamedTuple):
    """The flights and leases that this caller gives back, however its load ends.

    `markers` are the leases, each with its key: markers, and the tokens of stale entries' leases.
    `results` says how each flight is to end. `sent` are all that may have arrived: a caller who is
    interrupted gives them back too.
    """

    markers: dict[bytes, str]
    results: dict[Flight, FlightResult]
    sent: dict[bytes, str]


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
        return (yield from _load_failed(leads, result, held, sequence, env))
    values = mapping_of(result.value)
    loaded = [lead for lead in leads if lead.name in values]
    filled = yield from _store_all(loaded, values, result, held, sequence, env, lease)
    for lead in leads:
        # A refresh takes the old entry away also where the new result is not stored.
        start = lead.start
        if start is not None and start.is_refresh and start.expected not in filled:
            yield from leave_unstored(lead.call, start, env)
    return {lead.name: values[lead.name] for lead in loaded}


def _load_failed(
    leads: Sequence[LedKey], result: Raised, held: Held, sequence: int, env: Env
) -> Flow[dict[str, Any]]:
    """End a load that raised; return the stale values that stand in for it.

    Where one of the keys has none, the batch raises; see `take_failure`.
    """
    leads[0].call.policy.counters.load_failures += 1
    label, name = leads[0].call.policy.label, type(result.error).__name__
    env.emit(LoadFailed(label, name, load_ms=result.load_ms))
    values: dict[str, Any] = {}
    failed: list[tuple[Call, Start]] = []
    for lead in leads:
        _end_failed(lead, result, held, sequence, values, failed, env)
    del result  # as in `take_failure`
    yield from pause_all(failed, env)
    return values


def _end_failed(
    lead: LedKey,
    result: Raised,
    held: Held,
    sequence: int,
    values: dict[str, Any],
    failed: list[tuple[Call, Start]],
    env: Env,
) -> None:
    """Decide how the flight of a key ends whose load has failed, and whether a pause begins."""
    start = lead.start
    read = NOTHING if start is None else start.read
    is_beside = start is not None and start.is_beside
    ended = stand_in(lead.call, result, sequence, read, env, is_told=not is_beside)
    if ended.error is None:
        values[lead.name] = ended.value
    # As after a single load: a broken source is asked once in a pause by all processes, and what an
    # answer of it has told to the caller it may tell to the next one.
    if start is not None and start.token and (is_beside or ended.error is None):
        failed.append((lead.call, start))
        del held.markers[start.token]
    held.results[lead.flight] = FlightResult(ended)


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
        one = replace(result, value=values[lead.name])
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


def end_all(held: Held, env: Env) -> Flow[None]:
    """Give back the leases that are left, and land all flights, also if that is interrupted."""
    try:
        yield from release_all(held.markers, env)
    except BaseException:
        yield from _land_all(held)
        raise
    yield from _land_all(held)


def give_back(held: Held, env: Env) -> Flow[None]:
    """Give back whatever may have been taken, for a caller who was interrupted."""
    held.markers.update(held.sent)
    yield from end_all(held, env)


def end_unled(leads: Sequence[LedKey], held: Held) -> Flow[None]:
    """End the flights of keys that are not loaded here, before the load begins."""
    # Their followers need not wait for the load of other keys.
    leading = {lead.flight for lead in leads}
    for flight in [each for each in held.results if each not in leading]:
        yield EndFlight(flight, held.results.pop(flight))


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
