"""The documented endpoints over HTTP, on a real server: which keys they leave, and delete."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import Body, FastAPI, Request
from pydantic import BaseModel

from tests.endpoints.conftest import keys_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.endpoints.conftest import Stage
    from tests.endpoints.web import Site
    from tests.servers import Server


class ProfileUpdate(BaseModel):
    name: str


def documented(stage: Stage) -> FastAPI:
    """Build the application of the examples."""
    app = FastAPI()
    readers(stage, app)
    searches(stage, app)
    writers(stage, app)
    return app


def readers(stage: Stage, app: FastAPI) -> None:
    @app.get("/posts/{post_id}")
    @stage.endpoint(key_prefix="post_cache", expiration=3600)
    def get_post(request: Request, post_id: int) -> dict[str, Any]:
        return {"id": post_id, "run": stage.count("post")}

    @app.get("/users/{username}/posts")
    @stage.endpoint(
        key_prefix="{username}_posts:page_{page}:items_per_page_{items_per_page}",
        resource_id_name="username",
        expiration=60,
    )
    def get_posts(
        request: Request, username: str, page: int = 1, items_per_page: int = 10
    ) -> dict[str, Any]:
        return {"user": username, "page": page, "run": stage.count("posts")}

    @app.get("/orgs/{org_id}/departments/{dept_id}/employees")
    @stage.endpoint(key_prefix="org_{org_id}_dept_{dept_id}_employees", resource_id_name="dept_id")
    def get_employees(request: Request, org_id: int, dept_id: int) -> list[int]:
        return [org_id, dept_id, stage.count("employees")]

    @app.get("/users/{user_id}/profile")
    @stage.endpoint(key_prefix="user_profile", resource_id_name="user_id")
    def get_profile(request: Request, user_id: int) -> dict[str, Any]:
        return {"id": user_id, "run": stage.count("profile")}

    for name in ("countries", "latest_posts", "live_stats"):

        @app.get(f"/{name}")
        @stage.endpoint(key_prefix=name, expiration=10)
        def get_without_id(request: Request) -> int:
            return stage.count(request.url.path)


def searches(stage: Stage, app: FastAPI) -> None:
    @app.get("/search/{term}")
    @stage.endpoint(key_prefix="search_results", resource_id_type=(int, str))
    def search(request: Request, term: int | str) -> list[Any]:
        return [term, stage.count("search")]

    @app.get("/items/{item_id}")
    @stage.endpoint(key_prefix="item", resource_id_type=uuid.UUID)
    def get_item(request: Request, item_id: uuid.UUID) -> int:
        return stage.count("item")


def writers(stage: Stage, app: FastAPI) -> None:
    @app.post("/posts")
    @stage.endpoint(
        key_prefix="user_posts",
        to_invalidate_extra={"latest_posts": "global", "post_cache": "{replaces}"},
    )
    def create_post(request: Request, replaces: int, text: Annotated[str, Body()]) -> str:
        return text

    @app.put("/posts/{post_id}")
    @app.delete("/posts/{post_id}")
    @stage.endpoint(key_prefix="post_cache", resource_id_name="post_id")
    def write_post(request: Request, post_id: int) -> dict[str, int]:
        return {"written": post_id}

    @app.put("/users/{user_id}/profile")
    @stage.endpoint(
        key_prefix="user_profile",
        resource_id_name="user_id",
        to_invalidate_extra={"{data.name}_latest": "{user_id}:{data.name}"},
        pattern_to_invalidate_extra=[
            "user_{user_id}_*",
            "*_user_{user_id}_*",
            "search_results_*",
        ],
    )
    def update_profile(request: Request, user_id: int, data: ProfileUpdate) -> ProfileUpdate:
        return data


@pytest.fixture
def site(redis_stage: Stage) -> Site:
    return redis_stage.site(documented(redis_stage))


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/posts/123", "post_cache:123"),
        ("/users/johndoe/posts", "johndoe_posts:page_1:items_per_page_10:johndoe"),
        ("/users/jane/posts?page=2&items_per_page=5", "jane_posts:page_2:items_per_page_5:jane"),
        ("/orgs/1/departments/2/employees", "org_1_dept_2_employees:2"),
        ("/users/7/profile", "user_profile:7"),
        ("/countries", "countries:global"),
        ("/latest_posts", "latest_posts:global"),
        ("/live_stats", "live_stats:global"),
        ("/search/red%20shoes", "search_results:red%20shoes"),
        ("/search/12", "search_results:12"),
        ("/search/a*", "search_results:a%2A"),
        (f"/items/{uuid.UUID(int=9)}", f"item:{uuid.UUID(int=9)}"),
    ],
)
def test_a_read_is_stored_under_exactly_one_key(
    redis_server: Server, site: Site, path: str, key: str
) -> None:
    first = site.get(path)
    assert keys_of(redis_server) == {key}
    assert site.get(path) == first
    assert set(redis_server.cli("KEYS", "*")) == {key.encode()}


def test_the_lifetime_is_the_one_written(redis_server: Server, site: Site) -> None:
    site.get("/users/johndoe/posts")
    site.get("/posts/1")
    site.get("/orgs/1/departments/2/employees")
    assert 50 <= redis_server.cli("TTL", "johndoe_posts:page_1:items_per_page_10:johndoe") <= 60
    assert 3400 <= redis_server.cli("TTL", "post_cache:1") <= 3600
    assert 3400 <= redis_server.cli("TTL", "org_1_dept_2_employees:2") <= 3600


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_write_deletes_its_own_key_and_leaves_the_others(
    redis_server: Server, site: Site, method: str
) -> None:
    for path in ("/posts/1", "/posts/2", "/users/1/profile", "/latest_posts"):
        site.get(path)
    assert site.write(method, "/posts/1") == {"written": 1}
    assert keys_of(redis_server) == {"post_cache:2", "user_profile:1", "latest_posts:global"}


def test_a_creation_deletes_the_extra_keys_only(redis_server: Server, site: Site) -> None:
    for path in ("/posts/1", "/posts/2", "/latest_posts", "/countries"):
        site.get(path)
    assert site.write("POST", "/posts?replaces=2", json="hello") == "hello"
    assert keys_of(redis_server) == {"post_cache:1", "countries:global"}


def test_an_update_deletes_what_its_patterns_match(redis_server: Server, site: Site) -> None:
    dying = {
        "user_7_posts:1",
        "user_7_:x",
        "all_user_7_x:1",
        "search_results_x:1",
        "ann_latest:7:ann",
    }
    living = {
        "user_77_posts:1",
        "user_8_posts:1",
        "user_70_x",
        "all_user_77_x:1",
        "search_result:1",
    }
    for key in dying | living:
        redis_server.cli("SET", key, "x")
    for path in ("/users/7/profile", "/users/8/profile", "/search/x"):
        site.get(path)
    site.write("PUT", "/users/7/profile", json={"name": "ann"})
    assert keys_of(redis_server) == living | {"user_profile:8", "search_results:x"}


def test_an_update_is_seen_by_the_next_read(site: Site) -> None:
    assert site.get("/users/7/profile")["run"] == 1
    assert site.get("/users/7/profile")["run"] == 1
    site.write("PUT", "/users/7/profile", json={"name": "ann"})
    assert site.get("/users/7/profile")["run"] == 2


def test_glob_characters_in_values_are_no_wildcards(
    redis_server: Server, redis_stage: Stage
) -> None:
    app = FastAPI()

    @app.put("/groups/{group_id}")
    @redis_stage.endpoint(
        key_prefix="group",
        resource_id_name="group_id",
        pattern_to_invalidate_extra=["members_{group_id}_[ab]?:*"],
    )
    def write(request: Request, group_id: str) -> None: ...

    escaped = redis_stage.cache.key("{g}", g="*[a-z]?")
    for key in (f"members_{escaped}_a1:x", "members_any_a1:x", f"members_{escaped}_c1:x"):
        redis_server.cli("SET", key, "x")
    site = redis_stage.site(app)
    site.write("PUT", "/groups/*[a-z]%3F")
    assert keys_of(redis_server) == {"members_any_a1:x", f"members_{escaped}_c1:x"}


def test_a_pattern_without_a_wildcard_at_its_end_reaches_what_begins_with_it(
    redis_server: Server, redis_stage: Stage
) -> None:
    app = FastAPI()

    @app.put("/users/{user_id}")
    @redis_stage.endpoint(
        key_prefix="user",
        pattern_to_invalidate_extra=["{user_id}_feed", "by_{user_id}", "old_?"],
    )
    def write(request: Request, user_id: int) -> None: ...

    dying = {"5_feed", "5_feed:latest:5", "by_5", "by_5:page", "by_55", "old_1"}
    living = {"15_feed", "6_feed:latest:6", "by_6", "old_12", "a_by_5"}
    for key in dying | living:
        redis_server.cli("SET", key, "x")
    redis_stage.site(app).write("PUT", "/users/5")
    assert keys_of(redis_server) == living


def test_patterns_find_everything_among_many_keys(redis_server: Server, site: Site) -> None:
    redis_server.client().mset({f"other:{number}": "x" for number in range(20_000)})
    redis_server.client().mset({f"user_7_{number}": "x" for number in range(3_000)})
    site.write("PUT", "/users/7/profile", json={"name": "ann"})
    assert redis_server.cli("DBSIZE") == 20_000
    assert b"cmdstat_keys" not in bytes(str(redis_server.cli("INFO", "commandstats")), "utf-8")


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("/images/5?width=3", "/images/3?width=5"),
        ("/images/5?paid=7", "/images/7?paid=5"),
        ("/images/5", "/images/5?paid=1"),
        ("/images/5?width=1", "/images/5?width=2"),
        ("/images/5?q=a", "/images/5?q=b"),
        ("/images/5?q=None", "/images/5"),
        ("/images/5?q=", "/images/5"),
        ("/images/5?q=a%3Awidth%3D1", "/images/5?q=a&width=1"),
        ("/images/5?tags=a&tags=b", "/images/5?tags=a,b"),
        ("/images/5?tags=a", "/images/5?tags=b"),
    ],
)
def test_requests_that_differ_never_share(stage: Stage, path: str, other: str) -> None:
    site = stage.site(image_app(stage))
    first, second = site.get(path), site.get(other)
    assert first != second
    assert (site.get(path), site.get(other)) == (first, second)


def image_app(stage: Stage) -> FastAPI:
    from fastapi import Query

    app = FastAPI()

    def image(
        request: Request,
        image_id: int,
        width: int = 100,
        paid: int = 0,
        q: str | None = None,
        tags: list[str] | None = Query(default=None),  # noqa: B008
    ) -> dict[str, Any]:
        return {"seen": [image_id, width, paid, q, tags], "run": stage.count("image")}

    decorate: Callable[..., Any] = stage.endpoint(key_prefix="image")
    app.get("/images/{image_id}")(decorate(image))
    return app
