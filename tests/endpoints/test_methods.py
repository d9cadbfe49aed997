"""What becomes of a request by its method, and what comes back to the client."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from dualcache import (
    CacheIdentificationInferenceError,
    Event,
    InvalidRequestError,
    Loaded,
    NotStored,
)
from tests.bodies import Gate
from tests.endpoints.conftest import keys_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.endpoints.conftest import Stage
    from tests.servers import Server


class Model(BaseModel):
    name: str
    count: int = 0


@dataclasses.dataclass
class Row:
    name: str


def everywhere(stage: Stage, **options: Any) -> tuple[Any, list[str]]:
    """Return a client of one endpoint under every method, and the methods its body ran for."""
    ran: list[str] = []

    def body(request: Request, post_id: int) -> dict[str, Any]:
        ran.append(request.method)
        return {"run": len(ran)}

    app = FastAPI()
    endpoint = stage.endpoint(key_prefix="post", **options)(body)
    methods = ["GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "PATCH", "DELETE", "PURGE"]
    app.add_api_route("/{post_id}", endpoint, methods=methods, operation_id="post")
    return stage.site(app), ran


def test_head_runs_the_body_without_storing(stage: Stage) -> None:
    site, ran = everywhere(stage)
    for _ in range(2):
        assert site.send("HEAD", "/1").status_code == 200
    assert ran == ["HEAD", "HEAD"]
    assert site.get("/1") == {"run": 3}


def test_head_serves_a_hit(stage: Stage) -> None:
    site, ran = everywhere(stage)
    site.get("/1")
    assert site.send("HEAD", "/1").status_code == 200
    assert ran == ["GET"]


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
def test_options_and_trace_pass_through(stage: Stage, method: str) -> None:
    site, ran = everywhere(stage)
    site.get("/1")
    assert site.write(method, "/1") == {"run": 2}
    assert site.get("/1") == {"run": 1}
    assert ran == ["GET", method]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PURGE"])
def test_every_other_method_runs_the_body_and_invalidates(stage: Stage, method: str) -> None:
    site, ran = everywhere(stage)
    site.get("/1")
    site.get("/2")
    assert site.write(method, "/1") == {"run": 3}
    assert site.get("/1") == {"run": 4}
    assert site.get("/2") == {"run": 2}
    assert ran == ["GET", "GET", method, "GET"]


@pytest.mark.parametrize(
    "extra",
    [{"to_invalidate_extra": {"a": "global"}}, {"pattern_to_invalidate_extra": ["a_*"]}],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_read_that_is_asked_to_invalidate_is_refused_before_its_body(
    stage: Stage, method: str, extra: dict[str, Any]
) -> None:
    site, ran = everywhere(stage, **extra)
    with pytest.raises(InvalidRequestError) as told:
        site.send(method, "/1")
    assert told.value.code == "DC403"
    assert ran == []


def test_a_body_that_raises_invalidates_nothing(redis_server: Server, redis_stage: Stage) -> None:
    stage = redis_stage
    app = FastAPI()

    @app.get("/{post_id}")
    @stage.endpoint(key_prefix="post")
    def read(request: Request, post_id: int) -> int:
        return post_id

    @app.put("/{post_id}")
    @stage.endpoint(
        key_prefix="post",
        to_invalidate_extra={"post": "2"},
        pattern_to_invalidate_extra=["post:*"],
    )
    def write(request: Request, post_id: int) -> int:
        raise RuntimeError("no")

    site = stage.site(app)
    site.get("/1")
    site.get("/2")
    with pytest.raises(RuntimeError, match="no"):
        site.send("PUT", "/1")
    assert keys_of(redis_server) == {"post:1", "post:2"}


def passed_on(body: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate as many do: a `def` that returns what the coroutine function returns."""

    @functools.wraps(body)
    def outer(*args: Any, **kwargs: Any) -> Any:
        return body(*args, **kwargs)

    return outer


def as_task(body: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(body)
    def outer(*args: Any, **kwargs: Any) -> Any:
        return asyncio.ensure_future(body(*args, **kwargs))

    return outer


@pytest.mark.parametrize("under", [passed_on, as_task])
def test_a_write_that_returns_an_awaitable_invalidates_when_that_has_ended_well(
    stage: Stage, under: Callable[..., Any]
) -> None:
    gate = Gate(is_async=True)
    stored = {"post": "old"}

    async def body(request: Request, post_id: int, text: str) -> str:
        await gate.passed()
        if text == "wrong":
            raise ValueError(text)
        stored["post"] = text
        return text

    def read(request: Request, post_id: int) -> str:
        return stored["post"]

    decorated = stage.cache(key_prefix="post")(under(body))

    async def write(request: Request, post_id: int, text: str) -> Any:
        return await decorated(request, post_id, text)

    app = FastAPI()
    app.put("/{post_id}")(write)
    app.get("/{post_id}")(stage.endpoint(key_prefix="post")(read))
    site = stage.site(app)
    writing = site.start("PUT", "/1?text=new")
    gate.wait_until_entered()
    assert site.get("/1") == "old"
    gate.open()
    assert writing.result(10).json() == "new"
    assert site.get("/1") == "new"
    stored["post"] = "changed by nobody"
    with pytest.raises(ValueError, match="wrong"):
        site.send("PUT", "/1?text=wrong")
    assert site.get("/1") == "new"


def without_id(stage: Stage, **options: Any) -> tuple[Any, list[str]]:
    ran: list[str] = []

    def body(request: Request, name: str) -> str:
        ran.append(name)
        return name

    app = FastAPI()
    endpoint = stage.endpoint(key_prefix="post", **options)(body)
    app.add_api_route("/", endpoint, methods=["GET", "POST", "PUT"], operation_id="post")
    return stage.site(app), ran


def test_a_post_without_an_id_has_nothing_of_its_own_to_delete(stage: Stage) -> None:
    site, ran = without_id(stage)
    assert site.write("POST", "/?name=a") == "a"
    assert ran == ["a"]


def test_the_extras_of_a_post_without_an_id_still_run(stage: Stage) -> None:
    site, _ = without_id(stage, to_invalidate_extra={"latest": "{name}"})
    stage.cache.set("latest:a", 1)
    stage.cache.set("latest:b", 1)
    site.write("POST", "/?name=a")
    assert stage.cache.get("latest:a") is None
    assert stage.cache.get("latest:b") == 1


def test_a_put_without_an_id_and_without_extras_is_refused_before_its_body(stage: Stage) -> None:
    site, ran = without_id(stage)
    with pytest.raises(CacheIdentificationInferenceError):
        site.send("PUT", "/?name=a")
    assert ran == []


def test_a_put_without_an_id_runs_its_extras(stage: Stage) -> None:
    site, ran = without_id(stage, pattern_to_invalidate_extra=["latest:*"])
    stage.cache.set("latest:a", 1)
    assert site.write("PUT", "/?name=a") == "a"
    assert stage.cache.get("latest:a") is None
    assert ran == ["a"]


def test_a_list_is_read_by_its_parameters_and_dies_as_one(stage: Stage) -> None:
    def products(request: Request, page: int = 1, q: str = "tea") -> int:
        return stage.count("products")

    app = FastAPI()
    app.get("/products")(stage.endpoint(key_prefix="products")(products))
    site = stage.site(app)
    paths = ["/products", "/products?page=2", "/products?page=2&q=oil", "/products?page=1&q=tea"]
    assert [site.get(path) for path in paths] == [1, 2, 3, 1]
    assert stage.cache.contains("products:global:page=1:q=tea")
    stage.cache.invalidate("products:global")
    assert [site.get(path) for path in paths] == [4, 5, 6, 4]
    stage.cache.invalidate(patterns=["products:*"])
    assert site.get("/products") == 7


def test_a_creation_may_delete_every_page_of_the_list(stage: Stage) -> None:
    def products(request: Request, page: int = 1) -> int:
        return stage.count("products")

    def create(request: Request, name: str) -> str:
        return name

    app = FastAPI()
    app.get("/products")(stage.endpoint(key_prefix="products")(products))
    extra = {"products": "global"}
    app.post("/products")(stage.endpoint(key_prefix="product", to_invalidate_extra=extra)(create))
    site = stage.site(app)
    assert [site.get("/products"), site.get("/products?page=2")] == [1, 2]
    site.write("POST", "/products?name=tea")
    assert [site.get("/products"), site.get("/products?page=2")] == [3, 4]


VALUES: list[Any] = [
    None, 0, "", [], {}, False, 0.0, {"a": None}, [0], (1, 2), {1, 2}, {1: "a"}, b"x", 1.5,
    Model(name="a"), [Model(name="a", count=2)], Row("a"), {"rows": [1]}, 2**70,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_hit_is_what_the_miss_was_in_type_and_value(stage: Stage, value: Any) -> None:
    def read(request: Request, post_id: int) -> Any:
        stage.count("read")
        return value

    is_models = type(value) is list and Model in map(type, value)
    read.__annotations__["return"] = list[Model] if is_models else type(value)
    decorated = stage.endpoint(key_prefix="post")(read)
    app = FastAPI()
    seen: list[Any] = []

    async def outer(request: Request) -> str:
        result = decorated(request, 1)
        seen.append(await result if stage.is_async else result)
        return "ok"

    app.get("/", response_model=None)(outer)
    site = stage.site(app)
    site.get("/")
    site.get("/")
    assert seen == [value, value]
    assert type(seen[1]) is type(value)
    assert stage.counts == {"read": 1}


@pytest.mark.parametrize("value", [None, 0, "", [], {}])
def test_a_falsy_result_is_a_hit_over_http(stage: Stage, value: Any) -> None:
    app = FastAPI()

    @app.get("/{post_id}")
    @stage.endpoint(key_prefix="post")
    def read(request: Request, post_id: int) -> Any:
        stage.count("read")
        return value

    site = stage.site(app)
    assert [site.get("/1"), site.get("/1")] == [value, value]
    assert stage.counts == {"read": 1}


@pytest.mark.parametrize("kind", [JSONResponse, PlainTextResponse])
def test_a_response_is_returned_and_not_stored_and_the_reason_is_told(
    stage: Stage, kind: Callable[..., Any]
) -> None:
    events: list[Event] = []
    stage.cache.on_event(events.append)
    app = FastAPI()

    def read(request: Request, post_id: int) -> Any:
        return kind(str(stage.count("read")), headers={"x-run": "yes"})

    app.get("/{post_id}")(stage.endpoint(key_prefix="post")(read))
    site = stage.site(app)
    first, second = site.send("GET", "/1"), site.send("GET", "/1")
    assert first.headers["x-run"] == "yes"
    assert first.text != second.text
    told = [event for event in events if isinstance(event, NotStored)]
    assert len(told) == 1
    assert "response" in told[0].reason
    assert "return the data" in told[0].help
    assert not [e for e in events if isinstance(e, Loaded) and e.outcome == "stored"]


def test_while_the_cache_is_disabled_reads_run_and_writes_still_invalidate(stage: Stage) -> None:
    site, ran = everywhere(stage)
    site.get("/1")

    async def disabled(method: str) -> None:
        with stage.cache.disabled():
            await site._client.request(method, "/1")

    site.submit(disabled("GET")).result(10)
    site.submit(disabled("HEAD")).result(10)
    assert ran == ["GET", "GET", "HEAD"]
    assert site.get("/1") == {"run": 1}
    site.submit(disabled("PUT")).result(10)
    assert site.get("/1") == {"run": 5}


def test_a_call_without_its_request_reads_or_writes_by_what_the_options_say(stage: Stage) -> None:
    def read(request: Any, post_id: int) -> int:
        return stage.count("read")

    def write(request: Request, post_id: int) -> int:
        return stage.count("write")

    nothing: Any = None
    cache = stage.cache
    reading = cache(key_prefix="post")(read)
    writing = cache(key_prefix="post", to_invalidate_extra={"x": "global"})(write)
    assert [reading(nothing, 1), reading(nothing, 1)] == [1, 1]
    assert [writing(nothing, 1), writing(nothing, 1)] == [1, 2]
    assert reading(nothing, 1) == 2
