"""What a node says of its cluster, and what of that is a loss."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.redis.push.cluster_view import ClusterView
from dualcache.backends.redis.push.failures import is_passing
from dualcache.core.slots import SLOTS, slot_of
from dualcache.errors import BackendRefused
from tests.fronts import Noting, front_by_hand

if TYPE_CHECKING:
    from collections.abc import Sequence

NODE = "10.0.0.1:7000"
OK = b"cluster_enabled:1\r\ncluster_state:ok\r\n"


def ranges(bound: int, replica: bytes = b"r1") -> list[Any]:
    """Return the reply of a node that has the slots below a bound; another has the rest."""
    return [
        [0, bound - 1, [b"10.0.0.1", 7000, b"id1", []], [b"10.0.0.9", 7009, replica, []]],
        [bound, SLOTS - 1, [b"10.0.0.2", 7001, b"id2", []]],
    ]


class Viewed:
    """A view, what it has adopted, and the tier that it tells."""

    def __init__(self) -> None:
        self.front: Noting = front_by_hand(kind=Noting)
        self.adopted: list[Sequence[str | None]] = []
        self.is_believed = True
        self.view = ClusterView(NODE, self.front, self._adopt)

    def _adopt(self, slots: Sequence[str | None]) -> bool:
        self.adopted.append(slots)
        return self.is_believed

    def tell(self, *replies: Any) -> None:
        for question, reply in zip(self.view.questions(), replies, strict=True):
            question.take(reply)


@pytest.fixture
def viewed() -> Viewed:
    return Viewed()


def test_the_first_view_is_adopted_and_says_which_keys_the_node_has(viewed: Viewed) -> None:
    asked = [question.command for question in viewed.view.questions()]
    assert asked == [("CLUSTER", "INFO"), ("CLUSTER", "SLOTS")]
    viewed.tell(OK, ranges(slot_of("k") + 1))
    assert viewed.view.has("k")
    assert [slots[0] for slots in viewed.adopted] == [NODE]
    assert viewed.front.told == []


@pytest.mark.parametrize("bound", [SLOTS - 1, 100, 1], ids=str)
def test_a_name_is_found_for_each_slot_that_a_node_may_have_left(
    viewed: Viewed, bound: int
) -> None:
    viewed.tell(OK, ranges(bound))
    name = viewed.view.own_name("shop:~p:")
    assert name is not None
    assert name.startswith("shop:~p:")
    assert viewed.view.has(name)


def test_no_name_is_sought_for_a_node_without_slots(viewed: Viewed) -> None:
    viewed.tell(OK, [[0, SLOTS - 1, [b"10.0.0.2", 7001, b"id2", []]]])
    began = time.thread_time()
    assert viewed.view.own_name("shop:~p:") is None
    assert time.thread_time() - began < 0.05  # of this thread's own: 200 000 names take more


def test_a_hash_tag_in_the_namespace_decides_for_all_names(viewed: Viewed) -> None:
    viewed.tell(OK, ranges(slot_of("{shop}") + 1))
    assert viewed.view.own_name("{shop}:~p:") == "{shop}:~p:0"
    viewed.tell(OK, ranges(slot_of("{shop}")))
    assert viewed.view.own_name("{shop}:~p:") is None


def test_a_slot_that_moves_empties_the_tier_and_is_adopted(viewed: Viewed) -> None:
    viewed.tell(OK, ranges(slot_of("k") + 1))
    viewed.tell(OK, ranges(slot_of("k")))
    assert viewed.front.told == ["broken"]
    assert len(viewed.adopted) == 2
    assert not viewed.view.has("k")


def test_what_has_not_changed_and_another_replica_are_nothing(viewed: Viewed) -> None:
    for reply in (ranges(100), ranges(100), ranges(100, b"r2")):
        viewed.tell(OK, reply)
    assert (viewed.front.told, len(viewed.adopted)) == ([], 1)


def test_a_view_that_is_not_believed_is_told_again_until_it_is(viewed: Viewed) -> None:
    viewed.is_believed = False
    viewed.tell(OK, ranges(100))
    viewed.is_believed = True
    for _ in range(2):
        viewed.tell(OK, ranges(100))
    assert [slots[99] for slots in viewed.adopted] == [NODE, NODE]
    assert viewed.front.told == []


def test_a_node_that_does_not_serve_is_a_loss_that_passes(viewed: Viewed) -> None:
    state, _ = viewed.view.questions()
    with pytest.raises(BackendRefused) as caught:
        state.take(b"cluster_state:fail\r\n")
    assert is_passing(caught.value, is_open=True)
