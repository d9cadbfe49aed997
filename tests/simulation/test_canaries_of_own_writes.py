"""Each rule by which a process reads its own writes, or by a fence those of others, taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.core.flight import CloseFlights
from dualcache.drivers.flights import FlightTable
from dualcache.engine.coherence import Coherence
from dualcache.front.tier import Front
from tests.simulation import flows
from tests.simulation.scenarios import cast, deletes_key, fences, gets, loads
from tests.simulation.searching import STALE, breaks, holds, two_tiers

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from dualcache.core.flight import Join
    from dualcache.core.ops import Flow
    from tests.simulation.actor import Actor
    from tests.simulation.scenario import Scenario
    from tests.simulation.world import World


def test_without_the_local_drop_after_the_trip_a_process_reads_what_it_invalidated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_drop(monkeypatch, before=False, after=True)
    breaks(own_write(), STALE)


def test_the_local_drop_before_the_trip_alone_is_covered_by_the_one_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the trip it only shortens the time in which the old copy is served.

    Nobody is promised the new value before `invalidate` returns, and by then it has been dropped
    again. So without the first drop no rule breaks; without both, as without the second, one does.
    """
    without_drop(monkeypatch, before=True, after=False)
    holds(own_write())
    without_drop(monkeypatch, before=True, after=True)
    breaks(own_write(), STALE)


def without_drop(monkeypatch: pytest.MonkeyPatch, *, before: bool, after: bool) -> None:
    drop = Front.drop

    def dropping(self: Any, names: Iterable[str]) -> None:
        actor = self.process.world.current
        is_own = actor.role.is_writer and actor.flow is not None and actor.flow.gi_running
        is_first = actor.op is None
        if is_own and (before if is_first else after):
            return
        drop(self, names)

    monkeypatch.undo()
    monkeypatch.setattr(Front, "drop", dropping)


def own_write() -> Scenario:
    return two_tiers(
        {"A.r1": gets(), "A.r2": gets()}, {"A.w1": deletes_key}, "broadcast", is_kept=True
    )


def test_a_drop_of_the_copy_alone_lets_a_read_under_way_bring_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Coherence, "feed", lambda *_: None)
    breaks(own_write(), STALE)


def test_closing_flights_before_the_trip_alone_leaves_it_to_their_age(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A flight may open during the trip, on a value that is about to be deleted.

    Whoever begins after the trip finds it closed, or else refuses what is older than himself:
    either rule is enough in the process that invalidates, none of them is not.
    """
    close, join = FlightTable.close, flows.join

    def closes_early(world: World, actor: Actor) -> Flow[Any]:
        close(actor.process.flights, CloseFlights(None))
        return (yield from deletes_key(world, actor))

    def ageless(world: World, actor: Actor, op: Join) -> Any:
        op.began = -1
        return join(world, actor, op)

    reader = loads(is_cold=True)
    readers = {"A.r1": reader, "A.r2": reader}
    monkeypatch.setattr(FlightTable, "close", lambda *_: None)
    holds(cast(readers, {"A.w1": closes_early}, is_stored=True))
    monkeypatch.setattr(flows, "join", ageless)
    breaks(cast(readers, {"A.w1": closes_early}, is_stored=True), STALE)
    monkeypatch.setattr(FlightTable, "close", close)
    holds(cast(readers, {"A.w1": deletes_key}, is_stored=True))


def test_a_fence_that_does_not_wait_promises_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "fence", lambda *_: (False, True))
    breaks(fenced(), STALE)


def test_a_fence_waits_for_what_others_had_acknowledged() -> None:
    holds(fenced())


def fenced() -> Scenario:
    return two_tiers(
        {"A.r1": gets(), "A.f2": fences}, {"B.w1": deletes_key}, "broadcast", is_kept=True
    )
