"""HTTP mode on views of Flask: what only Flask has. The rules are tested in test_rules.py."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import flask
import pytest
from flask.views import MethodView, View

from dualcache import Cache
from dualcache.integrations.flask import DualCache
from tests.integrations.flask.conftest import Shop


def test_path_values_make_names_in_views_and_blueprints(shop: Shop) -> None:
    pages = flask.Blueprint("pages", __name__, url_prefix="/blog")

    @pages.get("/<int:post_id>")
    @shop.http(ttl=60, tags=["post:{post_id}"])
    async def read(post_id: int) -> list[int]:
        return [post_id, shop.count("body")]

    @pages.put("/<int:post_id>")
    @shop.http(invalidates=["/blog/{post_id}/comments"])
    async def write(post_id: int) -> list[int]:
        return [post_id]

    shop.app.register_blueprint(pages)
    assert [shop.shown("/blog/1"), shop.shown("/blog/1"), shop.shown("/blog/2")] == [
        [[1, 1], "uri-miss"], [[1, 1], "hit"], [[2, 2], "uri-miss"]
    ]  # fmt: skip
    assert shop.cache.invalidate(tags=["post:1"]).tags == 1
    assert shop.shown("/blog/1") == [[1, 3], "uri-miss"]
    assert shop.client.put("/blog/1").json == [1]
    assert shop.shown("/blog/1") == [[1, 4], "uri-miss"]
    assert shop.shown("/blog/2") == [[2, 2], "hit"]


def test_methods_of_a_view_class_read_and_invalidate(shop: Shop) -> None:
    class Posts(MethodView):
        @shop.http(ttl=60)
        async def get(self, post_id: int) -> list[int]:
            return [post_id, shop.count("body")]

        @shop.http()
        async def put(self, post_id: int) -> Any:
            return [post_id], 201

    shop.app.add_url_rule("/<int:post_id>", view_func=Posts.as_view("posts"))
    assert [shop.shown("/1"), shop.shown("/1")] == [[[1, 1], "uri-miss"], [[1, 1], "hit"]]
    assert shop.client.put("/1").status_code == 201
    assert shop.shown("/1") == [[1, 2], "uri-miss"]


def test_a_whole_view_class_is_decorated_as_flask_decorates_it(memory_shop: Shop) -> None:
    shop = memory_shop

    class Posts(View):
        decorators = [shop.cache.http(ttl=60)]  # noqa: RUF012  as Flask's own documentation has it

        def dispatch_request(self) -> list[int]:
            return [shop.count("body")]

    shop.app.add_url_rule("/", view_func=Posts.as_view("posts"))
    assert [shop.shown("/"), shop.shown("/")] == [[[1], "uri-miss"], [[1], "hit"]]


def test_functions_before_and_after_a_request_run_on_a_hit(memory_shop: Shop) -> None:
    shop = memory_shop

    @shop.app.before_request
    def before() -> Any:
        shop.count("before")
        return ("no", 403) if "stranger" in flask.request.args else None

    @shop.app.after_request
    def after(response: flask.Response) -> flask.Response:
        response.headers["X-After"] = str(shop.count("after"))
        return response

    @shop.app.get("/")
    @shop.http(ttl=60, query=False)
    async def read() -> list[int]:
        return [shop.count("body")]

    assert [shop.shown("/"), shop.shown("/")] == [[[1], "uri-miss"], [[1], "hit"]]
    assert shop.client.get("/").headers["x-after"] == "3"
    assert shop.client.get("/?stranger").status_code == 403
    assert shop.counts == {"before": 4, "after": 4, "body": 1}


def test_the_session_keeps_a_response_out(memory_shop: Shop) -> None:
    shop = memory_shop

    @shop.app.get("/write")
    @shop.http(ttl=60)
    async def write() -> list[int]:
        flask.session["seen"] = 1
        return [shop.count("body")]

    @shop.app.get("/read")
    @shop.http(ttl=60)
    async def read() -> list[Any]:
        return [flask.session.get("seen")]

    @shop.app.get("/own")
    @shop.http(ttl=60, vary=["cookie"])
    async def own() -> list[Any]:
        return [flask.session.get("seen"), shop.count("own")]

    assert [shop.shown("/write"), shop.shown("/write")] == [
        [[1], "set-cookie"],
        [[2], "set-cookie"],
    ]
    assert [shop.shown("/read"), shop.shown("/read")] == [[[None], "vary"]] * 2
    assert [shop.shown("/own"), shop.shown("/own")] == [[[None, 1], "uri-miss"], [[None, 1], "hit"]]
    cookie = shop.client.get("/write").headers["set-cookie"].partition(";")[0]
    assert shop.shown("/own", headers={"Cookie": cookie}) == [[1, 2], "uri-miss"]


@pytest.mark.parametrize("how", ["after_this_request", "call_on_close"])
def test_work_that_is_left_for_later_keeps_a_response_out(memory_shop: Shop, how: str) -> None:
    shop = memory_shop

    @shop.app.get("/")
    @shop.http(ttl=60)
    async def read() -> flask.Response:
        response = flask.jsonify(1)
        if how == "call_on_close":
            response.call_on_close(lambda: shop.count("later"))
        else:
            flask.after_this_request(lambda made: shop.count("later") and made)
        return response

    with pytest.warns(UserWarning, match="DC436"):
        assert shop.shown("/") == [1, "background"]
    assert shop.shown("/") == [1, "background"]
    assert shop.counts == {"later": 2}


def test_handlers_of_the_application_make_the_response_of_an_exception(memory_shop: Shop) -> None:
    shop = memory_shop

    @shop.app.errorhandler(LookupError)
    def gone(error: LookupError) -> Any:
        return [str(error)], 410

    @shop.app.get("/handled")
    @shop.http(ttl=60, statuses=[410])
    async def handled() -> None:
        raise LookupError(shop.count("body"))

    @shop.app.get("/aborted")
    @shop.http(ttl=60, statuses=[404])
    async def aborted() -> None:
        shop.count("aborted")
        flask.abort(404)

    assert [shop.shown("/handled"), shop.shown("/handled")] == [[["1"], "uri-miss"], [["1"], "hit"]]
    assert [shop.client.get("/aborted").status_code for _ in range(2)] == [404, 404]
    assert shop.counts == {"body": 1, "aborted": 1}


def test_a_file_and_a_stream_pass(memory_shop: Shop) -> None:
    shop = memory_shop

    @shop.app.get("/file")
    @shop.http(ttl=60)
    async def file() -> flask.Response:
        return flask.send_file(__file__)

    @shop.app.get("/stream")
    @shop.http(ttl=60)
    async def stream() -> flask.Response:
        return flask.Response(iter(["a", "b"]))

    for path in ("/file", "/stream"):
        answer = shop.client.get(path)
        assert answer.headers["cache-status"] == "dualcache; fwd=uri-miss; detail=stream"
        answer.close()
    assert shop.client.get("/stream").text == "ab"


def test_a_refresh_has_a_context_of_its_own(memory_shop: Shop) -> None:
    shop, contexts, gate = memory_shop, [], memory_shop.gate()

    @shop.app.before_request
    def before() -> None:
        flask.g.who = shop.count("before")

    @shop.app.teardown_request
    def after(_: Any) -> None:
        if flask.g.get("is_last"):
            gate.open()

    @shop.app.get("/<int:number>")
    @shop.http(ttl=60, stale_while_revalidate=600)
    async def read(number: int) -> list[Any]:
        contexts.append([flask.g.who, flask.request.args.get("page"), flask.request.data])
        flask.g.is_last = len(contexts) == 2
        return [number]

    shop.client.get("/1?page=7")
    shop.now += 100
    shop.client.get("/1?page=7")
    gate._opened.result(30)
    assert contexts == [[1, "7", b""], [3, "7", b""]]


def test_a_view_that_another_view_calls_is_the_function_itself(shop: Shop) -> None:
    @shop.http(ttl=60)
    async def read() -> int:
        return shop.count("body")

    @shop.app.get("/")
    async def both() -> list[int]:
        made = [read(), read()]
        return [await each if inspect.isawaitable(each) else each for each in made]

    assert [shop.client.get("/").json for _ in range(2)] == [[1, 2], [3, 4]]


def test_a_coroutine_beside_other_frameworks_is_cached_too() -> None:
    import fastapi

    shop = Shop("memory://", is_async=True)
    extension = DualCache(shop.app, url="memory://")

    async def body() -> list[int]:
        assert fastapi.__name__  # what encloses it may be an application of FastAPI as well
        return [shop.count("body")]

    read, late = shop.cache.http(ttl=60)(body), extension.http(ttl=60)(body)
    assert inspect.iscoroutinefunction(read)
    shop.app.get("/read", endpoint="read")(read)
    shop.app.get("/late", endpoint="late")(late)
    assert [shop.shown("/read"), shop.shown("/read")] == [[[1], "uri-miss"], [[1], "hit"]]
    assert [shop.shown("/late"), shop.shown("/late")] == [[[2], "uri-miss"], [[2], "hit"]]
    assert asyncio.run(read()) == [3]
    extension.cache.close()
    shop.close()


def test_a_hit_of_a_coroutine_starts_no_loop() -> None:
    cache = Cache("memory://")

    async def read() -> int:
        return len(flask.request.args)

    assert not inspect.iscoroutinefunction(cache.http(ttl=60)(read))
    cache.close()
