"""Who is asked for the topology of a cluster, and what of it is taken."""

from __future__ import annotations

import pytest

from dualcache.backends.redis.cluster.topology import Topology
from dualcache.backends.redis.wire.cluster import View
from dualcache.core.slots import SLOTS
from dualcache.engine.handovers import Handovers
from dualcache.engine.health import Health
from dualcache.engine.nodes import UNKNOWN_NODE, Nodes
from dualcache.errors import BackendTimeout, BackendUnavailable
from dualcache.options.target import parse_url

A, B = "h:1", "h:2"


@pytest.fixture
def topology() -> Topology:
    nodes = Nodes(Health(), handovers=Handovers(5.0, int))
    made = Topology(parse_url("redis+cluster://h:1"), nodes)
    made.adopt((A,) * 8_192 + (B,) * 8_192, A)
    return made


def test_a_node_that_was_cut_off_is_asked_first_and_one_that_timed_out_last(
    topology: Topology,
) -> None:
    cut, late = BackendUnavailable("cut", code="DC000"), BackendTimeout("late", code="DC000")
    cut.was_connected = True
    for node in (A, B):
        cut.node = late.node = node
        assert topology.candidates(cut)[0] == node
        assert topology.candidates(late)[-1] == node
    cut.node = "gone:3"
    assert sorted(topology.candidates(cut)) == [A, B]


def test_a_loss_that_the_loser_has_not_told_is_taken_when_it_does_not_answer(
    topology: Topology,
) -> None:
    changes: list[None] = []
    topology.on_change = lambda: changes.append(None)
    told = (B,) * SLOTS
    assert not topology.adopt(told, B)
    assert (topology.nodes.slots[0], changes) == (A, [])
    assert topology.adopt(told, B, [A])
    assert (topology.nodes.slots[0], changes) == (B, [None])


def test_a_slot_that_a_node_gave_up_has_none(topology: Topology) -> None:
    assert topology.adopt((None, *(A,) * 8_191, *(B,) * 8_192), A)
    assert topology.nodes.slots[:2] == (UNKNOWN_NODE, A)


def test_a_node_that_tells_nothing_loses_what_all_others_have(topology: Topology) -> None:
    told = (B,) * SLOTS
    own = (A,) * 8_192 + (B,) * 8_192
    views = {A: View(own, is_moving=False), B: View(told, is_moving=False)}
    assert not topology.adopt_views(views)
    assert topology.nodes.slots[0] == A
    assert topology.adopt_views({A: None, B: View(told, is_moving=True)})
    assert topology.nodes.slots[0] == B
