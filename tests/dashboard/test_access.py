"""Who may see the dashboard, who may change something, and what a browser is told to refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Mount

from dualcache import Cache, UsageError
from dualcache.dashboard import Dashboard
from dualcache.dashboard.answers import FILES, page_file
from tests.dashboard.conftest import Visitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

PATHS = ("/", "/dashboard.js", "/api/session", "/api/overview", "/api/stream", "/api/keys",
         "/api/value?key=a", "/api/config", "/api/doctor")  # fmt: skip


def closed(answer_of_auth: object) -> Callable[[Request], object]:
    return lambda _: answer_of_auth


@pytest.mark.parametrize("path", PATHS)
def test_without_auth_other_machines_see_nothing(path: str, dashboard: Dashboard) -> None:
    answer = Visitor(dashboard, client="192.0.2.7").get(path)
    assert answer.status_code == 403
    assert "auth=" in answer.text


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("shop.example", {}),
        ("localhost.shop.example", {}),
        ("localhost:8700", {"host": "[::1"}),
        ("localhost:8700", {"host": ""}),
        ("localhost:8700", {"x-forwarded-for": "192.0.2.7"}),
        ("127.0.0.1", {"forwarded": "for=192.0.2.7"}),
    ],
)
def test_a_proxy_or_a_name_that_was_rebound_is_not_this_machine(
    dashboard: Dashboard, host: str, headers: dict[str, str]
) -> None:
    assert Visitor(dashboard, host=host).get("/", headers=headers).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8700", "[::1]:8700"])
def test_this_machine_sees_it_without_auth(dashboard: Dashboard, host: str) -> None:
    assert Visitor(dashboard, host=host).get("/").status_code == 200


def test_auth_decides_in_either_colour_and_for_every_path() -> None:
    async def of_staff(request: Request) -> bool:
        return request.headers.get("authorization") == "right"

    with Cache("memory://") as cache:
        app = Dashboard(cache, of_staff)
        visitor = Visitor(app, host="shop.example", client="192.0.2.7")
        assert {visitor.get(path).status_code for path in PATHS} == {403}
        assert visitor.get("/", headers={"authorization": "right"}).status_code == 200
        app.close()
        login = RedirectResponse("/login")
        assert Visitor(Dashboard(cache, closed(login))).get("/").headers["location"] == "/login"


def test_nothing_runs_for_a_request_that_is_refused(shop: Cache) -> None:
    app = Dashboard(shop, closed(False))
    Visitor(app).get("/api/overview")
    assert app._sampler._thread is None


def test_every_answer_has_the_fields_that_keep_scripts_out(visitor: Visitor) -> None:
    for path in ("/", "/dashboard.css", "/api/overview", "/nowhere", "/api/keys"):
        fields = visitor.get(path).headers
        policy = fields["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert fields["x-content-type-options"] == "nosniff"
        assert fields["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in fields


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    for path in FILES:
        text = bytes(page_file(path).body).decode()
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
        assert not re.search(r"innerHTML|insertAdjacentHTML|eval\(|\sstyle=|\son\w+=\"", text), path
    page = bytes(page_file("").body).decode()
    assert re.findall(r"<script[^>]*>[^<]", page) == []
    assert "<style" not in page


def test_it_can_be_mounted_below_a_path(shop: Cache) -> None:
    app = Dashboard(shop, can_write=True, every=3600)
    visitor = Visitor(Starlette(routes=[Mount("/cache", app)]))
    assert "<title>dualcache" in visitor.get("/cache/").text
    assert visitor.get("/cache").headers["location"].endswith("/cache/")
    session = visitor.get("/cache/api/session")
    assert "Path=/cache;" in session.headers["set-cookie"]
    app.close()


def test_a_cookie_with_the_token_stays_out_of_reach(visitor: Visitor) -> None:
    told = visitor.get("/api/session").headers["set-cookie"].lower()
    assert "httponly" in told
    assert "samesite=strict" in told
    first = visitor.json("/api/session")["token"]
    assert visitor.json("/api/session")["token"] == first


def test_a_change_needs_the_token_of_this_browser(shop: Cache, visitor: Visitor) -> None:
    shop.set("a", 1)
    assert visitor.post("/api/invalidate", {"keys": ["a"]}).status_code == 403
    visitor.enter()
    bad: list[dict[str, str]] = [
        {"x-csrf-token": "another"},
        {"x-csrf-token": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ]
    for headers in bad:
        assert visitor.post("/api/invalidate", {"keys": ["a"]}, headers=headers).status_code == 403
    assert shop.get("a") == 1
    assert visitor.post("/api/invalidate", {"keys": ["a"]}).json()["removed"] == 1
    assert shop.get("a") is None


def test_a_request_that_says_not_where_it_comes_from_changes_nothing(visitor: Visitor) -> None:
    visitor.enter()
    del visitor.headers["origin"]
    assert visitor.post("/api/invalidate", {"keys": ["a"]}).status_code == 403
    same = {"sec-fetch-site": "same-origin"}
    assert visitor.post("/api/invalidate", {"keys": ["a"]}, headers=same).status_code == 200


@pytest.mark.parametrize("can_write", [False, lambda _: False])
def test_one_that_only_shows_changes_nothing(shop: Cache, can_write: Any) -> None:
    app = Dashboard(shop, can_write=can_write, every=3600)
    visitor = Visitor(app)
    visitor.enter()
    assert visitor.json("/api/session")["can_write"] is False
    assert visitor.post("/api/invalidate", {"keys": ["a"]}).status_code == 403
    assert visitor.post("/api/expire", {"keys": ["a"]}).status_code == 403
    app.close()


@pytest.mark.parametrize("body", [None, [], {}, {"keys": "a"}, {"keys": [1]}, {"tags": {"a": 1}}])
def test_a_body_that_names_nothing_is_refused(visitor: Visitor, body: Any) -> None:
    visitor.enter()
    assert visitor.post("/api/invalidate", body).status_code == 400


@pytest.mark.parametrize("path", ["/api/invalidate", "/api/expire"])
def test_a_link_changes_nothing(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status_code == 405


def test_an_auth_that_cannot_be_called_is_told_at_once() -> None:
    with Cache("memory://") as cache, pytest.raises(UsageError, match="DC502"):
        Dashboard(cache, "staff")  # type: ignore[arg-type]  # what is tested
