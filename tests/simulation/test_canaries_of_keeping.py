"""Each rule of what the front tier keeps taken out: the search must find what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.engine.coherence import Coherence
from dualcache.front.of_function import FunctionFront
from dualcache.front.tier import Front
from tests.simulation.listening import Link, Listening
from tests.simulation.process import Process
from tests.simulation.scenarios import deletes_key, deletes_tag, gets
from tests.simulation.searching import STALE, TRANSPORTS, breaks, two_tiers
from tests.simulation.values import KEY, TAG

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest


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


def test_a_link_that_is_open_before_its_pushes_are_on_misses_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The order is: pushes on, empty, open."""

    def open_first(self: Listening) -> None:
        link = self.link = Link(self.process, self.transport, self.process.connect(is_data=False))
        use: Any = self.listener._use
        use(link, self.process.world.now)
        link.protocol.expect(lambda _: None)
        link.send(("CLIENT", "TRACKING", "ON", "BCAST"))

    monkeypatch.setattr(Listening, "open", open_first)
    breaks(two_tiers({"A.r1": gets()}, {"B.w1": deletes_key}, "broadcast"), STALE)


def test_a_read_that_was_sent_before_its_connection_was_tracked_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The order is: tracked for this stream, read."""

    def unswitched(self: Process, _: Any, tracked: Any) -> None:
        redirect = self.redirect_at("")
        if redirect is not None:
            tracked.push_epoch = redirect.push_epoch

    monkeypatch.setattr(Process, "must_switch", unswitched)
    breaks(two_tiers({"A.r1": gets()}, {"B.w1": deletes_key}, "tracking"), STALE)
