from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dualcache import Cache
from dualcache.cli.group import commands
from dualcache.inspection.server_figures import Figures

if TYPE_CHECKING:
    import pytest

    from tests.cli.running import Shell
    from tests.servers import Server


def test_what_the_server_counts_is_shown(shell: Shell, shop: Cache) -> None:
    shop.set("a", 1)
    for _ in range(3):
        shop.get("a")
    told = shell.run("stats", "--json").document["server"]
    assert told["keys"] == 1
    assert told["memory bytes"] > 0
    assert 0.5 < told["hit ratio"] <= 1
    lines = shell.run("stats").out.splitlines()
    assert any(line.split() == ["keys", "1"] for line in lines)


def test_it_is_shown_again(shell: Shell) -> None:
    done = shell.run("stats", "--watch", "--every", "0", "--count", "3", "--json")
    assert [*map(json.loads, done.out.splitlines())][2]["server"]["keys"] == 0


def test_rates_are_those_since_the_figures_before() -> None:
    before = Figures({"keyspace_hits": 10, "keyspace_misses": 10, "evicted_keys": 5}, 7, 100)
    now = Figures({"keyspace_hits": 40, "keyspace_misses": 20, "evicted_keys": 9}, 8, 102)
    told = now.told(before, 2.0)
    assert (told["hit ratio"], told["reads/s"], told["evicted/s"]) == (0.75, 20.0, 2.0)
    assert told["expired/s"] is None
    assert Figures({}, 0, 0).told(None, 0.0)["hit ratio"] is None


def test_functions_of_all_processes_are_shown(shell: Shell, redis_server: Server) -> None:
    assert "no process shares its counters" in shell.run("stats").out
    with Cache(redis_server.url, namespace="shop", fleet_stats=True, socket_timeout=3) as cache:

        @cache(key="square:{number}")
        def square(number: int) -> int:
            return number * number

        for _ in range(4):
            square(1)
    document = shell.run("stats", "--json").document
    assert document["fleet"]["templates"]["square:{number}"]["hits"] == 3
    lines = shell.run("stats").out.splitlines()
    assert "1 process, the last 15 minutes" in lines
    assert any(line.split()[:6] == ["square:{number}", "3", "0", "0", "1", "1"] for line in lines)


def test_a_cache_of_a_program_shows_its_functions(
    shop: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    @shop(key="square:{number}")
    def square(number: int) -> int:
        return number * number

    square(1)
    square(1)
    commands(shop).main(["stats"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:6] == ["square:{number}", "1", "0", "0", "1", "1"] for line in lines)
