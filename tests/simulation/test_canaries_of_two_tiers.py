"""Each rule of the front tier taken out: the search must find what goes wrong without it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.ops import CloseFlights
from dualcache.drivers.flights import FlightTable
from dualcache.drivers.push_protocol import PushProtocol
from dualcache.engine import read
from dualcache.engine.coherence import Coherence
from dualcache.fronting import Front, Gate
from dualcache.function_front import FunctionFront
from tests.simulation import flows
from tests.simulation.explorer import explore
from tests.simulation.listening import Link, Listening
from tests.simulation.process import Process
from tests.simulation.scenarios import cast, deletes_key, deletes_tag, fences, gets, loads
from tests.simulation.test_canaries import breaks
from tests.simulation.values import KEY, TAG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualcache.core.ops import Flow, Join
    from tests.simulation.actor import Actor
    from tests.simulation.scenario import Scenario
    from tests.simulation.world import World

STALE = "acknowledged"
TRANSPORTS = pytest.mark.parametrize("transport", ["broadcast", "tracking"])


def two_tiers(
    readers: dict[str, Any], writers: dict[str, Any], transport: str, **options: Any
) -> Scenario:
    """Make a scenario whose entry lies in Redis, with a tag if a writer deletes that."""
    tags = (TAG,) if deletes_tag in writers.values() else ()
    return cast(readers, writers, transport=transport, is_stored=True, tags=tags, **options)


def holds(scenario: Scenario) -> None:
    found = explore(scenario)
    assert not found.violation, found.story
    assert found.is_complete


# Tickets


@TRANSPORTS
def test_without_the_ticket_what_a_push_overtook_is_kept(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setattr(Coherence, "may_install", lambda self, *_: self.is_up)
    breaks(two_tiers({"A.r1": gets()}, {"B.w1": deletes_key}, transport), STALE)


@TRANSPORTS
def test_a_ticket_that_is_taken_at_installation_comes_too_late(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    install = FunctionFront.install

    def late(self: FunctionFront, call: Any, value: Any, found: Any) -> None:
        tickets = [
            self.begin_read([name for name, _ in each.ticket.marks]) for each in found.tickets
        ]
        install(self, call, value, found._replace(tickets=tickets))

    monkeypatch.setattr(FunctionFront, "install", late)
    breaks(two_tiers({"A.r1": gets()}, {"B.w1": deletes_key}, transport), STALE)


@TRANSPORTS
def test_a_ticket_that_is_taken_after_the_read_was_sent_comes_too_late(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    feed = Front.feed

    def retaken(self: Any, names: Iterable[str] | None) -> None:
        feed(self, names)
        machine = self.coherence
        for actor in self.process.world.actors.values():
            for begun in actor.tickets if actor.process is self.process else ():
                again = machine.begin_read([name for name, _ in begun.ticket.marks])
                begun.ticket.marks[:] = again.marks

    begin_read = Coherence.begin_read

    def changeable(self: Coherence, names: Iterable[str]) -> Any:
        ticket: Any = begin_read(self, names)
        return ticket._replace(marks=list(ticket.marks))

    monkeypatch.setattr(Coherence, "begin_read", changeable)
    monkeypatch.setattr(Front, "feed", retaken)
    breaks(two_tiers({"A.r1": gets()}, {"B.w1": deletes_key}, transport), STALE)


@TRANSPORTS
def test_without_the_tags_tickets_an_entry_whose_tag_has_died_is_kept(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    begin_read = FunctionFront.begin_read

    def of_the_key(self: FunctionFront, names: Iterable[str]) -> Any:
        return begin_read(self, [name for name in names if name == KEY])

    monkeypatch.setattr(FunctionFront, "begin_read", of_the_key)
    breaks(two_tiers({"A.r1": gets((TAG,))}, {"B.w1": deletes_tag}, transport), STALE)


@TRANSPORTS
def test_tags_that_only_the_entry_names_need_tickets_as_well(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    begin_read = FunctionFront.begin_read

    def of_the_key(self: FunctionFront, names: Iterable[str]) -> Any:
        return begin_read(self, [name for name in names if name == KEY])

    monkeypatch.setattr(FunctionFront, "begin_read", of_the_key)
    breaks(two_tiers({"A.r1": gets()}, {"B.w1": deletes_tag}, transport), STALE)


def test_without_the_epoch_what_was_read_before_a_loss_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Coherence, "epoch", property(lambda _: 0, lambda *_: None), raising=False)
    breaks(
        two_tiers(
            {"A.r1": gets()},
            {"B.w1": deletes_key},
            "broadcast",
            troubles=frozenset({"end of link"}),
            faults=1,
        ),
        STALE,
    )


# Losses


@TRANSPORTS
def test_without_the_flush_on_loss_copies_outlive_what_nobody_heard(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """The tier is emptied when a stream is lost and when one begins: either is enough, not none."""
    monkeypatch.setattr(Front, "_empty", lambda _: None)
    breaks(link_ends(transport), STALE)


@pytest.mark.parametrize("which", ["lost", "connected"])
def test_one_flush_of_the_two_is_enough(monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    empty, change = Front._empty, getattr(Front, which)

    def without_flush(self: Front, *args: Any, **options: Any) -> Any:
        monkeypatch.setattr(Front, "_empty", lambda _: None)
        try:
            return change(self, *args, **options)
        finally:
            monkeypatch.setattr(Front, "_empty", empty)

    monkeypatch.setattr(Front, which, without_flush)
    holds(link_ends("broadcast"))


def link_ends(transport: str) -> Scenario:
    return two_tiers(
        {"A.r1": gets()},
        {"B.w1": deletes_key},
        transport,
        is_kept=True,
        troubles=frozenset({"end of link"}),
        faults=1,
    )


def test_a_null_push_that_is_not_taken_for_all_keys_leaves_copies_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = Front.feed

    def only_names(self: Front, names: Iterable[str] | None) -> None:
        feed(self, names or [])

    monkeypatch.setattr(Front, "feed", only_names)
    scenario = two_tiers(
        {"A.r1": loads()},
        {"B.w1": deletes_key},
        "broadcast",
        is_kept=True,
        troubles=frozenset({"flush"}),
        faults=1,
    )
    breaks(scenario, STALE)


def test_a_data_connection_that_ends_unnoticed_takes_along_what_the_server_knew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Front, "broken", lambda _: None)
    breaks(connection_ends(), STALE)


def test_without_the_question_who_lives_an_idle_end_is_never_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PushProtocol, "_listed", lambda *_: None)
    breaks(connection_ends(), STALE)


def connection_ends() -> Scenario:
    return two_tiers(
        {"A.r1": gets()},
        {"B.w1": deletes_key},
        "tracking",
        is_kept=True,
        troubles=frozenset({"reap"}),
        faults=1,
    )


def test_a_link_that_is_open_before_its_pushes_are_on_misses_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The order is: pushes on, empty, open."""

    def open_first(self: Listening) -> None:
        link = self.link = Link(self.process, self.process.connect(is_data=False))
        use: Any = self.listener._use
        use(link, self.transport, self.process.world.now)
        link.protocol.expect(lambda _: None)
        link.send(("CLIENT", "TRACKING", "ON", "BCAST"))

    monkeypatch.setattr(Listening, "open", open_first)
    breaks(two_tiers({"A.r1": gets()}, {"B.w1": deletes_key}, "broadcast"), STALE)


def test_a_read_that_was_sent_before_its_connection_was_tracked_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The order is: tracked for this stream, read."""

    def unswitched(self: Process, _: Any, lane: Any) -> None:
        redirect = None if self.listening is None else self.tracking.redirect
        if redirect is not None:
            lane.stream = redirect.stream

    monkeypatch.setattr(Process, "must_switch", unswitched)
    breaks(two_tiers({"A.r1": gets()}, {"B.w1": deletes_key}, "tracking"), STALE)


# The bound on staleness


@TRANSPORTS
def test_without_the_horizon_a_dead_link_keeps_the_tier_open(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setattr(
        Coherence, "open_until", property(horizonless, lambda *_: None), raising=False
    )
    breaks(link_falls_silent(transport), STALE)


def test_without_the_gate_a_compiled_wrapper_serves_while_the_link_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A loss empties the tier and closes the gate: the copies that are gone need no gate."""
    monkeypatch.setattr(
        Gate, "set", lambda self, **_: setattr(self.clock, "cell_contents", self._now)
    )
    holds(link_ends("broadcast"))
    monkeypatch.setattr(Front, "_empty", lambda _: None)
    breaks(link_ends("broadcast"), STALE)


def horizonless(self: Coherence) -> float:
    return inf if self.is_up else -inf


@TRANSPORTS
def test_a_horizon_counted_from_the_answer_is_too_late(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    proved = Front.proved

    def at_the_answer(self: Front, _: float) -> None:
        proved(self, self.now())

    monkeypatch.setattr(Front, "proved", at_the_answer)
    breaks(link_falls_silent(transport, beats=1), STALE)


def link_falls_silent(transport: str, **options: Any) -> Scenario:
    return two_tiers(
        {"A.r1": gets()},
        {"B.w1": deletes_key},
        transport,
        is_kept=True,
        troubles=frozenset({"silence"}),
        faults=1,
        jumps=1,
        shaky="A",
        **options,
    )


@TRANSPORTS
def test_without_the_bound_of_its_life_a_copy_outlives_its_entry(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setattr(read, "keepable_ms", lambda *_: None)
    scenario = two_tiers(
        {"A.r1": gets()}, {}, transport, is_kept=True, jumps=1, ttl_ms=3_000, max_staleness=60.0
    )
    breaks(scenario, "outlived")


# This process's own writes


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


# Fences


def test_a_fence_that_does_not_wait_promises_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "fence", lambda *_: (False, True))
    breaks(fenced(), STALE)


def test_a_fence_waits_for_what_others_had_acknowledged() -> None:
    holds(fenced())


def fenced() -> Scenario:
    return two_tiers(
        {"A.r1": gets(), "A.f2": fences}, {"B.w1": deletes_key}, "broadcast", is_kept=True
    )
