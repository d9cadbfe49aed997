"""The keys that one caller loads together: their flights, their leases, and how both end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dualcache.core.flight import EndFlight
from dualcache.core.ops import GiveWay
from dualcache.engine.leases import release_all
from dualcache.engine.pipelines import STEPS_AT_ONCE

if TYPE_CHECKING:
    from dualcache.core.flight import Flight, FlightResult, Outcome
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.starting import Start


class LedKey(NamedTuple):
    """A key that this caller loads: its flight, and where it starts from (`None`: not stored)."""

    name: str
    call: Call
    flight: Flight
    start: Start | None


class Held(NamedTuple):
    """What this caller has to give back, however its load ends.

    `markers` are the leases, each with its key; `landings` how each flight is to end. `sent` are
    all markers that may have arrived: a caller who is interrupted gives them back too.
    """

    markers: dict[bytes, str]
    landings: dict[Flight, FlightResult]
    sent: dict[bytes, str]


def end_all(held: Held, env: Env) -> Flow[None]:
    """Give back the leases that are left, and land all flights, also if that is interrupted."""
    try:
        yield from release_all(held.markers, env)
    except BaseException:
        yield from land_all(held)
        raise
    yield from land_all(held)


def give_back(held: Held, env: Env) -> Flow[None]:
    """Give back whatever may have been taken, for a caller who was interrupted."""
    held.markers.update(held.sent)
    yield from end_all(held, env)


def land_all(held: Held) -> Flow[None]:
    """Land all flights that are led."""
    for at, (flight, landing) in enumerate(held.landings.items()):
        if at and not at % STEPS_AT_ONCE:
            yield GiveWay()
        yield EndFlight(flight, landing)


def first_failure(held: Held) -> Outcome | None:
    """Return what the loader, or a callable of the policy, raised: it is the user's own."""
    for landing in held.landings.values():
        if landing.outcome is not None and landing.outcome.error is not None:
            return landing.outcome
    return None
