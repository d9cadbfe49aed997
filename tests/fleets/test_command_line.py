"""The command line on Sentinel and Cluster URLs."""

from __future__ import annotations

import json
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from dualcache import Cache
from dualcache.cli.changes import Watcher
from dualcache.cli.main import main

if TYPE_CHECKING:
    from tests.fleets.cluster import Cluster
    from tests.fleets.sentinels import Sentinels

KEYS = 30


@pytest.fixture(params=["cluster", "sentinels"])
def url(request: pytest.FixtureRequest) -> str:
    fleet: Cluster | Sentinels = request.getfixturevalue(request.param)
    return fleet.url()


def test_changes_on_every_node_are_seen(url: str) -> None:
    with Cache(url, namespace="shop") as cache, Watcher(cache) as watcher:
        names = {f"n:{number}" for number in range(KEYS)}
        cache.set_many(dict.fromkeys(names, 1))
        seen: set[str] = set()
        for change in watcher.changes(monotonic() + 20):
            seen.add(change.name)
            if seen >= names:
                break
        assert seen >= names


def test_keys_of_every_node_are_listed_counted_and_deleted(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> str:
        capsys.readouterr()
        assert main([*arguments, "--url", url, "--namespace", "shop"]) == 0
        return capsys.readouterr().out

    with Cache(url, namespace="shop") as cache:
        cache.set_many({f"n:{number}": 1 for number in range(KEYS)})
    assert len(run("keys").splitlines()) == KEYS
    assert run("get", "n:1") == "1\n"
    assert json.loads(run("stats", "--json"))["server"]["keys"] == KEYS
    assert run("invalidate", "--pattern", "n:*", "-y") == f"{KEYS} keys removed\n"
    assert run("keys") == ""
