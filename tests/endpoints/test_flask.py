"""Real Flask applications: sync views, and the request that Flask has at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flask
import pytest

from dualcache import Cache, Event, InvalidRequestError, NotStored
from tests.endpoints.conftest import keys_of
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient

    from tests.servers import Server


@pytest.fixture
def shop(backend_url: str) -> Iterator[Cache]:
    made = Cache(patient(backend_url))
    yield made
    made.close()


def blog(cache: Cache) -> tuple[FlaskClient, dict[str, int]]:
    app = flask.Flask(__name__)
    app.testing = True
    runs = {"read": 0}
    texts = {1: "old"}

    @app.get("/posts/<int:post_id>")
    @cache(key_prefix="post", vary=lambda _: flask.request.args.get("page", 1, int))
    def read(post_id: int) -> dict[str, Any]:
        runs["read"] += 1
        return {"text": texts.get(post_id)}

    @app.route("/posts/<int:post_id>", methods=["PUT", "DELETE"])
    @cache(
        key_prefix="post",
        to_invalidate_extra={"latest": "global"},
        pattern_to_invalidate_extra=["search_*"],
    )
    def write(post_id: int) -> dict[str, Any]:
        texts[post_id] = flask.request.args["text"]
        return {"ok": True}

    @app.route("/both/<post_id>", methods=["GET", "POST"])
    @cache(key_prefix="both", resource_id_type=str)
    def both(post_id):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        runs["read"] += 1
        return [post_id, runs["read"]]

    @app.get("/wrong/<int:post_id>")
    @cache(key_prefix="post", to_invalidate_extra={"latest": "global"})
    def wrong(post_id: int) -> str:
        raise AssertionError

    @app.get("/made/<int:post_id>")
    @cache(key_prefix="made")
    def made(post_id: int) -> flask.Response:
        runs["read"] += 1
        return flask.jsonify(runs["read"])

    return app.test_client(), runs


def test_a_view_reads_and_writes_by_the_current_request(shop: Cache) -> None:
    client, runs = blog(shop)
    shop.set("latest:global", 1)
    shop.set("search_x:1", 1)
    for _ in range(2):
        assert client.get("/posts/1").json == {"text": "old"}
    assert client.put("/posts/1?text=new").json == {"ok": True}
    assert client.get("/posts/1").json == {"text": "new"}
    assert runs == {"read": 2}
    assert shop.get("latest:global") is None
    assert shop.get("search_x:1") is None


def test_what_a_view_varies_by_dies_with_the_post(shop: Cache) -> None:
    client, runs = blog(shop)
    for page in (1, 2, 1, 2):
        client.get(f"/posts/1?page={page}")
    assert runs == {"read": 2}
    client.delete("/posts/1?text=new")
    assert client.get("/posts/1?page=2").json == {"text": "new"}


def test_one_view_may_do_both(shop: Cache) -> None:
    client, _ = blog(shop)
    assert client.get("/both/a").json == ["a", 1]
    assert client.get("/both/a").json == ["a", 1]
    assert client.post("/both/a").json == ["a", 2]
    assert client.get("/both/a").json == ["a", 3]


def test_a_head_request_is_served_a_hit(shop: Cache) -> None:
    client, runs = blog(shop)
    client.head("/posts/1")
    client.get("/posts/1")
    client.head("/posts/1")
    assert runs == {"read": 2}


def test_a_read_that_is_asked_to_invalidate_is_refused(shop: Cache) -> None:
    client, _ = blog(shop)
    with pytest.raises(InvalidRequestError):
        client.get("/wrong/1")


def test_a_response_is_not_stored(shop: Cache) -> None:
    events: list[Event] = []
    shop.on_event(events.append)
    client, _ = blog(shop)
    assert [client.get("/made/1").json, client.get("/made/1").json] == [1, 2]
    assert len([event for event in events if isinstance(event, NotStored)]) == 1


def test_the_keys_are_those_of_any_other_framework(redis_server: Server) -> None:
    with Cache(patient(redis_server.url)) as shop:
        client, _ = blog(shop)
        client.get("/both/a%20b")
        assert keys_of(redis_server) == {"both:a%20b"}


def test_outside_of_a_request_a_view_is_a_read(shop: Cache) -> None:
    @shop(key_prefix="post")
    def read(post_id: int) -> int:
        return post_id

    assert [read(1), read(1)] == [1, 1]
    assert read.cache_info().hits == 1


def test_a_view_of_flask_is_warned_of_and_its_helpers_are_not(shop: Cache) -> None:
    app = flask.Flask(__name__)
    app.testing = True

    @shop(key="helped:{post_id}")
    def helper(post_id: int) -> int:
        return post_id

    @app.post("/helped/<int:post_id>")
    def helped(post_id: int) -> list[int]:
        return [helper(post_id)]

    @app.post("/posts/<int:post_id>")
    @shop(key="post:{post_id}")
    def post(post_id: int) -> list[int]:
        return [post_id]

    client = app.test_client()
    assert client.post("/helped/1").json == [1]
    with pytest.warns(UserWarning, match=r"DC405.*post\(\) answers a POST"):
        client.post("/posts/1")


def test_a_function_that_reads_the_current_request_is_warned_of(shop: Cache) -> None:
    app = flask.Flask(__name__)

    @shop(key="search")
    def search() -> str:
        return flask.request.args["q"]

    @shop(key="twice:{number}")
    def twice(number: int) -> int:
        return number * 2

    with app.test_request_context("/?q=tea"):
        with pytest.warns(UserWarning, match=r"DC411.*search.*vary=lambda: …"):
            assert search() == "tea"
        assert twice(2) == 4
