"""Endpoints with a front tier: served from this process, by the same rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flask
import pytest
from fastapi import FastAPI, Request

from dualcache import Cache
from tests.endpoints.conftest import Stage
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.endpoints.web import Site


@pytest.fixture
def kept(backend_url: str, is_async: bool) -> Iterator[Stage]:
    made = Stage(Cache(patient(backend_url), front=100), is_async=is_async)
    yield made
    made.close()


def posts(stage: Stage) -> Site:
    app = FastAPI()
    texts = {"text": "old"}

    def read(request: Request, post_id: int, page: int = 1) -> dict[str, Any]:
        stage.count("read")
        return {"text": texts["text"], "page": page}

    def write(request: Request, post_id: int, text: str) -> str:
        texts["text"] = text
        return text

    app.get("/posts/{post_id}")(stage.endpoint(key_prefix="post")(read))
    app.put("/posts/{post_id}")(stage.endpoint(key_prefix="post", ignore=("text",))(write))
    by_pattern = stage.endpoint(key_prefix="posts", pattern_to_invalidate_extra=["post:*"])
    app.post("/posts/{post_id}")(by_pattern(write))
    return stage.site(app)


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_write_is_seen_by_the_next_read_of_every_variant(kept: Stage, method: str) -> None:
    site = posts(kept)
    paths = [f"/posts/1?page={page}" for page in (1, 2)]
    for _ in range(5):
        assert [site.get(path)["text"] for path in paths] == ["old", "old"]
    assert kept.counts == {"read": 2}
    site.write(method, "/posts/1?text=new")
    for _ in range(5):
        assert [site.get(path)["text"] for path in paths] == ["new", "new"]
    assert kept.counts == {"read": 4}


def test_what_is_kept_is_not_served_to_a_method_that_writes(kept: Stage) -> None:
    ran: list[str] = []

    @kept.cache(key_prefix="post")
    def both(request: Any, post_id: int) -> int:
        ran.append(request.method)
        return post_id

    app = FastAPI()

    async def outer(request: Request) -> int:
        return both(request, 1)

    app.add_api_route("/", outer, methods=["GET", "PUT"], operation_id="both")
    site = kept.site(app)
    for method in ("GET", "GET", "GET", "PUT", "GET", "PUT", "GET"):
        site.write(method, "/")
    assert ran == ["GET", "PUT", "GET", "PUT", "GET"]


def test_what_is_kept_is_not_served_to_a_flask_view_that_writes(kept: Stage) -> None:
    ran: list[str] = []
    app = flask.Flask(__name__)

    @app.route("/<int:post_id>", methods=["GET", "PUT"])
    @kept.cache(key_prefix="post")
    def both(post_id: int) -> list[int]:
        ran.append(flask.request.method)
        return [post_id]

    client = app.test_client()
    for method in ("GET", "GET", "GET", "PUT", "GET"):
        assert client.open("/1", method=method).json == [1]
    assert ran == ["GET", "PUT", "GET"]
