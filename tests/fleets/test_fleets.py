"""The fleets of the tests: what a test may do with them, and that nothing is left behind."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import AskError, MovedError
from redis.retry import Retry

from tests.fleets.cluster import slot_of
from tests.fleets.sentinels import SERVICE, Sentinels
from tests.fleets.waiting import until
from tests.ports import HOST
from tests.servers import Server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fleets.cluster import Cluster, ClusterNode
    from tests.servers import Binary


def other_primary(cluster: Cluster, than: ClusterNode) -> ClusterNode:
    return next(node for node in cluster.primaries if node is not than)


def test_a_failover_makes_a_replica_the_master(own_sentinels: Sentinels) -> None:
    fleet = own_sentinels
    fleet.master.cli("SET", "k", "v")
    fleet.master.cli("WAIT", 2, 0)
    old = fleet.failover()
    assert fleet.master is not old
    assert fleet.master.cli("GET", "k") == b"v"
    assert {each.master_port() for each in fleet.sentinels} == {fleet.master.port}


def test_sentinels_promote_a_replica_of_a_killed_master(own_sentinels: Sentinels) -> None:
    old = own_sentinels.kill_master()
    new = own_sentinels.wait_until_left(old)
    assert new.cli("SET", "k", "v")
    own_sentinels.heal()
    assert len(own_sentinels.replicas) == 2
    assert own_sentinels.master.cli("GET", "k") is None


def test_a_fleet_with_passwords_refuses_without_them(server_binary: Binary) -> None:
    with Sentinels(server_binary, password="pw", sentinel_password="spw") as fleet:
        for node in (fleet.nodes[0], fleet.sentinels[0]):
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(port=node.port, retry=Retry(NoBackoff(), 0)).ping()
        assert ":pw@" in fleet.url()
        told = redis.Redis(port=fleet.sentinels[0].port, password="spw").execute_command(
            "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE
        )
        assert told is not None
        assert int(told[1]) == fleet.master.port
        old = fleet.failover()
        assert fleet.master is not old


def test_a_slot_on_its_way_is_asked_for_and_then_moved(cluster: Cluster) -> None:
    source = cluster.node_of("k")
    target = other_primary(cluster, source)
    source.cli("SET", "k", "v")
    move = cluster.begin_move(slot_of("k"), target)
    assert source.cli("GET", "k") == b"v"
    with pytest.raises(AskError):
        source.cli("GET", "{k}other")
    assert move.move_keys() == 1
    with pytest.raises(AskError):
        source.cli("GET", "k")
    move.end()
    assert cluster.node_of("k") is target
    with pytest.raises(MovedError):
        source.cli("GET", "k")
    assert target.cli("GET", "k") == b"v"


def test_a_slot_moves_at_once_where_the_server_knows_how(cluster: Cluster) -> None:
    source = cluster.node_of("k")
    target = other_primary(cluster, source)
    source.cli("SET", "k", "v")
    if not cluster.moved_at_once(slot_of("k"), target):
        cluster.move_slot(slot_of("k"), target)
    assert cluster.node_of("k") is target
    assert target.cli("GET", "k") == b"v"


def test_a_cluster_lives_through_promotions_a_death_and_a_newcomer(own_cluster: Cluster) -> None:
    fleet = own_cluster
    primary = fleet.node_of("k")
    replica = fleet.promote(fleet.replicas_of(primary)[0])
    assert fleet.node_of("k") is replica
    fleet.wait_until_ready()
    fleet.kill(replica)
    fleet.wait_until_promoted(primary)
    assert primary.cli("SET", "k", "v")
    replica.start()
    fleet.wait_until_ready()
    new = fleet.add_node()
    fleet.move_slot(slot_of("k"), new)
    assert new.cli("GET", "k") == b"v"


def test_a_cluster_may_serve_what_it_has_left(lonely_cluster: Cluster) -> None:
    fleet = lonely_cluster
    gone = fleet.node_of("k")
    other = other_primary(fleet, gone)
    fleet.kill(gone)
    until(lambda: any("fail" in known.flags for known in other.known()), "a node is missed")
    slots = next(known.slots for known in other.known() if known.port == other.port)
    key = next(name for name in map(str, range(100)) if slot_of(name) in slots)
    assert other.cli("SET", key, "v")


def test_a_port_is_held_while_its_server_is_down(server_binary: Binary) -> None:
    with Server(server_binary) as server:
        server.kill()
        other = socket.socket(type=socket.SOCK_DGRAM)
        with other, pytest.raises(OSError, match="in use"):
            other.bind((HOST, server.port))  # as every process tries to that draws this port
        server.start()
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind((HOST, server.port))


def folders(nodes: list[Server]) -> list[Path]:
    return [node.folder for node in nodes]


def test_nothing_is_left_of_a_fleet(server_binary: Binary) -> None:
    with Sentinels(server_binary) as fleet:
        left = folders([*fleet.nodes, *fleet.sentinels])
        pids = [node.pid for node in fleet.nodes]
    assert len(left) == 6
    assert len(set(pids)) == 3
    assert not any(folder.exists() for folder in left)
