"""The commands that change nothing: ping, keys, get, ttl, config, explain."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from dualcache.cli.explain import sections
from dualcache.cli.main import main
from dualcache.cli.printing import amount, plain, seconds, shown
from dualcache.inspection.patterns import pattern_of
from tests.docs.pages import ROOT
from tests.ports import free_port

if TYPE_CHECKING:
    from dualcache import Cache
    from tests.cli.running import Shell
    from tests.servers import Server


@dataclass
class User:
    name: str


def test_ping_says_where_and_how_fast(shell: Shell) -> None:
    done = shell.run("ping")
    assert re.fullmatch(re.escape(shell.url) + r" answers in \d+\.\d\d ms\n", done.out)
    assert (done.code, done.err) == (0, "")
    assert shell.run("ping", "--json").document["backend"] == shell.url


def test_a_server_that_is_not_there_ends_every_command_with_3(shell: Shell) -> None:
    url = f"redis://:hush@127.0.0.1:{free_port()}/0"
    for command in (["ping"], ["keys"], ["get", "a"], ["ttl", "a"], ["clear", "-y"]):
        done = shell.bare(*command, "--url", url)
        assert (done.code, done.out) == (3, "")
        assert "connection refused; is the server running there?" in done.err
        assert "hush" not in done.err


def test_a_url_that_cannot_be_right_ends_with_2_and_without_its_password(shell: Shell) -> None:
    done = shell.bare("ping", "--url", "reddis://:hush@cache")
    assert done.code == 2
    assert done.err.startswith("dualcache.UsageError: [DC160] ")
    assert "hush" not in done.err


def test_keys_are_listed_without_the_namespace_and_whatever_they_hold(
    shell: Shell, shop: Cache, redis_server: Server
) -> None:
    shop.set("user:1", 1)
    shop.set("user:2", 2)
    shop.set("order:\x1b[31m", 3)
    redis_server.cli("SET", "shop:foreign", "theirs")
    assert sorted(shell.run("keys").out.splitlines()) == ["order:%1B[31m", "user:1", "user:2"]
    assert sorted(shell.run("keys", "user:*").out.splitlines()) == ["user:1", "user:2"]
    found = shell.run("keys", "--template", "order:{id}", "--json")
    assert found.document == {"key": "order:%1B[31m"}


def test_keys_beyond_the_limit_are_mentioned(shell: Shell, shop: Cache) -> None:
    shop.set_many({f"n:{number}": number for number in range(7)})
    done = shell.run("keys", "--limit", "3")
    assert len(done.out.splitlines()) == 3
    assert done.err == "the first 3 keys; --limit 0 lists all\n"
    assert len(shell.run("keys", "--limit", "0").out.splitlines()) == 7


def test_keys_are_found_by_a_tag(shell: Shell, shop: Cache) -> None:
    shop.set("a", 1, tags=["red"])
    shop.set("b", 2, tags=["red", "blue"])
    shop.set("c", 3, tags=["blue"])
    assert sorted(shell.run("keys", "--tag", "red").out.split()) == ["a", "b"]
    assert shell.run("keys", "--tag", "green").out == ""


@pytest.mark.parametrize(
    ("template", "pattern"),
    [
        ("user:{user_id}", "user:*"),
        ("{a}:{b.c}_{d:03d}", "*:*_*"),
        ("{{x}}:{y}", "{x}:*"),
        ("odd[1]*:{a}", r"odd\[1\]\*:*"),
        ("shop.prices.price", "shop.prices.price*"),
    ],
)
def test_a_template_becomes_the_pattern_of_its_keys(template: str, pattern: str) -> None:
    assert pattern_of(template) == pattern


def test_a_pattern_beside_a_template_is_refused(shell: Shell) -> None:
    done = shell.run("keys", "a*", "--template", "b:{c}")
    assert done.code == 2
    assert "[DC492]" in done.err


def test_get_shows_a_value_as_python_and_as_json(shell: Shell, shop: Cache) -> None:
    shop.set("user:1", {"name": "Ann", "ages": (1, 2)}, ttl="1h", tags=["users"])
    assert shell.run("get", "user:1").out == "{'name': 'Ann', 'ages': (1, 2)}\n"
    document = shell.run("get", "user:1", "--json").document
    assert document == {"key": "user:1", "value": {"name": "Ann", "ages": [1, 2]}}


def test_get_shows_what_is_known_of_an_entry(shell: Shell, shop: Cache) -> None:
    shop.set("user:1", "Ann", ttl="1h", tags=["users"])
    document = shell.run("get", "user:1", "--meta", "--json").document
    assert document["tags"] == ["users"]
    assert 3300 < document["ttl"] <= 3600
    assert document["bytes"] > 32
    assert (document["codec"], document["compressed"], document["signed"]) == (
        "msgpack",
        False,
        False,
    )
    text = shell.run("get", "user:1", "--meta").out
    assert text.startswith("'Ann'\n")
    assert re.search(r"^ttl +\d\d min \d+ s *$", text, re.MULTILINE)


def test_get_shows_what_only_a_type_reads_exactly(shell: Shell, shop: Cache) -> None:
    @shop(key="user:{user_id}", cache_exceptions=KeyError, negative_ttl=60)
    def user(user_id: int) -> User:
        if not user_id:
            raise KeyError("nobody")
        return User("Ann")

    user(1)
    with pytest.raises(KeyError):
        user(0)
    assert shell.run("get", "user:1").out == "{'name': 'Ann'}\n"
    assert shell.run("get", "user:0").out.startswith("raises [")


def test_get_writes_the_stored_bytes(
    shop: Cache, redis_server: Server, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    shop.set("b", b"\x00\xff")
    arguments = ["get", "b", "--raw", "--url", redis_server.url, "--namespace", "shop"]
    assert main(arguments) == 0
    assert capfdbinary.readouterr().out == redis_server.cli("GET", "shop:b")


def test_get_says_why_there_is_nothing(shell: Shell, shop: Cache, redis_server: Server) -> None:
    redis_server.cli("SET", "shop:theirs", "x" * 40)
    redis_server.cli("LPUSH", "shop:list", "x")
    shop.invalidate("held", hold=60)
    shop.set("dead", 1, tags=["t"])
    shop.invalidate(tags=["t"])
    why = {
        "none": "nothing is stored under none",
        "theirs": "the value under theirs was not written by dualcache",
        "list": "the value under list was not written by dualcache",
        "held": "nothing is stored under held: a hold keeps loads from storing",
        "dead": "the value under dead cannot be served: one of its tags was invalidated",
    }
    for key, text in why.items():
        done = shell.run("get", key)
        assert (done.code, done.out, done.err) == (1, "", f"{text}\n")


def test_ttl_is_a_number_for_scripts(shell: Shell, shop: Cache) -> None:
    shop.set("a", 1, ttl=100)
    shop.set("b", 1, ttl=None)
    assert 90 < float(shell.run("ttl", "a").out) <= 100
    assert shell.run("ttl", "b").out == "for ever\n"
    assert shell.run("ttl", "b", "--json").document == {"key": "b", "ttl": None}
    assert shell.run("ttl", "c").code == 1


def test_config_says_where_each_value_comes_from_and_hides_secrets(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUALCACHE_URL", "redis://:hush@cache:6380/2?socket_timeout=0.5")
    monkeypatch.setenv("DUALCACHE_TTL", "5m")
    monkeypatch.setenv("REDIS_CACHE_PASSWORD", "hush")
    monkeypatch.setenv("REDIS_CACHE_URL", "redis://ann:hush@other/0")
    done = shell.bare("config", "--json", "--namespace", "shop")
    rows = {row["name"]: (row["value"], row["origin"]) for row in done.document}
    assert rows["url"][1] == "DUALCACHE_URL"
    assert rows["socket_timeout"] == ("0.5", "DUALCACHE_URL")
    assert rows["namespace"] == ("shop", "--namespace")
    assert rows["ttl"] == ("5m", "DUALCACHE_TTL")
    assert rows["front"] == ("off", "default")
    assert rows["REDIS_CACHE_PASSWORD"] == ("***", "environment, not used here")
    assert rows["REDIS_CACHE_URL"][0] == "redis://***@other/0"
    assert "hush" not in done.out
    assert "from" in shell.bare("config").out.splitlines()[0]


def test_every_code_can_be_explained(shell: Shell) -> None:
    assert len(sections()) == (ROOT / "docs/errors.md").read_text("utf-8").count("\n### DC")
    done = shell.bare("explain", "DC102")
    assert done.out.startswith("DC102\n**What:**")
    assert shell.bare("explain", "[dc102]").out == shell.bare("explain", "102").out == done.out
    assert shell.bare("explain", "DC102", "--json").document["code"] == "DC102"
    assert shell.bare("explain", "DC999").code == 2


def test_the_cache_of_a_program_is_used(
    shell: Shell, shop: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tests.cli.running as program

    monkeypatch.setattr(program, "cache", shop, raising=False)
    shop.set("a", 1)
    assert shell.bare("get", "a", "--app", "tests.cli.running:cache").out == "1\n"
    for place, cause in {
        "tests.cli.running": "there is no colon",
        "tests.cli.running:none": "it has no such name",
        "tests.cli.running:Shell": "it is a type",
        "no_such_module:cache": "No module named 'no_such_module'",
    }.items():
        done = shell.bare("get", "a", "--app", place)
        assert done.code == 2
        assert f"[DC491] --app {place} does not lead to a Cache: {cause}" in done.err


def test_what_is_printed_fits_a_narrow_terminal(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert max(map(len, shell.run("config").out.splitlines())) <= 40


def test_names_do_nothing_to_a_terminal() -> None:
    assert shown("a\x1b[31m\u202eb\udcff") == "a\\x1b[31m\\u202eb\\udcff"
    assert plain({1: [float("nan"), b"x", None, True, "\udcff"]}) == {
        "1": ["nan", "b'x'", None, True, "\\udcff"]
    }


def test_amounts_and_durations_read_well() -> None:
    assert [amount(1, "key"), amount(0, "key"), amount(12_345, "entry")] == [
        "1 key",
        "0 keys",
        "12 345 entries",
    ]
    assert [seconds(each) for each in (None, 1.26, 61, 3600, 90_061)] == [
        "for ever",
        "1.3 s",
        "1 min 1 s",
        "1 h",
        "1 d 1 h",
    ]
