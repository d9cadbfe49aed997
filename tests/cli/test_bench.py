from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualcache import Cache
    from tests.cli.running import Shell
    from tests.servers import Server


def test_each_row_is_measured_and_nothing_is_left(shell: Shell, redis_server: Server) -> None:
    rows = shell.run("bench", "--seconds", "0.001", "--json").document
    names = [row["what"] for row in rows]
    assert names[0] == "GET by redis-py"
    assert names[-1] == "invalidate, until another front tier has heard it"
    assert {row["against"] for row in rows} == {"", "GET by redis-py", "GET and SET by redis-py"}
    assert all(row["p99_us"] >= row["p50_us"] > 0 for row in rows)
    left = [name for name in redis_server.cli("KEYS", "*") if b":~p:" not in name]
    assert left == []


def test_people_get_a_table(shell: Shell) -> None:
    lines = shell.run("bench", "--seconds", "0.001").out.splitlines()
    assert lines[0].split() == ["p50", "µs", "p99", "µs", "what", "ratio", "to"]
    assert len(lines) == 11


def test_a_cache_of_a_program_is_measured_in_its_own_namespace(
    shell: Shell, shop: Cache, redis_server: Server
) -> None:
    from dualcache.cli.group import commands

    shop.set("mine", 1)
    commands(shop).main(["bench", "--seconds", "0.001"], standalone_mode=False)
    assert redis_server.cli("KEYS", "*") == [b"shop:mine"]
