"""Fixtures of whole fleets; a test that breaks one takes an `own_` one, which starts anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fleets.cluster import Cluster
from tests.fleets.sentinels import Sentinels
from tests.fleets.spares import Spares
from tests.fleets.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Binary


@pytest.fixture(scope="session")
def running_sentinels(server_binary: Binary) -> Iterator[Sentinels]:
    with Sentinels(server_binary) as fleet:
        yield fleet


@pytest.fixture
def sentinels(running_sentinels: Sentinels) -> Sentinels:
    """A master with replicas and Sentinels, with nothing in it, kept running."""
    running_sentinels.master.flush()
    return running_sentinels


@pytest.fixture(scope="session")
def spare_sentinels(server_binary: Binary) -> Iterator[Spares[Sentinels]]:
    spares = Spares(lambda: Sentinels(server_binary))
    yield spares
    spares.close()


@pytest.fixture
def own_sentinels(spare_sentinels: Spares[Sentinels]) -> Iterator[Sentinels]:
    with spare_sentinels.take() as fleet:
        yield fleet


@pytest.fixture(scope="session")
def running_guarded_sentinels(server_binary: Binary) -> Iterator[Sentinels]:
    with Sentinels(server_binary, password="pw", sentinel_password="spw") as fleet:
        yield fleet


@pytest.fixture
def guarded_sentinels(running_guarded_sentinels: Sentinels) -> Sentinels:
    """The same, with a password for the Sentinels and another for the servers."""
    running_guarded_sentinels.master.flush()
    return running_guarded_sentinels


@pytest.fixture(scope="session")
def running_cluster(server_binary: Binary) -> Iterator[Cluster]:
    with Cluster(server_binary) as fleet:
        yield fleet


@pytest.fixture
def cluster(running_cluster: Cluster) -> Cluster:
    """A Cluster of three primaries with a replica each, with nothing in it, kept running.

    A test may move its slots and promote its replicas, but kills, stops and adds no node.
    """
    running_cluster.wait_until_ready()
    # A primary that was replaced is without slots for a moment before it follows.
    until(running_cluster.are_all_followed, "a replica of each primary")
    running_cluster.flush()
    return running_cluster


@pytest.fixture(scope="session")
def running_lonely_cluster(server_binary: Binary) -> Iterator[Cluster]:
    with Cluster(server_binary, replicas=0, needs_all_slots=False) as fleet:
        yield fleet


@pytest.fixture
def lonely_cluster(running_lonely_cluster: Cluster) -> Cluster:
    """Three primaries without replicas, which serve what is left of them; a test may kill some."""
    running_lonely_cluster.heal()
    return running_lonely_cluster


@pytest.fixture(scope="session")
def spare_clusters(server_binary: Binary) -> Iterator[Spares[Cluster]]:
    spares = Spares(lambda: Cluster(server_binary))
    yield spares
    spares.close()


@pytest.fixture
def own_cluster(spare_clusters: Spares[Cluster]) -> Iterator[Cluster]:
    with spare_clusters.take() as fleet:
        yield fleet
