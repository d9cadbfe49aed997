"""What the endpoints tell: figures, events, entries, settings, checks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache
from dualcache.cli.main import main
from dualcache.dashboard import Dashboard
from dualcache.dashboard.explorer import Query, asked_pattern, found
from dualcache.inspection.patterns import pattern_of
from tests.dashboard.conftest import Visitor
from tests.patience import patient

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

SECRET = "not-to-be-seen"


def test_a_function_has_a_row_with_what_was_counted(
    shop: Cache, dashboard: Dashboard, visitor: Visitor
) -> None:
    @shop(key="square:{number}")
    def square(number: int) -> int:
        return number * number

    visitor.json("/api/overview")
    for number in (1, 1, 1, 2):
        square(number)
    square.invalidate(1)
    dashboard.sample()
    told = visitor.json("/api/overview")
    view = told["views"]["process"]
    row = view["functions"][0]
    assert (row["name"], row["calls"], row["backend"], row["misses"]) == (
        "square:{number}",
        4,
        2,
        2,
    )
    assert row["miss_reasons"] == {"absent": 2}
    assert row["invalidations"] == 1
    assert row["line"] == [0.5]
    assert row["ttl"] == 3600
    assert view["tiles"]["hit_ratio"] == 0.5
    assert view["lines"]["requests"][0] > 0
    assert told["server"]["keys"] == 0  # asked at most every few seconds
    names = [each["name"] for each in told["events"]]
    assert names == ["Invalidated", "Loaded", "Miss", "Loaded", "Miss"]


def test_all_processes_are_shown_where_they_share_their_counters(redis_server: Server) -> None:
    with (
        Cache(patient(redis_server.url), namespace="shop", fleet_stats=True) as worker,
        Cache(patient(redis_server.url), namespace="shop") as looking,
    ):
        square = worker.memoize(lambda number: number * number, key="square:{number}")
        for number in (1, 1, 2):
            square(number)
        assert worker.stats(fleet=True).loads == 2
        app = Dashboard(looking, every=3600)
        told = Visitor(app).json("/api/overview")["views"]
        app.close()
    assert told["fleet"]["functions"][0]["calls"] == 3
    assert told["fleet"]["tiles"]["reads"] == 3
    assert told["process"]["functions"] == [] or not told["process"]["tiles"]["reads"]


def test_neither_keys_nor_values_are_in_the_figures(shop: Cache, visitor: Visitor) -> None:
    @shop(key="user:{name}")
    def user(name: str) -> str:
        return name + "!"

    visitor.json("/api/overview")
    user(SECRET)
    user(SECRET)
    for path in ("/api/overview", "/api/config", "/api/doctor", "/api/session"):
        assert SECRET not in visitor.get(path).text


def test_values_are_shown_only_where_it_was_said(shop: Cache) -> None:
    shop.set("a", SECRET)
    for show_values in (False, True):
        app = Dashboard(shop, show_values=show_values, every=3600)
        visitor = Visitor(app)
        assert SECRET not in visitor.get("/api/keys").text
        answer = visitor.get("/api/value", params={"key": "a"})
        assert (answer.status_code, SECRET in answer.text) == (
            (200, True) if show_values else (403, False)
        )
        app.close()


def test_entries_are_found_by_what_is_known_of_them(shop: Cache, visitor: Visitor) -> None:
    shop.set("user:1", "x" * 1000, ttl=60, tags=["team:a"])
    shop.set("user:2", 2, tags=["team:b"])
    shop.set("other", 3)

    def keys(**query: str) -> set[str]:
        return {row["key"] for row in visitor.json("/api/keys", **query)["rows"]}

    assert keys() == {"user:1", "user:2", "other"}
    assert keys(template="user:{user_id}") == {"user:1", "user:2"}
    assert keys(template="user:{user_id}", arguments="user_id=2") == {"user:2"}
    assert keys(tag="team:a") == {"user:1"}
    assert keys(pattern="o*") == {"other"}
    row = visitor.json("/api/keys", tag="team:a")["rows"][0]
    assert row["tags"] == ["team:a"]
    assert 1000 < row["size"] < 1200
    assert 50 < row["ttl"] <= 60
    assert visitor.json("/api/keys", pattern="nothing*") == {"rows": [], "is_cut": False}


@pytest.mark.parametrize(
    ("query", "code"), [({"template": "a:{b}", "arguments": "42"}, 400),
                        ({"template": "a:{b}", "pattern": "*"}, 400)]
)  # fmt: skip
def test_a_search_that_makes_no_sense_says_so(
    visitor: Visitor, query: dict[str, str], code: int
) -> None:
    answer = visitor.get("/api/keys", params=query)
    assert answer.status_code == code
    assert answer.json()["help"]


def test_more_entries_than_a_page_has_are_cut(shop: Cache) -> None:
    shop.set_many({f"k:{number}": number for number in range(5)})
    told = found(shop, Query(), limit=3)
    assert (len(told["rows"]), told["is_cut"]) == (3, True)


def test_an_argument_is_escaped_as_in_a_key() -> None:
    with Cache("memory://") as cache:
        for text in ("a:b", "a*b", "100%", "[x]", "ü"):
            key = cache.key("q:{text}", text=text)
            pattern = asked_pattern(cache, Query(template="q:{text}", arguments=f"text={text}"))
            cache.set(key, 1)
            assert [*cache.keys(pattern)] == [key], text
            cache.clear(everything=True)
    assert pattern_of("shop.search", {"a": "1*"}) == r"shop.search*1\**"
    assert pattern_of("a:{b.c}:{d}", {"b": "1"}) == "a:1:*"


def test_names_that_are_no_text_survive_the_way_to_the_browser(
    shop: Cache, visitor: Visitor
) -> None:
    hostile = ["<script>alert(1)</script>", "\ud800\x00", 'a"b</td>', "new\nline"]
    odd = [shop.key("k:{name}", name=name) for name in hostile[2:]]
    for name in (*odd, hostile[0]):
        shop.set(name, 1)
    answer = visitor.get("/api/keys")
    assert answer.headers["content-type"] == "application/json"
    assert {row["key"] for row in answer.json()["rows"]} == {*odd, hostile[0]}


def test_a_refresh_leaves_the_entry_to_the_next_call(shop: Cache, visitor: Visitor) -> None:
    runs: list[int] = []

    @shop(key="n:{number}", stale_while_revalidate=60)
    def load(number: int) -> int:
        runs.append(number)
        return number

    load(1)
    visitor.enter()
    assert visitor.post("/api/expire", {"keys": ["n:1"]}).json()["expired"] == 1
    assert visitor.json("/api/keys")["rows"][0]["is_stale"]


def test_a_tag_is_invalidated_whole(shop: Cache, visitor: Visitor) -> None:
    shop.set("a", 1, tags=["red"])
    visitor.enter()
    assert visitor.post("/api/invalidate", {"tags": ["red"]}).json()["tags"] == 1
    assert shop.get("a") is None


def test_a_server_that_is_gone_is_told_and_not_raised(own_server: Server) -> None:
    with Cache(patient(own_server.url), namespace="shop") as cache:
        app = Dashboard(cache, every=3600)
        visitor = Visitor(app)
        visitor.json("/api/overview")
        own_server.kill()
        cache.ping()
        cache.ping()
        told = visitor.json("/api/overview")
        assert (told["is_available"], told["events"][0]["name"]) == (False, "BackendDown")
        answer = visitor.get("/api/keys")
        assert (answer.status_code, "error" in answer.json()) == (503, True)
        assert visitor.json("/api/doctor")[-1]["level"] == "fault"
        app.close()


def test_a_cache_in_memory_is_shown_too() -> None:
    with Cache("memory://", front=None) as cache:
        cache.set("a", 1)
        app = Dashboard(cache, every=3600)
        visitor = Visitor(app)
        assert visitor.json("/api/overview")["server"] is None
        assert [row["key"] for row in visitor.json("/api/keys")["rows"]] == ["a"]
        assert visitor.json("/api/config")[0]["value"] == "memory://"
        app.close()


def test_a_stream_begins_with_the_whole_page_and_ends(shop: Cache) -> None:
    app = Dashboard(shop, every=0.01, stream_seconds=0.02)
    text = Visitor(app).get("/api/stream").text
    app.close()
    retry, first, *_ = text.split("\n\n")
    assert retry == "retry: 1000"
    assert json.loads(first.removeprefix("data: "))["is_available"] is True


def test_it_is_open_as_long_as_its_program(shop: Cache) -> None:
    with Dashboard(shop, every=3600) as app:
        thread: Any = app._sampler._thread
        assert thread.is_alive()
    assert not thread.is_alive()


def test_the_command_does_not_open_it_to_others_without_auth(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.7", "shop.example"):
        assert main(["dashboard", "--host", host]) == 2
        assert "DC500" in capsys.readouterr().err
    assert main(["dashboard", "--auth", f"{tmp_path.name}_nowhere:auth"]) == 2
    assert "--auth" in capsys.readouterr().err
