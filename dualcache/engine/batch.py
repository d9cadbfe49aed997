"""Several keys at once: the same rules as for one, in as few trips as can be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.core.entry import HEADER_BYTES, MISSING
from dualcache.core.flight import ABANDONED, Flight, Landing, Outcome
from dualcache.core.ops import Batch, Join, Land, Load, LookAndLease, Raised
from dualcache.engine.commit import lease_ms, new_filling
from dualcache.engine.freshness import Sight, State
from dualcache.engine.load import Start, get_or_load, give_up, store
from dualcache.engine.read import count_hit, count_miss, examine, look_many
from dualcache.engine.recovery import ask_once
from dualcache.engine.tags import entry_life_ms, new_tags, tag_life_ms
from dualcache.engine.write import set_value
from dualcache.errors import BackendError, BackendUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env


class Lead(NamedTuple):
    """A key that this caller loads: its flight, and what the commit will compare with."""

    name: str
    call: Call
    flight: Flight
    start: Start


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
    try:
        sights = yield from look_many([calls[name] for name in names], env)
    except BackendError:
        sights = []
    found: dict[str, Any] = {}
    missing: dict[str, Sight | None] = {}
    for name, sight in zip(names, sights or [None] * len(names), strict=True):
        if sight is not None and sight.state is State.FRESH:
            count_hit(calls[name], env)
            found[name] = sight.value
        else:
            missing[name] = sight
    flights = yield from join_all(calls, missing, began, env)
    leads = yield from lease_all(calls, flights, env, is_down=not sights)
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
        flight = yield ask
        if isinstance(flight, Flight) and flight.leader is ask:
            led[name] = flight
    return led


def lease_all(
    calls: Mapping[str, Call], flights: Mapping[str, Flight], env: Env, *, is_down: bool
) -> Flow[list[Lead]]:
    """Lease all led keys in one trip; give up the flights of those that another process holds."""
    try:
        starts = yield from take_leases([calls[name] for name in flights], env, is_down=is_down)
    except BaseException:
        for flight in flights.values():
            yield Land(flight, ABANDONED)
        raise
    leads = []
    for (name, flight), start in zip(flights.items(), starts, strict=True):
        if start is None:
            yield Land(flight, ABANDONED)
        else:
            leads.append(Lead(name, calls[name], flight, start))
    return leads


def take_leases(calls: Sequence[Call], env: Env, *, is_down: bool) -> Flow[list[Start | None]]:
    """Return where each load starts from: a lease, nothing (the backend fails), or not at all."""
    nowhere: list[Start | None] = [Start(None, None)] * len(calls)
    if is_down or not calls:
        return nowhere
    for is_last in (False, True):
        fillings = [new_filling(call, env) for call in calls]
        ops = tuple(
            LookAndLease(
                call.key,
                filling,
                lease_ms(call.policy.usage),
                new_tags(call.tags, tag_life_ms(entry_life_ms(call.policy)), env),
            )
            for call, filling in zip(calls, fillings, strict=True)
        )
        tick = env.tick()
        try:
            replies = yield from ask_once(Batch(ops), env)
        except BackendUnavailable as error:
            if is_last or not error.was_connected:
                return nowhere
        except BackendError:
            return nowhere
        else:
            break
    starts: list[Start | None] = []
    for call, filling, seen in zip(calls, fillings, replies, strict=True):
        is_ours = seen.raw == filling
        sight = (yield from examine(call, seen, tick, env)) if is_ours else None
        starts.append(Start(sight, filling) if is_ours else None)
    return starts


def load_all(leads: Sequence[Lead], loader: Callable[..., Any], env: Env) -> Flow[dict[str, Any]]:
    """Call the loader once for all led keys; store what it returns and land the flights."""
    if not leads:
        return {}
    tick = env.tick()
    for lead in leads:
        sight, expected = lead.start
        if sight is not None and expected is not None:
            lead.flight.basis = (expected[:HEADER_BYTES], tuple(sight.ids.items()))
        lead.flight.load_tick = tick
    landings: dict[Flight, Landing] = {lead.flight: ABANDONED for lead in leads}
    try:
        result = yield Load(
            loader, ([lead.name for lead in leads],), tuple(lead.flight for lead in leads)
        )
        if isinstance(result, Raised):
            landings = {lead.flight: Landing(Outcome(None, result.error, tick)) for lead in leads}
            raise result.error
        values = mapping_of(result.value)
        for lead in leads:
            if lead.name in values:
                one = result._replace(value=values[lead.name])
                outcome = yield from store_one(lead, one, tick, env)
                landings[lead.flight] = Landing(outcome)
    except BaseException:
        for lead in leads:
            yield from give_back(lead, env)
            yield Land(lead.flight, landings[lead.flight])
        raise
    for lead in leads:
        if lead.name not in values:
            yield from give_back(lead, env)
        yield Land(lead.flight, landings[lead.flight])
    return {lead.name: values[lead.name] for lead in leads if lead.name in values}


def store_one(lead: Lead, result: Any, tick: int, env: Env) -> Flow[Outcome]:
    """Commit one loaded value, where a lease was got for it."""
    sight = lead.start.sight
    if sight is None:
        return Outcome(result.value, None, tick)
    return (yield from store(lead.call, lead.start, result, sight.ids, tick, env))


def give_back(lead: Lead, env: Env) -> Flow[None]:
    """Give a lease back, where one was got."""
    if lead.start.expected is not None:
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
    outcome = yield from get_or_load(call._replace(function=function, policy=policy), env)
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


def is_there(value: object) -> bool:
    """Tell whether a loader knew the key."""
    return value is not MISSING
