"""Deletions that a primary acknowledged, and its replica never heard of when it took over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.events import Replayed
from tests.behaviour.seen import Seen
from tests.fleets.test_front import key_at
from tests.fleets.waiting import until

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.fleets.cluster import Cluster


def test_what_a_dying_primary_alone_had_taken_is_repeated_at_its_replica(
    colour: Colour, own_cluster: Cluster
) -> None:
    cache = colour.cache(own_cluster.url())
    seen = Seen(cache)
    first, second, *_ = own_cluster.primaries
    (replica,) = own_cluster.replicas_of(first)
    key, matching, elsewhere = key_at(first), key_at(first, "m"), key_at(second)
    for each in (key, matching, elsewhere):
        colour.call(cache, "set", each, "old")
    until(lambda: replica.cli("DBSIZE") == first.cli("DBSIZE"), "copies on the replica")
    own_cluster.pause(replica)
    first.cli("CLIENT", "KILL", "TYPE", "replica")
    assert colour.call(cache, "invalidate", key, patterns=["m*"]).pending == 0
    own_cluster.kill(first)
    own_cluster.resume(replica)
    own_cluster.promote(replica, "FORCE")
    assert [replica.cli("EXISTS", each) for each in (key, matching)] == [1, 1]  # those are lost
    assert [colour.call(cache, "get", each) for each in (key, matching)] == [None, None]
    assert colour.call(cache, "get", elsewhere) == "old"
    assert [replica.cli("EXISTS", each) for each in (key, matching)] == [0, 0]
    assert seen.count(Replayed) == 1
