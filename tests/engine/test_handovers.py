"""Whose word counts where a slot goes to another node."""

from __future__ import annotations

import pytest

from dualcache.core.slots import SLOTS
from dualcache.engine.acknowledged import AcknowledgedByNodes
from dualcache.engine.handovers import Handovers
from dualcache.engine.health import Health, PendingDeletion
from dualcache.engine.nodes import UNKNOWN_NODE, Nodes

A, B, C, NEW = "a:1", "b:2", "c:3", "n:4"
BEFORE, AFTER = (A, B, C), (B, B, C)


class Believer:
    """What one process believes, with a clock by hand."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.handovers = Handovers(5.0, lambda: self.now_ms)

    def told(self, teller: str, told: tuple[str, ...] = AFTER, failed: str = "") -> bool:
        """Tell whether all of what a node tells is believed."""
        sure = frozenset((UNKNOWN_NODE, failed))
        found = self.handovers.believed(BEFORE, told, teller, sure)
        assert found in {told, BEFORE}
        return found is told


@pytest.fixture
def believer() -> Believer:
    return Believer()


@pytest.mark.parametrize("teller", [B, C, NEW])
def test_others_are_not_believed_before_the_loser_knows(believer: Believer, teller: str) -> None:
    assert not believer.told(teller)
    assert believer.told(A)


def test_a_node_that_does_not_answer_may_lose_its_slots_by_any_word(believer: Believer) -> None:
    assert believer.told(B, failed=A)


def test_a_slot_that_nobody_had_is_anybodys(believer: Believer) -> None:
    unknown = (UNKNOWN_NODE,) * 3
    assert believer.handovers.believed(unknown, AFTER, C, frozenset((UNKNOWN_NODE,))) is AFTER


def test_what_is_told_of_other_nodes_is_believed_beside(believer: Believer) -> None:
    told = (B, B, A)  # C tells of its own loss, and of one of A
    assert believer.handovers.believed(BEFORE, told, C, frozenset()) == (A, B, A)


def test_others_are_believed_where_the_loser_says_nothing_for_long(believer: Believer) -> None:
    assert not believer.told(B)
    believer.now_ms = 4_999
    assert not believer.told(B)
    assert not believer.told(C), "each has to tell it for so long"
    believer.now_ms = 5_000
    assert believer.told(B)


def test_a_loser_that_answers_has_all_the_time(believer: Believer) -> None:
    assert not believer.told(B)
    assert believer.told(A, BEFORE)
    believer.now_ms = 5_000
    assert not believer.told(B)


def test_a_teller_that_was_behind_begins_anew(believer: Believer) -> None:
    assert not believer.told(B)
    assert believer.told(B, BEFORE)
    believer.now_ms = 5_000
    assert not believer.told(B)


def test_a_node_that_is_said_to_have_slots_is_searched_as_well() -> None:
    """Its keys are at the old node or at the new one, and nobody can tell where yet."""
    nodes = Nodes(Health(), AcknowledgedByNodes(5.0, int), Handovers(5.0, int))
    slots = (A,) * (SLOTS - 1) + (B,)
    assert nodes.believe(slots, A)
    told = (NEW, *slots[1:])
    assert nodes.believe(told, B)
    assert (nodes.slots, nodes.names) == (slots, (A, B, NEW))
    assert not nodes.believe(told, B)
    deletion = PendingDeletion((), ("x*",))
    assert set(nodes.parts_of(deletion)) == {A, B, NEW}
    assert nodes.believe(told, A)
    assert nodes.slots == told


def test_a_node_is_not_searched_any_more_when_nobody_says_that_it_has_slots() -> None:
    nodes = Nodes(Health(), AcknowledgedByNodes(5.0, int), Handovers(5.0, int))
    slots = (A,) * (SLOTS - 1) + (B,)
    nodes.believe(slots, A)
    nodes.believe((NEW, *slots[1:]), B)
    assert nodes.believe(slots, A)
    assert nodes.names == (A, B)
    assert not nodes.believe(slots, B)
