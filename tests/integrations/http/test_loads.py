"""Many requests at once, stale responses, failures: the rules of any entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, HTTPException
from starlette.responses import JSONResponse

from dualcache import Cache
from dualcache.http.keys import vary_digest
from tests.endpoints.conftest import Stage
from tests.integrations.http.conftest import status_of, statuses

if TYPE_CHECKING:
    from tests.integrations.http.conftest import Shop


def test_many_requests_at_once_run_the_endpoint_once(shop: Shop) -> None:
    app, gate = FastAPI(), shop.gate()

    @app.get("/")
    @shop.http(ttl=60)
    async def read() -> int:
        await gate.passed()
        return shop.count("body")

    site = shop.site(app)
    site.submit(_lifespan(shop, app)).result(30)
    first = site.start("GET", "/")
    gate.wait_until_entered()
    others = [site.start("GET", "/") for _ in range(9)]
    shop.now += 1  # the response is younger than the requests that wait for it
    gate.open()
    assert [each.result(30).json() for each in (first, *others)] == [1] * 10
    assert status_of(first.result()) == {"fwd": "uri-miss", "stored": True}
    told = [status_of(each.result()) for each in others]
    assert all(each.get("collapsed") or each.get("hit") for each in told)


@pytest.mark.parametrize("reason", ["set-cookie", "status"])
def test_a_response_that_is_not_stored_is_given_to_no_other_request(
    shop: Shop, reason: str
) -> None:
    app, gate = FastAPI(), shop.gate()

    @app.get("/")
    @shop.http(ttl=60)
    async def read() -> Any:
        await gate.passed()
        run = shop.count("body")
        headers = {"set-cookie": f"session={run}"} if reason == "set-cookie" else {}
        return JSONResponse(run, 200 if headers else 404, headers)

    site = shop.site(app)
    site.submit(_lifespan(shop, app)).result(30)
    first = site.start("GET", "/")
    gate.wait_until_entered()
    others = [site.start("GET", "/") for _ in range(9)]
    gate.open()
    answers = [each.result(30) for each in (first, *others)]
    assert sorted(each.json() for each in answers) == list(range(1, 11))
    assert len(set(answers[0].headers.get_list("set-cookie"))) == (reason == "set-cookie")


def test_a_failure_is_shared_with_those_who_wait_and_never_stored(shop: Shop) -> None:
    app, gate = FastAPI(), shop.gate()

    @app.get("/")
    @shop.http(ttl=60)
    async def read() -> int:
        await gate.passed()
        raise HTTPException(503, str(shop.count("body")))

    site = shop.site(app)
    site.submit(_lifespan(shop, app)).result(30)
    first = site.start("GET", "/")
    gate.wait_until_entered()
    gate.open()
    answer = first.result(30)
    assert (answer.status_code, answer.json()) == (503, {"detail": "1"})
    assert status_of(answer) == {"fwd": "uri-miss", "detail": "status"}
    assert site.send("GET", "/").json() == {"detail": "2"}


def test_a_stale_response_stands_in_for_a_failure(memory_shop: Shop) -> None:
    app = FastAPI()

    @app.get("/")
    @memory_shop.http(ttl=60, stale_if_error=600)
    def read() -> int:
        if memory_shop.count("body") > 1:
            raise HTTPException(500)
        return 1

    site = memory_shop.site(app)
    assert site.get("/") == 1
    memory_shop.now += 100
    answer = site.send("GET", "/")
    assert (answer.status_code, answer.json()) == (200, 1)
    assert status_of(answer) == {"hit": True, "ttl": -40}
    memory_shop.cache.invalidate(tags=["/"])
    assert site.send("GET", "/").status_code == 500


def test_a_failure_counts_whatever_exceptions_the_cache_counts() -> None:
    shop = Stage(Cache("memory://", stale_on=ConnectionError), is_async=True)
    app = FastAPI()

    @app.get("/")
    @shop.cache.http(ttl=60, stale_if_error=600)
    async def read() -> int:
        if shop.count("body") > 1:
            raise HTTPException(500)
        return 1

    site = shop.site(app)
    assert site.get("/") == 1
    shop.cache.expire("http:GET:/#" + vary_digest([], ["accept-language"]))
    assert site.get("/") == 1
    assert shop.counts == {"body": 2}
    shop.close()


def test_a_stale_response_is_served_while_a_new_one_is_made(memory_shop: Shop) -> None:
    app, gate = FastAPI(), memory_shop.gate()

    @app.get("/")
    @memory_shop.http(ttl=60, stale_while_revalidate=600)
    async def read() -> int:
        if memory_shop.count("body") > 1:
            await gate.passed()
        return memory_shop.counts["body"]

    site = memory_shop.site(app)
    assert site.get("/") == 1
    memory_shop.now += 100
    assert [site.get("/"), site.get("/")] == [1, 1]
    gate.wait_until_entered()
    gate.open()
    while statuses(site, "/") != ["hit"] or site.get("/") != 2:
        pass
    assert memory_shop.counts == {"body": 2}


def test_a_refresh_whose_response_must_not_be_stored_ends_without_a_client(
    memory_shop: Shop,
) -> None:
    app, gate = FastAPI(), memory_shop.gate()

    @app.get("/")
    @memory_shop.http(ttl=60, stale_while_revalidate=600)
    async def read() -> Any:
        run = memory_shop.count("body")
        if run == 1:
            return 1
        await gate.passed()
        return JSONResponse(run, headers={"set-cookie": "a=b"})

    site = memory_shop.site(app)
    assert site.get("/") == 1
    memory_shop.now += 100
    assert site.get("/") == 1
    gate.wait_until_entered()
    gate.open()
    while site.get("/") == 1:
        pass
    assert memory_shop.counts["body"] >= 3


def test_a_client_that_leaves_hands_over_to_those_who_wait(memory_shop: Shop) -> None:
    app, gate = FastAPI(), memory_shop.gate()
    ended: list[str] = []

    @app.get("/")
    @memory_shop.http(ttl=60)
    async def read() -> int:
        run = memory_shop.count("body")
        try:
            await gate.passed()
        except BaseException as error:
            ended.append(type(error).__name__)
            raise
        return run

    site = memory_shop.site(app)
    site.submit(_lifespan(memory_shop, app)).result(30)
    first = site.start("GET", "/")
    gate.wait_until_entered()
    second = site.start("GET", "/")
    first.cancel()
    gate.wait_until_entered(2)
    gate.open()
    assert second.result(30).json() == 2
    assert ended in (["CancelledError"], ["Cancelled"])  # of asyncio, of trio


@pytest.mark.parametrize("options", [{"codec": "json"}, {"max_value_bytes": 3_000}])
def test_options_of_the_cache_for_its_values_hold_for_responses_as_far_as_they_can(
    is_async: bool, options: dict[str, Any]
) -> None:
    cache = Cache("memory://", **options)
    shop = Stage(cache, is_async=is_async)
    app = FastAPI()

    @app.get("/{size}")
    @cache.http(ttl=60)
    async def read(size: int) -> str:
        return "." * size

    site = shop.site(app)
    assert statuses(site, "/5", "/5") == ["uri-miss", "hit"]
    if "max_value_bytes" in options:
        told = {"fwd": "uri-miss", "detail": "size"}
        assert [status_of(site.send("GET", "/4000")) for _ in range(2)] == [told, told]
    shop.close()


def test_a_cache_that_is_off_runs_the_endpoint_each_time(memory_shop: Shop) -> None:
    app = FastAPI()

    @app.get("/")
    @memory_shop.http(ttl=60)
    def read() -> int:
        return memory_shop.count("body")

    site = memory_shop.site(app)

    async def ask() -> int:
        with memory_shop.cache.disabled():
            response = await site._client.get("/")
        assert status_of(response) == {"fwd": "uri-miss"}
        return int(response.json())

    assert [site.submit(ask()).result(30) for _ in range(2)] == [1, 2]
    assert memory_shop.cache.get("http:GET:/") is None


async def _lifespan(shop: Shop, app: FastAPI) -> None:
    async with shop.cache.lifespan(app):
        pass
