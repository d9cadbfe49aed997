"""A stream of pushes from each node of a cluster: what of which may be kept, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dualcache.engine.coherence import CLOSED
from dualcache.engine.coherence_of_nodes import NodesCoherence

if TYPE_CHECKING:
    from dualcache.core.front_ports import PushEpoch


@pytest.fixture
def machine() -> NodesCoherence:
    return NodesCoherence(5.0)


def test_what_was_read_at_nodes_that_are_heard_may_be_kept(machine: NodesCoherence) -> None:
    first, second = machine.node_connected(100.0), machine.node_connected(101.0)
    ticket = machine.begin_read(["a", "b"])
    assert all(machine.may_install(ticket, each) for each in (first, (first,), (first, second)))
    machine.feed(["b"])
    assert not machine.may_install(ticket, (first,))


def test_the_stream_of_one_node_says_nothing_of_another(machine: NodesCoherence) -> None:
    heard = machine.node_connected(100.0)
    ticket = machine.begin_read(["a"])
    unheard: list[PushEpoch] = [(heard + 1,), (heard, heard + 1), 0, None, heard + 1]
    assert not any(machine.may_install(ticket, each) for each in unheard)


def test_a_loss_of_one_node_voids_all_that_was_read_and_the_others_go_on(
    machine: NodesCoherence,
) -> None:
    lost, other = machine.node_connected(100.0), machine.node_connected(100.0)
    before = machine.begin_read(["a"])
    assert machine.node_lost(lost)
    assert not machine.may_install(before, (other,))
    after = machine.begin_read(["a"])
    assert machine.may_install(after, (other,))
    assert not machine.may_install(after, (lost,))
    assert (machine.is_up, machine.is_node_up(lost), machine.is_node_up(other)) == (
        True,
        False,
        True,
    )
    assert not machine.node_lost(lost), "it was lost already"


def test_a_node_that_comes_back_has_another_number(machine: NodesCoherence) -> None:
    lost, other = machine.node_connected(100.0), machine.node_connected(100.0)
    machine.node_lost(lost)
    ticket = machine.begin_read(["a"])
    again = machine.node_connected(101.0)
    assert again not in {lost, other}
    # What was read elsewhere does not depend on it; what was read at it before has the old number.
    assert machine.may_install(ticket, (other,))
    assert not machine.may_install(ticket, (lost,))


def test_the_tier_is_open_until_the_first_of_its_streams_has_to_be_proved(
    machine: NodesCoherence,
) -> None:
    assert machine.open_until == CLOSED
    first, second = machine.node_connected(100.0), machine.node_connected(102.0)
    assert machine.open_until == 105.0
    machine.node_proved(first, 110.0)
    assert machine.open_until == 107.0
    machine.node_proved(second, 101.0)
    assert machine.open_until == 107.0
    machine.node_lost(second)
    assert machine.open_until == 115.0


def test_a_proof_of_a_stream_that_is_lost_opens_nothing(machine: NodesCoherence) -> None:
    lost = machine.node_connected(100.0)
    machine.node_lost(lost)
    machine.node_proved(lost, 103.0)
    assert (machine.is_up, machine.open_until) == (False, CLOSED)


def test_a_loss_of_everything_closes_all_streams(machine: NodesCoherence) -> None:
    first = machine.node_connected(100.0)
    ticket = machine.begin_read(["a"])
    machine.lost()
    assert (machine.is_up, machine.open_until) == (False, CLOSED)
    machine.node_connected(101.0)
    assert not machine.may_install(ticket, (first,))
