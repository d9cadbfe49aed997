"""What the body takes from the request itself: query and path in the key, and warnings."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, MagicMock, Mock
from urllib.parse import parse_qsl, quote

import flask
import pytest
from fastapi import BackgroundTasks, FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from dualcache import Cache, CacheIdentificationInferenceError
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.endpoints.conftest import Stage
    from tests.endpoints.web import Site


def asking(query: bytes | str = b"", **scope: Any) -> Request:
    raw = query.encode() if isinstance(query, str) else query
    made = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": raw}
    return Request(made | scope)


def starlette_site(stage: Stage, *paths: str, **options: Any) -> Site:
    """Serve one cached read, of what its request asks for, under several paths."""

    def pages(request: Request) -> list[Any]:
        stage.count("pages")
        return [dict(request.query_params), request.path_params.get("name")]

    decorated = stage.endpoint(key_prefix="pages", **options)(pages)

    async def answer(request: Request) -> JSONResponse:
        result = decorated(request)
        return JSONResponse(await result if stage.is_async else result)

    routes = [Route(path, answer, methods=["GET", "PUT"]) for path in paths]
    return stage.site(Starlette(routes=[Mount("/in", routes=routes), *routes]))


def test_query_and_path_of_a_plain_route_are_part_of_the_key(stage: Stage) -> None:
    site = starlette_site(stage, "/", "/{name}")
    for _ in range(2):
        assert site.get("/?page=1") == [{"page": "1"}, None]
        assert site.get("/?page=2&q=tea") == [{"page": "2", "q": "tea"}, None]
        assert site.get("/?q=tea&page=2") == [{"page": "2", "q": "tea"}, None]
        assert site.get("/a") == [{}, "a"]
        assert site.get("/in/b?page=1") == [{"page": "1"}, "b"]
        assert site.get("/?name=a") == [{"name": "a"}, None]
    assert stage.counts == {"pages": 5}
    assert stage.cache.contains("pages:global:query=page=2&q=tea")
    assert stage.cache.contains("pages:global:query=/name=b&page=1")


def test_what_the_request_adds_dies_with_the_base(stage: Stage) -> None:
    site = starlette_site(stage, "/")
    paths = ["/", "/?page=2", "/?page=3"]
    for path in paths:
        site.get(path)
    stage.cache.invalidate("pages:global")
    for path in paths:
        site.get(path)
    site.send("PUT", "/?page=2")
    for path in paths:
        site.get(path)
    assert stage.counts == {"pages": 10}


@pytest.mark.parametrize(
    ("query", "runs"), [(False, 1), ("page", 2), (("page", "q"), 3), (True, 4), (None, 4)]
)
def test_the_names_that_count_can_be_written(stage: Stage, query: Any, runs: int) -> None:
    vary = {"vary": lambda _: None} if query is False else {}
    site = starlette_site(stage, "/", query=query, **vary)
    for path in ("/?page=1", "/?page=2", "/?page=2&q=a", "/?page=2&q=a&utm=b"):
        site.get(path)
    assert stage.counts == {"pages": runs}


def test_fastapi_binds_the_query_so_that_it_is_not_counted_twice(stage: Stage) -> None:
    app = FastAPI()

    @app.get("/items")
    @stage.endpoint(key_prefix="items")
    def items(request: Request, page: int = 1) -> int:
        return stage.count("items")

    site = stage.site(app)
    assert [site.get(path) for path in ("/items", "/items?utm=a", "/items?page=2")] == [1, 1, 2]
    assert stage.cache.contains("items:global:page=1")


def test_in_fastapi_the_query_counts_where_the_body_reads_it_itself(stage: Stage) -> None:
    app = FastAPI()

    async def items(request: Request, page: int = 1) -> str:
        return request.query_params.get("q", "") + str(page)

    app.get("/items")(stage.cache(key_prefix="items")(items))
    site = stage.site(app)
    for _ in range(2):
        assert [site.get("/items?q=a"), site.get("/items?q=b&page=2")] == ["a1", "b2"]


def test_in_fastapi_the_query_counts_where_that_is_written(stage: Stage) -> None:
    app = FastAPI()

    @app.get("/items")
    @stage.endpoint(key_prefix="items", query="q")
    def items(request: Request) -> int:
        return stage.count("items")

    site = stage.site(app)
    assert [site.get(path) for path in ("/items", "/items?q=a", "/items?utm=a")] == [1, 2, 1]


def test_a_parameter_that_is_a_value_of_the_path_counts_once(stage: Stage) -> None:
    keys: list[str] = []

    @stage.cache(key_prefix="post")
    def read(request: Request, post_id: int, q: str = "") -> int:
        return post_id

    async def answer(request: Request) -> JSONResponse:
        keys.append(read.key_for(request, request.path_params["post_id"]))
        keys.append(read.key_for(request, 7))
        return JSONResponse(1)

    site = stage.site(Starlette(routes=[Route("/{post_id:int}", answer)]))
    site.get("/5")
    site.get("/5?a=1")
    assert keys == [
        "post:5:q=",
        "post:7:q=:query=/post_id=5",
        "post:5:q=:query=a=1",
        "post:7:q=:query=/post_id=5&a=1",
    ]


def test_the_handle_that_invalidates_does_not_go_by_the_query_of_its_own_request(
    cache: Cache,
) -> None:
    @cache(key_prefix="post")
    def read(request: Request | None, post_id: int) -> int:
        return post_id

    read(asking("page=1"), 5)
    read(asking("page=2"), 5)
    read.invalidate(asking("sure=yes"), 5)
    assert read.peek(asking("page=1"), 5) is read.peek(asking("page=2"), 5) is None


text = st.text("aé=&+% ?:*/\x00", max_size=4)
KEYED = Cache("memory://")(key_prefix="p")(lambda request: None)  # noqa: ARG005


@given(
    st.lists(st.tuples(text, text), max_size=3),
    st.lists(st.tuples(text, text), max_size=3),
    st.dictionaries(text, text, max_size=1),
)
def test_two_requests_have_one_key_only_where_they_ask_for_the_same(
    one: list[Any], other: list[Any], path: dict[str, str]
) -> None:
    def key(pairs: list[Any], path: dict[str, str]) -> str:
        raw = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
        assert parse_qsl(raw, keep_blank_values=True) == pairs
        return str(KEYED.key_for(asking(raw, path_params=path)))

    by_name = sorted(one, key=lambda pair: pair[0]) == sorted(other, key=lambda pair: pair[0])
    assert (key(one, {}) == key(other, {})) is by_name
    assert (key(one, path) == key(one, {})) is (path == {})
    assert set(key(one, path)).isdisjoint("*?[]{} \x00")


def test_a_secret_of_the_query_is_not_shown() -> None:
    one, other = KEYED.key_for(asking("page=1&token=hush")), KEYED.key_for(asking("token=other"))
    assert one.startswith("p:global:query=page=1&token=~")
    assert other.startswith("p:global:query=token=~")
    assert "hush" not in one


def test_broken_utf8_is_told_apart() -> None:
    keys = {KEYED.key_for(asking(query)) for query in (b"a=%FF", b"a=%FE", b"a=\xff\xfe", b"a")}
    assert len(keys) == 4


@pytest.mark.parametrize(
    "request_of",
    [
        SimpleNamespace(method="GET", url="http://test/items?b=2&a=1", headers={}),
        SimpleNamespace(method="GET", url="", headers={}, query_string="b=2&a=1"),
        SimpleNamespace(method="GET", url="", headers={}, META={"QUERY_STRING": "b=2&a=1"}),
        SimpleNamespace(
            method="GET", url="/?b=2", headers={}, match_info={"a": 1}, resolver_match=None
        ),
    ],
)
def test_other_frameworks_say_the_same_in_their_own_way(request_of: Any) -> None:
    assert KEYED.key_for(request_of) in ("p:global:query=a=1&b=2", "p:global:query=/a=1&b=2")


# Flask


@pytest.fixture
def shop(backend_url: str) -> Iterator[Cache]:
    made = Cache(patient(backend_url))
    yield made
    made.close()


def test_the_query_of_a_flask_view_is_part_of_its_key(shop: Cache) -> None:
    app = flask.Flask(__name__)
    app.testing = True
    runs: list[str] = []

    @app.route("/posts/<int:post_id>", methods=["GET", "PUT"])
    @shop(key_prefix="post")
    def read(post_id: int) -> list[Any]:
        runs.append("read")
        return [post_id, flask.request.args.get("page")]

    @app.put("/all/<int:post_id>")
    def write(post_id: int) -> str:
        read.invalidate(post_id)
        return ""

    @app.get("/latest/<path:kind>")
    @shop(key_prefix="latest")
    def latest(**path: str) -> str:
        runs.append("latest")
        return path["kind"]

    client = app.test_client()
    for _ in range(2):
        assert client.get("/posts/1").json == [1, None]
        assert client.get("/posts/1?page=2").json == [1, "2"]
        assert client.get("/posts/2?page=2").json == [2, "2"]
        assert client.get("/latest/a/b").text == "a/b"
        assert client.get("/latest/c").text == "c"
    assert runs == ["read"] * 3 + ["latest"] * 2
    assert shop.contains("post:1")
    assert shop.contains("post:1:query=page=2")
    client.put("/posts/1?sure=yes")
    client.put("/all/2?sure=yes")
    assert not shop.contains("post:1:query=page=2")
    assert not shop.contains("post:2:query=page=2")


# Warnings


async def by_header(request: Request) -> str:
    return request.headers["authorization"]


async def by_state(request: Request) -> Any:
    return request.state.user


def by_helper(request: Request) -> str:
    return who(request)


def who(request: Request) -> str:
    return request.cookies["session"]


class Sessions:
    def owner(self, request: Request) -> str:
        return request.cookies["session"]


sessions = Sessions()


def by_service(request: Request) -> str:
    return sessions.owner(request)


def by_nested(request):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    return [request.user for _ in range(1)]


def by_flask() -> Any:
    return flask.session["user"]


@pytest.mark.parametrize("read", [by_header, by_state, by_helper, by_service, by_nested, by_flask])
def test_a_read_whose_only_source_is_the_request_is_warned_about(
    cache: Cache, read: Callable[..., Any]
) -> None:
    with pytest.warns(UserWarning, match="DC411.*vary=") as told:
        cache(key_prefix="me")(read)
    assert told[0].filename == __file__
    cache(key_prefix="me", vary=lambda *_: None)(read)


def by_query(request: Request) -> str:
    return request.query_params["page"]


async def by_nothing(request: Request) -> list[str]:
    return [request.method, str(request.app)]


def by_flask_args() -> Any:
    return [flask.request.args["page"], flask.current_app.name, flask.g.db]


@pytest.mark.parametrize("read", [by_query, by_nothing, by_flask_args])
def test_a_read_that_takes_only_what_is_in_its_key_is_not_warned_about(
    cache: Cache, read: Callable[..., Any]
) -> None:
    cache(key_prefix="me")(read)


def test_a_query_that_is_left_out_and_read_is_warned_about(cache: Cache) -> None:
    with pytest.warns(UserWarning, match="DC411.*query_params"):
        cache(key_prefix="me", query=False)(by_query)


def test_with_parameters_of_its_own_the_warning_comes_when_it_reads(cache: Cache) -> None:
    @cache(key_prefix="orders")
    def orders(request: Request, page: int = 1) -> str:
        return f"{request.headers['x-user']}:{page}"

    headers = [(b"x-user", b"ann")]
    orders(asking(method="POST", headers=headers))
    with pytest.warns(UserWarning, match=r"DC411.*headers.*vary=lambda request, page: …") as told:
        assert orders(asking(headers=headers)) == "ann:1"
    assert told[0].filename == __file__
    assert orders(asking(headers=headers)) == "ann:1"


def from_asking(headers: dict[str, str]) -> Request:
    return asking("page=2", headers=[(a.encode(), b.encode()) for a, b in headers.items()])


def test_a_function_with_a_template_is_warned_about_at_its_first_call(cache: Cache) -> None:
    @cache(key="orders:{page}")
    def orders(request: Request, page: int) -> str:
        return request.headers["x-user"]

    @cache(key="page")
    def page_of(request: Request) -> str:
        return request.query_params["page"]

    ann = from_asking({"x-user": "ann"})
    with pytest.warns(UserWarning, match=r"DC411.*orders.*headers") as told:
        assert orders(ann, 1) == "ann"
    assert told[0].filename == __file__
    assert orders(ann, 1) == "ann"
    with pytest.warns(UserWarning, match=r"DC411.*page_of.*query_params"):
        assert page_of(ann) == "2"


def test_a_function_whose_key_holds_its_request_is_not_warned_about(cache: Cache) -> None:
    @cache(key="of:{request.headers[x-user]}")
    def named(request: Request) -> str:
        return request.headers["x-user"]

    @cache(key="varied", vary=lambda request: request.headers["x-user"])
    def varied(request: Request) -> str:
        return request.headers["x-user"]

    @cache(key="plain:{page}")
    def plain(request: Request, page: int) -> str:
        return f"{request.url.path}{request.app}{page}"

    ann = from_asking({"x-user": "ann"})
    ann.scope["app"] = "app"
    assert [named(ann), varied(ann), plain(ann, 1)] == ["ann", "ann", "/app1"]


class Change(BaseModel):
    text: str


async def by_json(request: Request) -> Any:
    return (await request.json())["text"] + request.headers["x-user"]


def with_a_model(
    request: Request, change: Change, tasks: BackgroundTasks, post_id: str = ""
) -> str:
    return change.text


@pytest.mark.parametrize(
    ("write", "values"),
    [(by_json, ()), (with_a_model, (Change(text="a"), BackgroundTasks()))],
)
def test_what_reads_a_body_is_warned_about_only_when_it_reads(
    cache: Cache, write: Callable[..., Any], values: tuple[Any, ...]
) -> None:
    decorated = cache(key_prefix="post")(write)
    with pytest.warns(UserWarning, match="DC4") as told:
        decorated.key_for(asking(), *values)
    assert told[0].filename == __file__
    decorated.key_for(asking(), *values)


def test_a_write_that_deletes_no_key_of_its_own_is_warned_about_once(cache: Cache) -> None:
    @cache(key_prefix="post", to_invalidate_extra={"latest": "global"})
    def write(request: Request, post_id: str) -> str:
        return post_id

    assert write(asking(method="POST"), "a") == "a"
    with pytest.warns(UserWarning, match=r'DC410.*resource_id_name="post_id"') as told:
        assert write(asking(method="PUT"), "a") == "a"
    assert told[0].filename == __file__
    assert write(asking(method="PUT"), "a") == "a"


# What is no request


@pytest.mark.parametrize("request_of", [Mock, object, lambda: Mock(spec=Request), dict])
def test_a_request_without_a_method_is_no_read(cache: Cache, request_of: Callable[[], Any]) -> None:
    runs: list[Any] = []

    @cache(key_prefix="post")
    def patch(request: Request, post_id: int, text: str) -> str:
        runs.append(request)
        return text

    @cache(key_prefix="feed")
    def feed(request, page=1):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        runs.append(request)
        return page

    cache.set("post:1", "old")
    assert patch(request_of(), 1, "a") == "a"
    assert patch(request_of(), 1, "b") == "b"
    assert cache.get("post:1") is None
    if request_of is Mock:
        assert [feed(request_of()), feed(request_of())] == [1, 1]
        assert len(runs) == 4


@pytest.mark.parametrize("kind", [Mock, MagicMock, AsyncMock])
def test_a_mock_that_tells_its_method_is_a_request(cache: Cache, kind: type[Mock]) -> None:
    @cache(key_prefix="post")
    def post(request: Request, post_id: int) -> int:
        return post_id

    @cache(key_prefix="feed")
    def feed(request, page=1):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return page

    assert [post(kind(method="GET"), 5), post(kind(method="GET"), 5)] == [5, 5]
    assert cache.get("post:5") == 5
    assert post(kind(method="PATCH"), 5) == 5
    assert cache.get("post:5") is None
    assert feed(kind(method="GET", url="/feed?a=1")) == 1
    assert cache.get("feed:global:page=1") is None


def test_a_write_without_an_id_is_refused_for_a_real_request_only(cache: Cache) -> None:
    @cache(key_prefix="post")
    def patch(request: Request, text: str) -> str:
        return text

    assert patch(Mock(), "a") == "a"
    with pytest.raises(CacheIdentificationInferenceError):
        patch(asking(method="PATCH"), "a")
