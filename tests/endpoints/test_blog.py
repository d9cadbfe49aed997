"""The blog of the examples, over HTTP: on memory and on a server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.pages import ROOT
from tests.endpoints.conftest import keys_of
from tests.endpoints.web import Site
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from examples.blog.database import Database
    from tests.servers import Server


class Blog:
    """The running example."""

    def __init__(self, app: Any, cache: Any) -> None:
        self.cache = cache
        self.site = Site(app, cache)
        self.database: Database = app.state.database

    def queries(self, path: str) -> int:
        """Return how many queries one read takes; a hit takes none."""
        before = self.database.queries
        self.site.get(path)
        return self.database.queries - before


@pytest.fixture
def blog(backend_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Blog]:
    monkeypatch.setenv("BLOG_DATABASE", str(tmp_path / "unused.sqlite3"))
    monkeypatch.setenv("DUALCACHE_URL", "memory://")
    from examples.blog import app as example

    app = example.create_app(str(tmp_path / "blog.sqlite3"))
    with example.cache.override(patient(backend_url)):
        made = Blog(app, example.cache)
        yield made
        made.site.close()


def new_post(blog: Blog, author: str = "ada", **values: Any) -> dict[str, Any]:
    body = {"title": "Notes", "text": "on the engine"} | values
    post: dict[str, Any] = blog.site.write("POST", f"/users/{author}/posts", json=body)
    return post


def test_a_second_read_of_anything_takes_no_query(blog: Blog) -> None:
    new_post(blog)
    for path in (
        "/users/1/profile",
        "/users/ada/posts",
        "/posts/1",
        "/latest_posts",
        "/search?q=engine",
        "/live_stats",
    ):
        assert blog.queries(path) >= 1, path
        assert blog.queries(path) == 0, path


def test_a_new_post_appears_everywhere_at_once(blog: Blog) -> None:
    pages = ["/users/ada/posts", "/users/ada/posts?page=1", "/latest_posts", "/search?q=engine"]
    assert [blog.site.get(page) for page in pages] == [[], [], [], []]
    post = new_post(blog)
    assert [blog.site.get(page) for page in pages] == [[post]] * 4
    assert blog.site.get("/live_stats") == {"users": 2, "posts": 1}


def test_a_changed_post_is_seen_in_all_its_variants(blog: Blog) -> None:
    new_post(blog)
    new_post(blog, title="Other")
    assert blog.site.get("/posts/1?words=1")["text"] == "on"
    assert blog.site.get("/posts/2?words=1")["text"] == "on"
    blog.site.write("PUT", "/users/ada/posts/1", json={"title": "Notes", "text": "much better"})
    assert blog.site.get("/posts/1?words=1")["text"] == "much"
    assert blog.site.get("/posts/1")["text"] == "much better"
    assert blog.queries("/posts/2?words=1") == 0


def test_a_deleted_post_is_gone_and_others_posts_stay_cached(blog: Blog) -> None:
    new_post(blog)
    new_post(blog, author="bob")
    for path in ("/posts/1", "/users/ada/posts", "/users/bob/posts"):
        blog.site.get(path)
    assert blog.site.write("DELETE", "/users/ada/posts/1") == {"deleted": 1}
    assert blog.site.send("GET", "/posts/1").status_code == 404
    assert blog.site.get("/users/ada/posts") == []
    assert blog.queries("/users/bob/posts") == 0


def test_a_changed_profile_is_seen(blog: Blog) -> None:
    assert blog.site.get("/users/1/profile")["bio"] == "writes programs"
    blog.site.write("PUT", "/users/1/profile", json={"bio": "counts"})
    assert blog.site.get("/users/1/profile") == {"id": 1, "name": "ada", "bio": "counts"}
    assert blog.site.send("GET", "/users/9/profile").status_code == 404


def test_a_thread_that_publishes_drafts_is_seen_by_the_endpoints(blog: Blog) -> None:
    from examples.blog.publisher import publish_drafts

    draft = new_post(blog, is_draft=True)
    assert blog.site.send("GET", "/posts/1").status_code == 404
    for path in ("/latest_posts", "/users/ada/posts"):
        assert blog.site.get(path) == []
    thread = threading.Thread(target=publish_drafts, args=(blog.database, blog.cache))
    thread.start()
    thread.join()
    for path in ("/latest_posts", "/users/ada/posts"):
        assert blog.site.get(path) == [draft]
    assert blog.site.get("/posts/1") == draft


def test_the_application_starts_and_stops_with_its_thread(blog: Blog) -> None:
    from examples.blog import app as example

    app = example.create_app(str(blog.database.path))

    async def names() -> set[str]:
        async with example.lifespan(app):
            return {thread.name for thread in threading.enumerate()}

    assert "publisher" in blog.site.submit(names()).result(30)
    assert "publisher" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("backend_url", ["redis"], indirect=True)
def test_the_keys_are_those_that_the_readme_shows(redis_server: Server, blog: Blog) -> None:
    new_post(blog)
    for path in ("/posts/1", "/users/ada/posts", "/latest_posts", "/users/1/profile"):
        blog.site.get(path)
    assert keys_of(redis_server) == {
        "post_cache:1:words=0",
        "ada_posts:page_1:items_per_page_10:ada",
        "latest_posts:global",
        "user_profile:1",
    }


def test_without_a_setting_the_example_leaves_no_file_behind(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    code = "from examples.blog import app; print(app.app.state.database.path.exists())"
    outside = {name: value for name, value in os.environ.items() if "CACHE_" not in name}
    outside |= {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    outside.pop("BLOG_DATABASE", None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=60, cwd=tmp_path, env=outside, check=True,
    )  # fmt: skip
    assert done.stdout == "True\n"
    assert list(tmp_path.iterdir()) == [temporary]
    assert list(temporary.iterdir()) == []
