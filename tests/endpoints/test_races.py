"""Requests that overlap, servers that stop, thread pools that are full: no stale answer, no 500."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

from dualcache import Cache
from tests.endpoints.conftest import Stage, keys_of
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bodies import Gate
    from tests.endpoints.web import Site
    from tests.servers import Server


def posts(stage: Stage, gate: Gate | None = None) -> Site:
    """Return a client of posts with pages; the body of a read passes the gate."""
    app = FastAPI()
    texts = {"text": "old"}

    async def read(request: Request, post_id: int, page: int = 1) -> dict[str, Any]:
        stage.count("read")
        seen = texts["text"]
        if gate is not None:
            await gate.passed()
        return {"text": seen, "page": page}

    def write(request: Request, post_id: int, text: str) -> None:
        texts["text"] = text

    app.get("/posts/{post_id}")(stage.endpoint(key_prefix="post")(read))
    app.put("/posts/{post_id}")(stage.endpoint(key_prefix="post", ignore=("text",))(write))
    everything = stage.endpoint(
        key_prefix="all_posts", pattern_to_invalidate_extra=["post:*", "other:*"]
    )
    app.post("/posts/{post_id}")(everything(write))
    return stage.site(app)


def test_twenty_misses_at_once_run_the_body_once(stage: Stage) -> None:
    gate = stage.gate()
    site = posts(stage, gate)
    answers = [site.start("GET", "/posts/1?page=2") for _ in range(20)]
    gate.wait_until_entered()
    gate.open()
    bodies = [answer.result(30).json() for answer in answers]
    assert bodies == [{"text": "old", "page": 2}] * 20
    assert stage.counts == {"read": 1}


def overtaken(stage: Stage, path: str, write: str) -> None:
    gate = stage.gate()
    site = posts(stage, gate)
    first = site.start("GET", path)
    gate.wait_until_entered()
    site.write(write, "/posts/1?text=new")
    second = site.start("GET", path)
    gate.wait_until_entered(2)
    gate.open()
    assert first.result(30).json()["text"] == "old"
    assert second.result(30).json()["text"] == "new"
    assert site.get(path)["text"] == "new"


def test_a_write_that_overtakes_a_read_leaves_nothing_stale(stage: Stage) -> None:
    overtaken(stage, "/posts/1", "PUT")


def test_a_write_that_overtakes_a_variant_leaves_nothing_stale(stage: Stage) -> None:
    overtaken(stage, "/posts/1?page=2", "PUT")


def test_a_pattern_that_overtakes_a_variant_leaves_nothing_stale(stage: Stage) -> None:
    overtaken(stage, "/posts/1?page=2", "POST")


DELETES: dict[str, Callable[[Stage, Site], object]] = {
    "key": lambda stage, _: stage.cache.invalidate("post:1"),
    "pattern": lambda stage, _: stage.cache.invalidate(patterns=["post:*"]),
    "pattern of the base alone": lambda stage, _: stage.cache.invalidate(patterns=["*:1"]),
    "put": lambda _, site: site.write("PUT", "/posts/1?text=new"),
    "pattern of a post": lambda _, site: site.write("POST", "/posts/1?text=new"),
    "async": lambda stage, site: site.submit(stage.cache.aio.invalidate("post:1")).result(10),
    "set": lambda stage, _: stage.cache.set("post:1", {"text": "set", "page": 0}),
}


@pytest.mark.parametrize("how", list(DELETES))
def test_variants_die_with_every_delete_of_their_base(stage: Stage, how: str) -> None:
    site = posts(stage)
    paths = [f"/posts/1?page={page}" for page in (1, 2)]
    for path in paths * 2:
        site.get(path)
    assert stage.counts == {"read": 2}
    DELETES[how](stage, site)
    for path in paths * 2:
        site.get(path)
    assert stage.counts == {"read": 2 if how == "set" else 4}


def test_deleting_a_base_costs_the_same_for_any_number_of_variants(
    redis_server: Server, redis_stage: Stage
) -> None:
    site = posts(redis_stage)
    for page in range(50):
        site.get(f"/posts/1?page={page}")
    before = int(redis_server.cli("INFO", "stats")["total_commands_processed"])
    site.write("PUT", "/posts/1?text=new")
    after = int(redis_server.cli("INFO", "stats")["total_commands_processed"])
    assert after - before <= 5
    assert site.get("/posts/1?page=7")["text"] == "new"


def test_variants_are_stored_under_their_base_and_the_difference(
    redis_server: Server, redis_stage: Stage
) -> None:
    site = posts(redis_stage)
    site.get("/posts/1?page=2")
    assert keys_of(redis_server) == {"post:1:page=2"}
    assert redis_server.cli("EXISTS", "~b:post:1") == 1


def test_a_namespace_stands_before_keys_and_base_tags(redis_server: Server, is_async: bool) -> None:
    stage = Stage(Cache(patient(redis_server.url), namespace="shop"), is_async=is_async)
    site = posts(stage)
    site.get("/posts/1?page=2")
    assert set(redis_server.cli("KEYS", "*")) == {b"shop:post:1:page=2", b"shop:~b:post:1"}
    site.write("POST", "/posts/1?text=new")
    assert site.get("/posts/1?page=2")["text"] == "new"
    stage.close()


def test_a_server_that_stops_in_between_never_makes_a_500(
    own_server: Server, is_async: bool
) -> None:
    stage = Stage(Cache(own_server.url, socket_timeout=0.1), is_async=is_async)
    gate = stage.gate()
    site = posts(stage, gate)
    under_way = site.start("GET", "/posts/1")
    gate.wait_until_entered()
    own_server.kill()
    gate.open()
    assert under_way.result(30).json()["text"] == "old"
    assert site.get("/posts/1")["text"] == "old"
    site.write("PUT", "/posts/1?text=new")
    site.write("POST", "/posts/1?text=newer")
    assert site.get("/posts/1?page=2")["text"] == "newer"
    assert site.send("HEAD", "/posts/1").status_code == 405
    stage.close()


def test_what_was_written_while_the_server_was_paused_is_not_stale_afterwards(
    own_server: Server, is_async: bool
) -> None:
    stage = Stage(Cache(own_server.url, socket_timeout=0.1), is_async=is_async)
    site = posts(stage)
    for page in (1, 2):
        assert site.get(f"/posts/1?page={page}")["text"] == "old"
    own_server.pause()
    site.write("PUT", "/posts/1?text=new")
    own_server.resume()
    for page in (1, 2):
        assert site.get(f"/posts/1?page={page}")["text"] == "new"
    stage.close()


def test_sixty_plain_endpoints_that_wait_for_one_load_do_not_starve_the_pool() -> None:
    cache = Cache("memory://")
    stage = Stage(cache, is_async=False)
    gate = stage.gate()
    site = posts(stage, gate)
    answers = [site.start("GET", "/posts/1") for _ in range(60)]
    gate.wait_until_entered()
    gate.open()
    assert {answer.result(30).json()["text"] for answer in answers} == {"old"}
    assert stage.counts == {"read": 1}
    stage.close()


def test_a_load_that_needs_a_thread_gets_one_though_all_of_them_wait_for_it() -> None:
    """The bound of the wait frees the threads: then the waiters load themselves."""
    cache = Cache("memory://")
    stage = Stage(cache, is_async=True)
    entered = stage.gate()
    app = FastAPI()

    @app.get("/lead")
    @cache(key_prefix="shared")
    async def lead(request: Request) -> str:
        await entered.passed()
        return await run_in_threadpool(lambda: "led")

    @app.get("/follow")
    @cache(key_prefix="shared")
    def follow(request: Request) -> str:
        return "followed"

    site = stage.site(app)
    site.get("/follow")  # a load that was measured: without one the bound is 30 s
    cache.invalidate("shared:global")
    leading = site.start("GET", "/lead")
    entered.wait_until_entered()
    following = [site.start("GET", "/follow") for _ in range(45)]
    entered.open()
    assert leading.result(30).json() == "led"
    assert {answer.result(30).json() for answer in following} <= {"led", "followed"}
    stage.close()
