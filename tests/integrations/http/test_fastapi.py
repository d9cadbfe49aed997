"""HTTP mode on routes of FastAPI: from the first request on, wherever the route stands."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Request,
    Response,
    WebSocket,
)
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import JSONResponse, StreamingResponse

from dualcache.http.starlette import wrap_routes
from tests.integrations.http.conftest import status_of, statuses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.integrations.http.conftest import Shop


class Post(BaseModel):
    post_id: int
    run: int


PRICES: dict[str, int] = {}
BEFORE_COMMIT: list[Callable[[], object]] = []


def session() -> Iterator[dict[str, int]]:
    """Commit at the end of a request, after its response."""
    changes: dict[str, int] = {}
    yield changes
    for step in BEFORE_COMMIT:
        step()
    PRICES.update(changes)


def test_the_first_request_is_stored_and_a_hit_runs_neither_dependencies_nor_body(
    shop: Shop,
) -> None:
    app = FastAPI()

    def counted() -> None:
        shop.count("dependency")

    @app.get("/posts/{post_id}", dependencies=[Depends(counted)])
    @shop.http(ttl=60)
    def read(post_id: int) -> Post:
        return Post(post_id=post_id, run=shop.count("body"))

    site = shop.site(app)
    first = site.send("GET", "/posts/1")
    assert status_of(first) == {"fwd": "uri-miss", "stored": True}
    before = dict(shop.counts)
    shop.now += 6
    second = site.send("GET", "/posts/1")
    assert status_of(second) == {"hit": True, "ttl": 54}
    assert second.headers["age"] == "6"
    assert second.json() == first.json() == {"post_id": 1, "run": 1}
    assert second.headers["etag"] == first.headers["etag"]
    assert shop.counts == before


def test_the_signature_that_people_see_in_the_documentation_is_the_endpoints_own(
    memory_shop: Shop,
) -> None:
    app = FastAPI()

    @app.get("/posts/{post_id}")
    @memory_shop.http(ttl=60)
    def read(post_id: int, page: int = 1) -> Post:
        return Post(post_id=post_id, run=page)

    operation = app.openapi()["paths"]["/posts/{post_id}"]["get"]
    assert [each["name"] for each in operation["parameters"]] == ["post_id", "page"]
    assert "requestBody" not in operation


def test_included_routers_mounted_applications_and_later_routes_are_behind_it_too(
    shop: Shop,
) -> None:
    app, sub, router, inner = FastAPI(), FastAPI(), APIRouter(), APIRouter(prefix="/inner")

    @sub.get("/a/{number}")
    @router.get("/a/{number}")
    @inner.get("/a/{number}")
    @shop.http(ttl=60)
    def read(number: int) -> int:
        return shop.count("body")

    router.include_router(inner)
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    app.mount("/sub", sub)
    site = shop.site(app)
    for place in ("/v1", "/v2", "/v1/inner", "/v2/inner", "/sub"):
        assert statuses(site, *[f"{place}/a/1"] * 3) == ["uri-miss", "hit", "hit"], place
    assert shop.counts == {"body": 5}

    @router.get("/later")
    @shop.http(ttl=60)
    def later() -> int:
        return 1

    assert statuses(site, *["/v1/later"] * 2, "/v1/a/1") == ["uri-miss", "hit", "hit"]


def test_methods_of_an_object_are_endpoints_too(shop: Shop) -> None:
    class Posts:
        def __init__(self, name: str) -> None:
            self.name = name
            self.router = APIRouter(prefix=f"/{name}")
            self.router.add_api_route("/{number}", self.read)
            self.router.add_api_route("/{number}", self.write, methods=["PUT"])

        @shop.http(ttl=60)
        def read(self, number: int) -> list[Any]:
            return [self.name, number, shop.count("body")]

        @shop.http()
        def write(self, number: int) -> str:
            return f"{self.name} {number}"

    app = FastAPI()
    for name in ("a", "b"):
        app.include_router(Posts(name).router)
    site = shop.site(app)
    assert [site.get("/a/1"), site.get("/a/1"), site.get("/b/1")] == [["a", 1, 1]] * 2 + [
        ["b", 1, 2]
    ]
    for run in (3, 4):
        assert site.write("PUT", "/a/1") == "a 1"
        assert [site.get("/a/1"), site.get("/b/1")] == [["a", 1, run], ["b", 1, 2]]


class ViewOf:
    """A class-based view, made for each request."""

    def __init__(self, x_user: Annotated[str, Header()] = "") -> None:
        self.user = x_user


def test_an_endpoint_whose_object_is_made_for_each_request(shop: Shop) -> None:
    """This is what `cbv` of fastapi-utils makes of a method."""
    app, router = FastAPI(), APIRouter(prefix="/items")

    @router.get("/{number}")
    @shop.http(ttl=60)
    def read(self: Annotated[ViewOf, Depends()], number: int) -> list[str | int]:
        return [self.user, number, shop.count("body")]

    app.include_router(router)
    site = shop.site(app)
    told = [site.get("/items/1", headers={"x-user": user}) for user in ("a", "a", "b")]
    assert told == [["a", 1, 1], ["a", 1, 1], ["b", 1, 2]]


@pytest.mark.parametrize("at", [1, 2])
def test_first_requests_in_several_threads_wrap_a_route_once(memory_shop: Shop, at: int) -> None:
    looks: list[Any] = []
    app = FastAPI()
    other = threading.Thread(target=wrap_routes, args=[app, memory_shop.cache])

    class Raced(APIRoute):
        """Another thread wraps this route just after the first one has looked at it."""

        @property
        def handle(self) -> Any:
            looked_at = vars(self).get("wrapper", super().handle)
            looks.append(looked_at)
            if len(looks) == at:
                other.start()
                other.join(0.05)  # it may have to wait until the first one is done
            return looked_at

        @handle.setter
        def handle(self, wrapper: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            vars(self)["wrapper"] = wrapper

    app.router.route_class = Raced

    @app.get("/")
    @memory_shop.http(ttl=60)
    def read() -> int:
        return memory_shop.count("body")

    wrap_routes(app, memory_shop.cache)
    other.join()
    assert statuses(memory_shop.site(app), "/", "/") == ["uri-miss", "hit"]


def test_without_a_lifespan_fastapi_answers_a_head_before_the_first_get(shop: Shop) -> None:
    app = FastAPI()

    @app.get("/")
    @shop.http(ttl=60)
    def read() -> int:
        return 1

    site = shop.site(app)
    assert [site.send(method, "/").status_code for method in ("HEAD", "GET", "HEAD")] == [
        405,
        200,
        200,
    ]


def test_a_lifespan_puts_the_routes_behind_it_before_the_first_request(shop: Shop) -> None:
    app, sub, router = FastAPI(), FastAPI(), APIRouter()

    def counted() -> None:
        shop.count("dependency")

    @app.get("/own", dependencies=[Depends(counted)])
    @sub.get("/own", dependencies=[Depends(counted)])
    @router.get("/included", dependencies=[Depends(counted)])
    @shop.http(ttl=60)
    def read() -> int:
        return 1

    app.include_router(router)
    app.mount("/sub", sub)
    site = shop.site(app)

    async def started() -> None:
        async with shop.cache.lifespan(app):
            pass

    site.submit(started()).result(30)
    assert statuses(site, "/own", "/sub/own", "/included") == ["uri-miss"] * 3
    assert shop.counts == {"dependency": 3}


def test_an_endpoint_keeps_its_own_request_and_background_tasks(shop: Shop) -> None:
    app = FastAPI()

    @app.get("/posts/{post_id}")
    @shop.http(ttl=60)
    def read(post_id: int, request: Request) -> str:
        return request.url.path

    site = shop.site(app)
    assert [site.get("/posts/1") for _ in range(3)] == ["/posts/1"] * 3


def test_responses_with_background_tasks_are_not_stored_and_that_is_said_once(shop: Shop) -> None:
    app = FastAPI()

    def in_a_dependency(tasks: BackgroundTasks) -> None:
        tasks.add_task(shop.count, "dependency")

    @app.get("/parameter")
    @shop.http(ttl=60)
    def parameter(tasks: BackgroundTasks) -> int:
        tasks.add_task(shop.count, "parameter")
        return 1

    @app.get("/dependency", dependencies=[Depends(in_a_dependency)])
    @shop.http(ttl=60)
    def dependency() -> int:
        return 1

    site = shop.site(app)
    for name in ("parameter", "dependency"):
        with pytest.warns(UserWarning, match="DC436"):
            first = site.send("GET", f"/{name}")
        assert status_of(first) == {"fwd": "uri-miss", "detail": "background"}
        assert statuses(site, f"/{name}") == ["uri-miss"]
        assert shop.counts[name] == 2


@pytest.mark.parametrize("reason", ["status", "set-cookie", "no-store", "vary", "stream"])
def test_what_must_not_be_stored_passes_as_it_is(shop: Shop, reason: str) -> None:
    app = FastAPI()

    @app.get("/")
    @shop.http(ttl=60)
    def read() -> Any:
        run = str(shop.count("body"))
        if reason == "status":
            raise HTTPException(404, run)
        if reason == "stream":
            return StreamingResponse(iter([run, "."]))
        name = {"set-cookie": "set-cookie", "no-store": "cache-control", "vary": "vary"}[reason]
        values = {"set-cookie": "a=b; Max-Age=0", "no-store": "no-store", "vary": "origin"}
        return JSONResponse(run, headers={name: values[reason]})

    site = shop.site(app)
    answers = [site.send("GET", "/") for _ in range(2)]
    assert [status_of(each) for each in answers] == [{"fwd": "uri-miss", "detail": reason}] * 2
    assert ["1" in answers[0].text, "2" in answers[1].text] == [True, True]
    assert "etag" not in answers[0].headers


def test_a_status_that_is_listed_is_stored(shop: Shop) -> None:
    app = FastAPI()

    @app.get("/")
    @shop.http(ttl=60, statuses=[404])
    def read() -> int:
        raise HTTPException(404, f"run {shop.count('body')}")

    site = shop.site(app)
    answers = [site.send("GET", "/") for _ in range(2)]
    assert [each.json() for each in answers] == [{"detail": "run 1"}] * 2
    assert [each.status_code for each in answers] == [404, 404]
    assert status_of(answers[1]) == {"hit": True, "ttl": 60}


def test_a_write_invalidates_its_path_and_what_it_names_before_it_answers(shop: Shop) -> None:
    app = FastAPI()

    @app.get("/posts/{post_id}")
    @shop.http(ttl=60)
    def read(post_id: int, page: int = 1) -> int:
        return shop.count(f"post {post_id}")

    @app.get("/posts")
    @shop.http(ttl=60, tags=["posts"])
    def read_all() -> int:
        return shop.count("posts")

    @app.put("/posts/{post_id}")
    @shop.http(invalidates=["posts", "/other/{post_id}"])
    def write(post_id: int, fails: bool = False) -> int:
        if fails:
            raise HTTPException(409)
        return 0

    site = shop.site(app)
    paths = ["/posts/1", "/posts/1?page=2", "/posts/2", "/posts"]
    assert statuses(site, *paths, *paths) == ["uri-miss"] * 4 + ["hit"] * 4
    for _ in range(2):  # the first write finds its route not wrapped yet
        site.write("PUT", "/posts/1")
        assert statuses(site, *paths) == ["uri-miss", "uri-miss", "hit", "uri-miss"]
    assert site.send("PUT", "/posts/1?fails=true").status_code == 409
    assert statuses(site, *paths) == ["hit"] * 4


def test_a_change_that_is_committed_after_the_response_is_seen_after_it(shop: Shop) -> None:
    app = FastAPI()

    @app.get("/price")
    @shop.http(ttl=60)
    def read() -> int:
        return PRICES["now"]

    @app.put("/price")
    @shop.http()
    def write(changes: Annotated[dict[str, int], Depends(session)]) -> int:
        changes["now"] = PRICES["now"] + 1
        return 0

    PRICES["now"] = 1
    site = shop.site(app)
    site.submit(_lifespan(shop, app)).result(30)
    # Another client asks between the response and the commit, and gets the old price stored.
    BEFORE_COMMIT[:] = [lambda: site.get("/price")]
    for price in (1, 2, 3):
        assert [site.get("/price"), site.get("/price")] == [price, price]
        site.write("PUT", "/price")


async def _lifespan(shop: Shop, app: FastAPI) -> None:
    async with shop.cache.lifespan(app):
        pass


def test_websockets_streaming_functions_and_direct_calls_are_left_alone(shop: Shop) -> None:
    from dualcache import UsageError

    app = FastAPI()

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None: ...

    def double(number: int) -> int:
        return 2 * number

    decorated = shop.cache.http(ttl=60)(double)
    assert decorated(4) == 8
    site = shop.site(app)
    site.submit(_lifespan(shop, app)).result(30)

    async def stream() -> AsyncIterator[int]:
        yield 1

    for wrong in (stream, 5):
        with pytest.raises(UsageError) as caught:
            shop.cache.http(ttl=60)(wrong)  # type: ignore[type-var]  # one of them is no function
        assert caught.value.code == "DC435"


def test_errors_of_the_endpoint_are_its_own(shop: Shop) -> None:
    app = FastAPI()

    @app.get("/")
    @shop.http(ttl=60)
    def read() -> int:
        raise ZeroDivisionError

    site = shop.site(app)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            site.send("GET", "/")


def test_what_the_endpoint_sets_on_its_response_is_kept(shop: Shop) -> None:
    app = FastAPI()

    @app.get("/")
    @shop.http(ttl=60, client_ttl=30)
    def read(response: Response) -> int:
        response.headers["x-run"] = str(shop.count("body"))
        response.headers["cache-control"] = "max-age=5"
        return 1

    site = shop.site(app)
    answers = [site.send("GET", "/") for _ in range(2)]
    assert [each.headers["x-run"] for each in answers] == ["1", "1"]
    assert [each.headers["cache-control"] for each in answers] == ["max-age=5"] * 2


def test_a_conditional_request_is_answered_by_a_304(shop: Shop) -> None:
    app = FastAPI()

    @app.get("/")
    @shop.http(ttl=60)
    def read() -> int:
        return shop.count("body")

    site = shop.site(app)
    tag = site.send("GET", "/").headers["etag"]
    answer = site.send("GET", "/", headers={"if-none-match": f'"other", W/{tag}'})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == tag
    assert "content-length" not in answer.headers
    assert site.send("GET", "/", headers={"if-none-match": '"other"'}).status_code == 200


def test_a_head_is_answered_as_the_get_of_its_route(shop: Shop) -> None:
    app = FastAPI()

    @app.get("/posts/{post_id}")
    @shop.http(ttl=60)
    def read(post_id: int) -> int:
        return shop.count("body")

    @app.get("/stream")
    @shop.http(ttl=60)
    def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"a", b"b"]))

    site = shop.site(app)
    got = site.send("GET", "/posts/1")
    found, loaded = (site.send("HEAD", path) for path in ("/posts/1", "/posts/2"))
    assert status_of(found) == {"hit": True, "ttl": 60}
    assert (found.content, found.headers["etag"]) == (b"", got.headers["etag"])
    assert found.headers["content-length"] == got.headers["content-length"]
    assert status_of(loaded) == {"fwd": "uri-miss", "stored": True}
    assert (loaded.status_code, loaded.content) == (200, b"")
    assert status_of(site.send("GET", "/posts/2")) == {"hit": True, "ttl": 60}
    known = {"if-none-match": got.headers["etag"]}
    assert site.send("HEAD", "/posts/1", headers=known).status_code == 304
    site.send("GET", "/stream")
    assert (site.send("HEAD", "/stream").status_code, site.send("GET", "/stream").text) == (
        200,
        "ab",
    )


@pytest.mark.parametrize(
    ("options", "headers", "expected"),
    [
        ({}, {"cookie": "a=b"}, ["bypass", "bypass"]),
        ({}, {"authorization": "x"}, ["bypass", "bypass"]),
        ({"shared": True}, {"cookie": "a=b"}, ["uri-miss", "hit"]),
        ({"vary": ["cookie"]}, {"cookie": "a=b"}, ["uri-miss", "hit"]),
        ({"vary": lambda request: request.cookies["a"]}, {"cookie": "a=b"}, ["uri-miss", "hit"]),
        ({"key": lambda request: request.url.path}, {"cookie": "a=b"}, ["uri-miss", "hit"]),
        ({}, {"range": "bytes=0-1"}, ["bypass", "bypass"]),
        ({}, {"cache-control": "no-cache"}, ["uri-miss", "hit"]),
        ({"honor_request": True}, {"cache-control": "no-cache"}, ["request", "request"]),
        ({"honor_request": True}, {"cache-control": "no-store"}, ["bypass", "bypass"]),
    ],
)
def test_requests_that_tell_who_asks_go_to_the_endpoint_unless_told_otherwise(
    memory_shop: Shop, options: Any, headers: dict[str, str], expected: list[str]
) -> None:
    app = FastAPI()

    @app.get("/")
    @memory_shop.http(ttl=60, **options)
    def read() -> int:
        return 1

    assert statuses(memory_shop.site(app), "/", "/", headers=headers) == expected


def test_a_request_for_something_new_leaves_it_for_the_others(memory_shop: Shop) -> None:
    app = FastAPI()

    @app.get("/")
    @memory_shop.http(ttl=60, honor_request=True)
    def read() -> int:
        return memory_shop.count("body")

    site = memory_shop.site(app)
    assert site.get("/") == 1
    assert site.get("/", headers={"cache-control": "no-cache"}) == 2
    assert site.get("/") == 2


def test_a_key_names_all_variants_of_a_response(shop: Shop) -> None:
    app = FastAPI()

    @app.get("/posts/{post_id}")
    @shop.http(ttl=60, key="post:{post_id}", tags=["author:{post_id}"], query=["page"])
    def read(post_id: int) -> int:
        return shop.count("body")

    site = shop.site(app)
    paths = ["/posts/1", "/posts/1?page=2", "/posts/1?utm_source=x", "/posts/2"]
    assert statuses(site, *paths) == ["uri-miss", "uri-miss", "hit", "uri-miss"]
    shop.cache.invalidate(tags=["post:1"])
    assert statuses(site, *paths) == ["uri-miss", "uri-miss", "hit", "hit"]
    shop.cache.invalidate(tags=["author:2"])
    assert statuses(site, *paths) == ["hit", "hit", "hit", "uri-miss"]


def test_a_language_has_its_own_response(shop: Shop) -> None:
    app = FastAPI()

    @app.get("/")
    @shop.http(ttl=60)
    def read(request: Request) -> str:
        return request.headers["accept-language"]

    site = shop.site(app)
    for language in ("de", "en", "de"):
        assert site.get("/", headers={"accept-language": language}) == language
