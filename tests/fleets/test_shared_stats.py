"""Statistics of all processes, shared over a Cluster and over a master that Sentinels name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import FleetStats
from dualcache.runtime import fleet as shares

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.fleets.cluster import Cluster
    from tests.fleets.sentinels import Sentinels


@pytest.fixture(params=["cluster", "sentinels"])
def url(request: pytest.FixtureRequest) -> str:
    fleet: Cluster | Sentinels = request.getfixturevalue(request.param)
    return fleet.url()


def test_all_processes_are_added_up(
    colour: Colour, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "SHARE_SECONDS", 3600.0)
    caches = [colour.cache(url, namespace="shop", fleet_stats=True) for _ in range(2)]
    for cache in caches:
        load = cache(key="k:{n}")(colour.function(lambda n: n))
        for n in range(5):
            colour.run(load, n)
        cache._runtime.fleet.share()
    stats: Any = colour.call(caches[0], "stats", fleet=True)
    assert isinstance(stats, FleetStats)
    assert (stats.is_complete, stats.processes) == (True, 2)
    assert (stats.loads, stats.hits) == (5, 5)
