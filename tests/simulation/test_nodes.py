"""A front tier over two nodes of a cluster: the key lives on one, its tag on the other.

A slot that moves is not pushed by the node that had it: some servers push each moved key, none
promises it. Each rule is taken out in a test of its own, and the search must find that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.redis.push.cluster_view import ClusterView
from dualcache.core.front_ports import UNTRACKED
from dualcache.engine import split
from dualcache.engine.coherence_of_nodes import NodesCoherence
from dualcache.engine.handovers import Handovers
from dualcache.front.of_nodes import FrontOfNodes
from tests.simulation.fronts import WatchedFunction
from tests.simulation.scenarios import cast, deletes_key, deletes_tag, gets, loads
from tests.simulation.searching import STALE, breaks, holds, some_of, two_tiers
from tests.simulation.server import Server
from tests.simulation.values import KEY, TAG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.simulation.scenario import Scenario

FIRST, SECOND = "1:1", "2:2"


def on_two_nodes(transport: str, writer: Any = deletes_key, **options: Any) -> Scenario:
    options.setdefault("is_kept", True)
    reader = gets((TAG,)) if writer is deletes_tag else gets()
    homes = ((KEY, FIRST), (TAG, SECOND))
    return two_tiers({"A.r1": reader}, {"B.w1": writer}, transport, homes=homes, **options)


def with_trouble(
    transport: str, *kinds: str, writer: Any = deletes_key, **options: Any
) -> Scenario:
    return on_two_nodes(transport, writer, troubles=frozenset(kinds), faults=1, **options)


def handed_over(reader: Any) -> Scenario:
    """The key goes to the other node at once; the writer may hear of it before the old node."""
    homes = ((KEY, FIRST), (TAG, SECOND))
    kinds = frozenset({"handover", "hears of it"})
    options: dict[str, Any] = {"is_stored": True, "homes": homes, "troubles": kinds, "faults": 2}
    return cast({"A.r1": reader}, {"B.w1": deletes_key}, **options)


THREE_TRANSPORTS = ("broadcast", "tracking", "pubsub")
TRANSPORTS = pytest.mark.parametrize("transport", THREE_TRANSPORTS)
WRITERS = pytest.mark.parametrize("writer", [deletes_key, deletes_tag])


@TRANSPORTS
@WRITERS
def test_a_key_and_its_tag_on_two_nodes(transport: str, writer: Any) -> None:
    holds(on_two_nodes(transport, writer, is_kept=False))


@TRANSPORTS
def test_one_node_is_lost(transport: str) -> None:
    holds(with_trouble(transport, "end of link", "reap", shaky="A"))


@pytest.mark.parametrize("transport", some_of(THREE_TRANSPORTS, "tracking"))
def test_the_node_of_a_key_or_of_its_tag_is_lost(transport: str) -> None:
    holds(with_trouble(transport, "end of link", "reap", writer=deletes_tag, shaky="A"))


@TRANSPORTS
def test_a_key_moves_to_the_other_node(transport: str) -> None:
    holds(with_trouble(transport, "move", shaky="A"))


@pytest.mark.parametrize("transport", some_of(THREE_TRANSPORTS, "tracking", "pubsub"))
def test_a_key_moves_while_it_is_loaded(transport: str) -> None:
    homes = ((KEY, FIRST), (TAG, SECOND))
    options: dict[str, Any] = {"troubles": frozenset({"move"}), "faults": 1, "homes": homes}
    holds(two_tiers({"A.r1": loads()}, {"B.w1": deletes_key}, transport, **options))


@pytest.mark.parametrize("reader", [gets, loads])
def test_a_slot_goes_to_another_node_at_once(reader: Any) -> None:
    holds(handed_over(reader()))


@TRANSPORTS
def test_a_slot_goes_to_another_node_at_once_under_two_tiers(transport: str) -> None:
    holds(with_trouble(transport, "handover", "hears of it"))


@WRITERS
def test_a_notice_that_a_node_passes_on_comes_at_any_time(writer: Any) -> None:
    holds(on_two_nodes("pubsub", writer, is_gossiping=True))


@pytest.mark.storm
@pytest.mark.parametrize("kind", ["end of link", "move"])
def test_notices_are_passed_on_while_something_breaks(kind: str) -> None:
    holds(with_trouble("pubsub", kind, shaky="A", is_gossiping=True))


@pytest.mark.storm
def test_a_node_falls_silent_while_the_clock_goes_on() -> None:
    holds(with_trouble("broadcast", "silence", jumps=1, shaky="A"))


# Each rule taken out


def test_a_loss_that_the_loser_does_not_know_of_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The old node serves reads; who deletes at the new one is told that it is done."""
    monkeypatch.setattr(Handovers, "believed", lambda _, *told: told[1])
    breaks(handed_over(gets()), STALE)


def test_a_stream_of_one_node_that_counts_for_the_other_misses_its_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(NodesCoherence, "_is_heard", lambda self, _: self.is_up)
    breaks(with_trouble("tracking", "end of link", is_kept=False, shaky="A"), STALE)


def test_a_change_of_topology_that_empties_nothing_leaves_copies_of_the_old_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By broadcast the new node would tell: it is heard already, whoever has read the key there."""
    monkeypatch.setattr(FrontOfNodes, "broken", lambda _: None)
    monkeypatch.setattr(FrontOfNodes, "topology_changed", learn_only)
    breaks(with_trouble("tracking", "move", shaky="A"), STALE)
    holds(with_trouble("broadcast", "move", shaky="A"))


def test_a_proof_that_does_not_look_at_the_slots_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    questions = ClusterView.questions
    monkeypatch.setattr(ClusterView, "questions", lambda self: questions(self)[:1])
    breaks(with_trouble("tracking", "move", shaky="A"), STALE)


def learn_only(self: FrontOfNodes, names: Iterable[str]) -> None:
    self._names = tuple(names)


def test_a_tag_on_another_node_needs_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = split._heard

    def of_the_key(joint: Any, atoms: Any, parts: Any) -> Any:
        return heard(joint, atoms[:1], parts[:1])

    monkeypatch.setattr(split, "_heard", of_the_key)
    breaks(
        with_trouble("tracking", "end of link", writer=deletes_tag, is_kept=False, shaky="A"),
        STALE,
    )


@TRANSPORTS
def test_a_tag_on_another_node_needs_a_ticket(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    begin_read = WatchedFunction.begin_read

    def of_the_key(self: WatchedFunction, names: Iterable[str]) -> Any:
        return begin_read(self, [name for name in names if name == KEY])

    monkeypatch.setattr(WatchedFunction, "begin_read", of_the_key)
    breaks(on_two_nodes(transport, deletes_tag, is_kept=False), STALE)


def test_a_notice_at_another_node_than_its_deletion_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The link to that node may be down, while the copy is served as the other one is heard."""
    publish = Server.publish

    def at_the_other(self: Server, notice: Any, node: str) -> None:
        publish(self, notice, SECOND if node == FIRST else FIRST)

    monkeypatch.setattr(Server, "publish", at_the_other)
    breaks(with_trouble("pubsub", "end of link", is_kept=False, shaky="A"), STALE)


def test_a_loss_of_one_node_that_empties_nothing_leaves_what_nobody_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FrontOfNodes, "_empty", lambda _: None)
    breaks(with_trouble("broadcast", "end of link", shaky="A"), STALE)


def test_a_read_on_its_way_at_a_loss_has_the_number_of_the_lost_stream() -> None:
    machine = NodesCoherence(5.0)
    lost, other = machine.node_connected(0.0), machine.node_connected(0.0)
    machine.node_lost(lost)
    ticket = machine.begin_read([KEY])
    kept = [machine.may_install(ticket, each) for each in ((lost, other), UNTRACKED, (other,))]
    assert kept == [False, False, True]
