"""The front tier over several nodes, told by hand: what one of them does to all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.redis.push.of_nodes import NodeListeners
from dualcache.engine.coherence import CLOSED
from dualcache.front.of_nodes import FrontOfNodes
from dualcache.front.tracking import Redirect
from tests.fronts import front_by_hand

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def front() -> FrontOfNodes:
    made: FrontOfNodes = front_by_hand(kind=FrontOfNodes)
    made.topology_changed(("n1", "n2"))
    return made


def test_it_opens_with_the_first_node_and_hears_fills_with_the_last(front: FrontOfNodes) -> None:
    assert front.coherence.open_until == CLOSED
    front.at("n1").connected(0.0)
    assert front.coherence.open_until == 5.0
    assert front.mark("k") is None, "it may be on the other node"
    front.at("n2").connected(0.0)
    assert front.mark("k") == 0
    front.at("n2").lost()
    assert (front.mark("k"), front.losses) == (None, 1)


def test_reads_carry_the_number_of_the_stream_whatever_the_transport(front: FrontOfNodes) -> None:
    first, second = front.at("n1"), front.at("n2")
    number = first.connected(0.0, is_tracked=True)
    assert first.tracking.redirect is None, "until the listener has its id"
    assert second.connected(0.0) == number + 1
    assert second.tracking.redirect == Redirect(number + 1, 0)


def test_a_node_without_pushes_bounds_the_life_of_all_copies(front: FrontOfNodes) -> None:
    front.at("n1").connected(0.0, is_tracked=True)
    front.at("n1").chose("tracking", "a push was seen")
    for _ in range(2):
        front.at("n2").open_bounded("ttl", "no rights")
    assert (front.is_bounded, front.transport, front.reason) == (True, "ttl", "n2: no rights")
    assert not front.ask_proof(lambda: None), "of its copies nothing is proved"
    front.at("n2").connected(0.0)
    front.at("n2").chose("broadcast", "a push was seen")
    assert (front.is_bounded, front.transport) == (False, "tracking"), (
        "of the first, as all are well"
    )
    assert [each.is_heard for each in front.heard_nodes()] == [True, True]
    assert front.ask_proof(lambda: None)


def test_a_change_of_topology_voids_what_is_on_its_way(front: FrontOfNodes) -> None:
    number = front.at("n1").connected(0.0)
    ticket = front.coherence.begin_read(["k"])
    front.topology_changed(("n1", "n3"))
    assert not front.coherence.may_install(ticket, (number,))
    assert front.coherence.may_install(front.coherence.begin_read(["k"]), (number,))
    assert [each.node for each in front.heard_nodes()] == ["n1", "n3"]


def test_a_forked_child_hears_no_node(front: FrontOfNodes) -> None:
    front.at("n1").connected(0.0)
    front.after_fork()
    assert not front.coherence.is_up
    assert front.at("n1").tracking.redirect is None
    assert not any(each.is_heard for each in front.heard_nodes())


class Part:
    """Stands for the listener of a node, in a proof: it answers when the test says so."""

    def __init__(self, *, is_heard: bool) -> None:
        self.is_heard = is_heard
        self.wakes: list[Callable[[], None]] = []

    def ask_proof(self, wake: Callable[[], None]) -> bool:
        self.wakes.append(wake)
        return self.is_heard

    def start(self) -> None:
        """It is not started in these tests."""

    def stop(self) -> None:
        """Nor stopped."""


def listeners(front: FrontOfNodes, *parts: Part) -> NodeListeners:
    made = NodeListeners(front, prefix="", transports=(), max_staleness=5.0)
    made._listeners = {f"n{at}": part for at, part in enumerate(parts, 1)}  # type: ignore[misc]
    return made


def test_a_node_that_leaves_bounds_nothing_and_keeps_nothing(front: FrontOfNodes) -> None:
    number = front.at("n2").connected(0.0)
    front.at("n2").lost()
    front.at("n2").open_bounded("ttl", "no rights")
    before = front.is_bounded
    listeners(front, Part(is_heard=True), Part(is_heard=True))._listen(("n1",))
    assert (before, front.is_bounded) == (True, False)
    ticket = front.coherence.begin_read(["k"])
    assert not any(front.coherence.may_install(ticket, (each,)) for each in (number, number + 1))


def test_a_proof_is_that_of_all_nodes_that_are_heard(front: FrontOfNodes) -> None:
    first, away, last = Part(is_heard=True), Part(is_heard=False), Part(is_heard=True)
    woken: list[Any] = []
    assert listeners(front, first, away, last).ask_proof(lambda: woken.append(1))
    # One that could not ask may be woken all the same, at the end of its link.
    for part in (first, away, first):
        part.wakes[0]()
    assert woken == []
    for _ in range(2):
        last.wakes[0]()
    assert woken == [1]


def test_where_no_node_is_heard_there_is_no_proof(front: FrontOfNodes) -> None:
    woken: list[Any] = []
    assert not listeners(front, Part(is_heard=False)).ask_proof(lambda: woken.append(1))
    assert not listeners(front).ask_proof(lambda: woken.append(1))
    assert woken == []
