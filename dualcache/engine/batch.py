"""Several keys at once: the same rules as for one, in as few trips as can be."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from dualcache.core.entry import HEADER_BYTES, MISSING
from dualcache.core.flight import ABANDONED, Flight, Landing, Outcome
from dualcache.core.ops import Batch, Join, Land, Load, LookAndLease, Raised, do
from dualcache.engine.acquire import NOTHING, Start, claimed, give_up
from dualcache.engine.commit import Leased, lease_ms, new_filling, release
from dualcache.engine.freshness import Sight, State
from dualcache.engine.lead import store
from dualcache.engine.load import get_or_load
from dualcache.engine.read import count_hit, count_miss, examine, look_many
from dualcache.engine.recovery import ask_once, note_refusal, twice
from dualcache.engine.tags import entry_life_ms, new_tags, tag_life_ms
from dualcache.engine.write import set_value
from dualcache.errors import BackendError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env

    Wanted = tuple[Call, Flight]


class Lead(NamedTuple):
    """A key that this caller loads: its flight, and where it starts from (`None`: not stored)."""

    name: str
    call: Call
    flight: Flight
    start: Start | None


def set_many(calls: Sequence[Call], values: Sequence[Any], env: Env) -> Flow[None]:
    """Store several values, each as `set_value` does."""
    for call, value in zip(calls, values, strict=True):
        yield from set_value(call, value, env)


def get_or_load_many(
    calls: Mapping[str, Call],
    loader: Callable[..., Any],
    one_of: Callable[[str], Callable[[], Any]],
    env: Env,
) -> Flow[dict[str, Any]]:
    """Serve what is fresh and load the rest: what nobody else is loading in one call of `loader`.

    Keys that another caller is loading are waited for afterwards, so that no two callers wait for
    each other. `one_of(name)` gives the function that loads a single one of those; it returns
    MISSING for a key that the loader does not know.
    """
    began = env.tick()
    names = list(calls)
    sights: list[Sight | None]
    is_down = False
    try:
        sights = list((yield from look_many([calls[name] for name in names], env)))
    except BackendError:
        sights = [None] * len(names)
        is_down = True
    found: dict[str, Any] = {}
    missing: dict[str, Sight | None] = {}
    for name, sight in zip(names, sights, strict=True):
        if sight is not None and sight.state is State.FRESH:
            count_hit(calls[name], env)
            found[name] = sight.value
        else:
            missing[name] = sight
    flights = yield from join_all(calls, missing, began, env)
    leads = yield from lease_all(calls, flights, env, is_down=is_down)
    loaded = yield from load_all(leads, loader, env)
    found.update(loaded)
    for name in missing:
        if name not in loaded and name not in {lead.name for lead in leads}:
            value = yield from load_one(calls[name], one_of(name), env)
            if value is not MISSING:
                found[name] = value
    return {name: found[name] for name in names if name in found}


def join_all(
    calls: Mapping[str, Call], missing: Mapping[str, Sight | None], began: int, env: Env
) -> Flow[dict[str, Flight]]:
    """Lead the flight of each missing key that nobody leads."""
    led: dict[str, Flight] = {}
    for name, sight in missing.items():
        call = calls[name]
        count_miss(call, sight.state.value if sight else "backend_down", env)
        ask = Join(call.key, began, sight.basis if sight else None, has_looked=True, tags=call.tags)
        flight = yield from do(ask)
        if isinstance(flight, Flight) and flight.leader is ask:
            led[name] = flight
    return led


def lease_all(
    calls: Mapping[str, Call], flights: Mapping[str, Flight], env: Env, *, is_down: bool
) -> Flow[list[Lead]]:
    """Lease all led keys in one trip; give up the flights of those that another process holds."""
    wanted = [(calls[name], flight) for name, flight in flights.items()]
    starts: list[Start | Sight | None] = [NOTHING] * len(wanted)
    try:
        if wanted and not is_down:
            leased = yield from twice(lambda: send_leases(wanted, env))
            starts = yield from settle_leases(wanted, leased, env)
    except BackendError:
        starts = [NOTHING] * len(wanted)
    except BaseException:
        for flight in flights.values():
            yield Land(flight, ABANDONED)
        raise
    leads = []
    for (name, flight), start in zip(flights.items(), starts, strict=True):
        if isinstance(start, Start) or start is NOTHING:
            over = start if isinstance(start, Start) else None
            leads.append(Lead(name, calls[name], flight, over))
        else:
            yield Land(flight, ABANDONED)
    return leads


def send_leases(wanted: Sequence[Wanted], env: Env) -> Flow[list[Leased]]:
    """Send new markers once; return what was found behind each."""
    fillings = [new_filling(call, env) for call, _ in wanted]
    ops = tuple(
        LookAndLease(
            call.key,
            filling,
            lease_ms(call.policy.usage),
            new_tags(call.tags, tag_life_ms(entry_life_ms(call.policy)), env),
        )
        for (call, _), filling in zip(wanted, fillings, strict=True)
    )
    tick = env.tick()
    try:
        replies = yield from ask_once(Batch(ops), env)
    except BackendError:
        raise
    except BaseException:  # they may be there though the reply was never seen
        for (call, _), filling in zip(wanted, fillings, strict=True):
            yield from release(call, filling, env)
        raise
    return [Leased(filling, tick, seen) for filling, seen in zip(fillings, replies, strict=True)]


def settle_leases(
    wanted: Sequence[Wanted], leased: Sequence[Leased], env: Env
) -> Flow[list[Start | Sight | None]]:
    """Return where each load starts from, as `claimed` does; an interrupted caller gives all up."""
    starts: list[Start | Sight | None] = []
    try:
        for (call, flight), each in zip(wanted, leased, strict=True):
            starts.append((yield from settle_lease(call, flight, each, env)))
    except BaseException:
        for (call, _), each, start in zip_longest(wanted, leased, starts):
            taken = start.expected if isinstance(start, Start) else each.filling
            yield from release(call, taken, env)
        raise
    return starts


def settle_lease(
    call: Call, flight: Flight, leased: Leased, env: Env
) -> Flow[Start | Sight | None]:
    """Return where the load of one key starts from; `NOTHING` where it may not be stored."""
    if leased.seen.refusal:
        note_refusal(leased.seen.refusal, env)
    try:
        sight = yield from examine(call, leased.seen, leased.tick, env)
        if sight.state is State.STALE:  # loaded by itself: it stands in for a load that fails
            return None
        return (yield from claimed(call, flight, leased, sight, env))
    except BackendError:
        return NOTHING


def load_all(leads: Sequence[Lead], loader: Callable[..., Any], env: Env) -> Flow[dict[str, Any]]:
    """Call the loader once for all led keys; store what it returns and land the flights."""
    if not leads:
        return {}
    tick = env.tick()
    for lead in leads:
        if lead.start is not None:
            sight, expected = lead.start.sight, lead.start.expected
            lead.flight.basis = (expected[:HEADER_BYTES], tuple(sight.ids.items()))
        lead.flight.load_tick = tick
    landings = dict.fromkeys((lead.flight for lead in leads), ABANDONED)
    try:
        values = yield from load_and_store(leads, loader, landings, tick, env)
    except BaseException:
        yield from end_all(leads, landings, (), env)
        raise
    yield from end_all(leads, landings, values, env)
    return {lead.name: values[lead.name] for lead in leads if lead.name in values}


def load_and_store(
    leads: Sequence[Lead],
    loader: Callable[..., Any],
    landings: dict[Flight, Landing],
    tick: int,
    env: Env,
) -> Flow[Mapping[str, Any]]:
    """Load all and store each; note in `landings` how each flight is to end."""
    flights = tuple(lead.flight for lead in leads)
    result = yield from do(Load(loader, ([lead.name for lead in leads],), flights))
    if isinstance(result, Raised):
        landings.update(dict.fromkeys(flights, Landing(Outcome(None, result.error, tick))))
        raise result.error
    values = mapping_of(result.value)
    for lead in leads:
        if lead.name in values:
            one = result._replace(value=values[lead.name])
            outcome = yield from store_one(lead, one, tick, env)
            landings[lead.flight] = Landing(outcome)
    return values


def end_all(
    leads: Sequence[Lead], landings: Mapping[Flight, Landing], stored: Container[str], env: Env
) -> Flow[None]:
    """Give back the leases of keys that were not stored, and land all flights."""
    for lead in leads:
        if lead.name not in stored:
            yield from give_back(lead, env)
        yield Land(lead.flight, landings[lead.flight])


def store_one(lead: Lead, result: Any, tick: int, env: Env) -> Flow[Outcome]:
    """Commit one loaded value, where a lease was got for it."""
    if lead.start is None:
        return Outcome(result.value, None, tick)
    return (yield from store(lead.call, lead.start, result, lead.start.sight.ids, tick, env))


def give_back(lead: Lead, env: Env) -> Flow[None]:
    """Give a lease back, where one was got."""
    if lead.start is not None:
        yield from give_up(lead.call, lead.start, env)


def mapping_of(value: Any) -> Mapping[str, Any]:
    """Return what a loader of many returned, which must be a mapping."""
    if not hasattr(value, "keys") or not hasattr(value, "__getitem__"):
        raise UsageError(
            f"the loader of get_or_load_many() returned a {type(value).__name__}, not a mapping",
            code="DC158",
            help="return a dict from key to value; keys that do not exist may be left out",
        )
    return dict(value)


def load_one(call: Call, function: Callable[[], Any], env: Env) -> Flow[Any]:
    """Serve or load one key that another caller was loading; MISSING where there is none."""
    policy = replace(call.policy, condition=is_there)
    outcome = yield from get_or_load(replace(call, function=function, policy=policy), env)
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


def is_there(value: object) -> bool:
    """Tell whether a loader knew the key."""
    return value is not MISSING
