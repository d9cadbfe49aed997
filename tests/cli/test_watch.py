"""`dualcache watch`: what other processes do is seen."""

from __future__ import annotations

import json
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Final

import pytest

from dualcache.cli.changes import Change, Watcher
from dualcache.cli.main import main
from tests.fleets.waiting import until

if TYPE_CHECKING:
    from dualcache import Cache
    from tests.cli.running import Shell
    from tests.servers import Server

PATIENCE_SECONDS: Final = 20.0


def test_loads_stores_and_deletions_are_seen(shop: Cache, redis_server: Server) -> None:
    shop.set("old", 1, tags=["t"])
    with Watcher(shop) as watcher:
        changes = watcher.changes(monotonic() + PATIENCE_SECONDS)

        def next_of(name: str) -> str:
            return next(change.what for change in changes if change.name == name)

        def load() -> int:
            assert next_of("new") == "loading"
            return 1

        shop.get_or_load("new", load, ttl=100)
        stored = next(changes)
        assert (stored.what, stored.name, stored.detail[:4]) == ("stored", "new", "ttl ")
        shop.invalidate("new")
        assert next_of("new") == "gone"
        shop.invalidate(tags=["t"])
        assert next_of("t") == "tag invalidated"
        shop.invalidate("held", hold=60)
        assert next_of("held") == "held"
        shop.expire("old")
        redis_server.cli("SET", "shop:theirs", "x")
        assert next_of("theirs") == "foreign"
        redis_server.cli("SET", "elsewhere", "x")
        redis_server.cli("FLUSHALL")
        assert next(change for change in changes if change.what == "flushed").name == ""


def test_a_broken_connection_is_told_and_fixed(shop: Cache, redis_server: Server) -> None:
    with Watcher(shop) as watcher:
        redis_server.cli("CLIENT", "KILL", "TYPE", "pubsub")
        assert next(watcher.changes(monotonic() + PATIENCE_SECONDS)).what == "lost"

        def heard() -> Change | None:
            shop.set("a", 1)
            return next(watcher.changes(monotonic() + 0.3), None)

        assert until(heard, "the watcher is back").name == "a"


def test_a_server_that_tells_nothing_is_named(own_server: Server, shell: Shell) -> None:
    own_server.cli("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-client")
    url = own_server.url.replace("//", "//app:pw@")
    done = shell.bare("watch", "--url", url)
    assert done.code == 2
    assert "[DC496]" in done.err


def test_the_memory_of_the_command_itself_is_not_looked_at(shell: Shell) -> None:
    for command in (["watch"], ["keys"], ["get", "a"], ["ping"], ["stats"], ["clear", "-y"]):
        done = shell.bare(*command, "--url", "memory://")
        assert done.code == 2
        assert "dualcache.UsageError: [DC490] this command needs a server" in done.err


@pytest.mark.parametrize("is_json", [False, True])
def test_the_command_prints_a_line_for_each_change(
    is_json: bool, redis_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["watch", "--count", "1", "--url", redis_server.url, "--namespace", "shop"]
    thread = Thread(target=main, args=([*command, "--json"] if is_json else command,))
    thread.start()
    until(lambda: is_watched(redis_server), "the command watches")
    redis_server.cli("SET", "shop:a", "theirs")
    thread.join(PATIENCE_SECONDS)
    out = capsys.readouterr().out
    if is_json:
        told = json.loads(out)
        assert (told["what"], told["name"]) == ("foreign", "a")
    else:
        head, line = out.splitlines()
        assert head == f"watching {redis_server.url}; Ctrl-C ends it"
        assert line.split()[1:3] == ["foreign", "a"]


def test_it_ends_when_its_time_is_over(shell: Shell) -> None:
    assert shell.run("watch", "--for", "0").code == 0


def is_watched(server: Server) -> bool:
    """Tell whether a client of the server has switched broadcasts on."""
    return any("B" in client["flags"] for client in server.client().client_list())
