"""A cluster that serves nothing: a primary without a replica is down, and all slots are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.events import BackendDown
from tests.behaviour.seen import Seen
from tests.fleets.test_front import key_at
from tests.fleets.waiting import until
from tests.front.tiers import eventually

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.fleets.cluster import Cluster


def test_nodes_that_say_clusterdown_are_an_outage_until_they_serve_again(
    colour: Colour, lonely_cluster: Cluster
) -> None:
    lonely_cluster.need_all_slots()
    cache = colour.cache(lonely_cluster.url())
    seen = Seen(cache)
    lost, well, *_ = lonely_cluster.primaries
    key = key_at(well)
    runs = [0]

    def body() -> int:
        runs[0] += 1
        return runs[0]

    load = cache(key=key, ttl=600)(colour.function(body))
    assert colour.run(load) == 1
    lonely_cluster.kill(lost)
    until(lambda: well.state() == "fail", "the cluster is down")
    assert colour.run(load) == 2
    assert colour.call(cache, "invalidate", key).pending == 1
    assert "CLUSTERDOWN" in {event.reason for event in seen.of(BackendDown)}
    lost.start()
    lonely_cluster.wait_until_ready()

    def is_stored() -> bool:
        found = colour.run(load)
        assert found > 2, "what was invalidated is not served"
        return bool(colour.run(load) == found)

    eventually(is_stored, "a value that is stored")
