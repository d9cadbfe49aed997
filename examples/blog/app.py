"""A small blog on FastAPI whose reads are cached and whose writes delete what they change.

Run it with `uvicorn examples.blog.app:app`; see README.md beside this file.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sqlite3
import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import aiosqlite
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request

from dualcache import Cache
from examples.blog.database import Database, connected, connected_now, database
from examples.blog.models import NewPost, Post, Profile, ProfileUpdate, Statistics
from examples.blog.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

# Where it lives: DUALCACHE_URL or REDIS_CACHE_HOST, else the memory of this process.
cache = Cache()
router = APIRouter()

# Neither the database nor its connections become part of a key: connections are known, and what is
# not known is named in ignore.
Data = Annotated[Database, Depends(database)]
Connection = Annotated[aiosqlite.Connection, Depends(connected)]
ConnectionNow = Annotated[sqlite3.Connection, Depends(connected_now)]

POST = "select id, author, title, text from posts where not is_draft"


@router.get("/users/{user_id}/profile")
@cache(key_prefix="user_profile", ignore=("data",), expiration=3600)
async def get_profile(
    request: Request, user_id: int, data: Data, connection: Connection
) -> Profile:
    """Stored as `user_profile:1`."""
    rows = await data.fetch(connection, "select id, name, bio from users where id = ?", user_id)
    if not rows:
        raise HTTPException(404)
    return Profile(id=rows[0][0], name=rows[0][1], bio=rows[0][2])


@router.put("/users/{user_id}/profile")
@cache(
    key_prefix="user_profile",
    to_invalidate_extra={"live_stats": "global"},
    pattern_to_invalidate_extra=["user_{user_id}_*", "*_user_{user_id}_*", "search_results:*"],
)
async def update_profile(
    request: Request, user_id: int, values: ProfileUpdate, data: Data, connection: Connection
) -> ProfileUpdate:
    await data.change(connection, "update users set bio = ? where id = ?", values.bio, user_id)
    return values


@router.get("/users/{username}/posts")
@cache(
    key_prefix="{username}_posts:page_{page}:items_per_page_{items_per_page}",
    resource_id_name="username",
    ignore=("data",),
    expiration=60,
)
async def get_posts(
    request: Request,
    username: str,
    data: Data,
    connection: Connection,
    page: Annotated[int, Query(ge=1)] = 1,
    items_per_page: Annotated[int, Query(ge=1, le=100)] = 10,
) -> list[Post]:
    """Stored as `ada_posts:page_1:items_per_page_10:ada`."""
    rows = await data.fetch(
        connection,
        f"{POST} and author = ? order by id limit ? offset ?",
        username,
        items_per_page,
        (page - 1) * items_per_page,
    )
    return [post_of(row) for row in rows]


@router.post("/users/{username}/posts", status_code=201)
@cache(
    key_prefix="post_cache",
    to_invalidate_extra={"latest_posts": "global", "live_stats": "global"},
    pattern_to_invalidate_extra=["{username}_posts:*", "search_results:*"],
)
async def create_post(
    request: Request, username: str, values: NewPost, data: Data, connection: Connection
) -> Post:
    """A creation has no id yet, so nothing of its own to delete."""
    post_id = await data.change(
        connection,
        "insert into posts (author, title, text, is_draft) values (?, ?, ?, ?)",
        username,
        values.title,
        values.text,
        values.is_draft,
    )
    return Post(id=post_id, author=username, title=values.title, text=values.text)


@router.get("/posts/{post_id}")
@cache(key_prefix="post_cache", ignore=("data",))
async def get_post(
    request: Request, post_id: int, data: Data, connection: Connection, words: int = 0
) -> Post:
    """Stored as `post_cache:1:words=0`, which dies with `post_cache:1`."""
    rows = await data.fetch(connection, f"{POST} and id = ?", post_id)
    if not rows:
        raise HTTPException(404)
    post = post_of(rows[0])
    return post.model_copy(update={"text": " ".join(post.text.split()[:words])}) if words else post


@router.put("/users/{username}/posts/{post_id}")
@cache(
    key_prefix="post_cache",
    to_invalidate_extra={"latest_posts": "global"},
    pattern_to_invalidate_extra=["{username}_posts:*", "search_results:*"],
)
async def update_post(
    request: Request,
    username: str,
    post_id: int,
    values: NewPost,
    data: Data,
    connection: Connection,
) -> Post:
    await data.change(
        connection,
        "update posts set title = ?, text = ? where id = ? and author = ?",
        values.title,
        values.text,
        post_id,
        username,
    )
    return Post(id=post_id, author=username, title=values.title, text=values.text)


@router.delete("/users/{username}/posts/{post_id}")
@cache(
    key_prefix="post_cache",
    to_invalidate_extra={"latest_posts": "global", "live_stats": "global"},
    pattern_to_invalidate_extra=["{username}_posts:*", "search_results:*"],
)
def delete_post(
    request: Request, username: str, post_id: int, connection: ConnectionNow
) -> dict[str, int]:
    """A plain `def`: FastAPI runs it in a thread."""
    connection.execute("delete from posts where id = ? and author = ?", (post_id, username))
    connection.commit()
    return {"deleted": post_id}


@router.get("/latest_posts")
@cache(key_prefix="latest_posts", ignore=("data",), expiration=60)
def latest_posts(request: Request, data: Data, connection: ConnectionNow) -> list[Post]:
    """Stored as `latest_posts:global`: there is nothing that could be an id."""
    rows = data.fetch_now(connection, f"{POST} order by id desc limit 5")
    return [post_of(row) for row in rows]


@router.get("/search")
@cache(key_prefix="search_results", resource_id_name="q", ignore=("data",), expiration=30)
async def search(request: Request, q: str, data: Data, connection: Connection) -> list[Post]:
    rows = await data.fetch(connection, f"{POST} and instr(title || ' ' || text, ?) > 0", q)
    return [post_of(row) for row in rows]


@router.get("/live_stats")
@cache(key_prefix="live_stats", ignore=("data",), expiration=10)
def live_stats(data: Data, connection: ConnectionNow) -> Statistics:
    """Without a request an endpoint is a read; `lifespan` refuses it under another method."""
    (users,) = data.fetch_now(connection, "select count(*) from users")[0]
    (posts,) = data.fetch_now(connection, "select count(*) from posts where not is_draft")[0]
    return Statistics(users=users, posts=posts)


def post_of(row: tuple[int, str, str, str]) -> Post:
    return Post(id=row[0], author=row[1], title=row[2], text=row[3])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Open the cache, check the routes, and let the publisher run beside the requests."""
    publisher = Publisher(app.state.database, cache)
    async with cache.lifespan(app):
        publisher.start()
        try:
            yield
        finally:
            publisher.stop()


def create_app(path: str) -> FastAPI:
    app = FastAPI(title="Blog", lifespan=lifespan)
    app.state.database = Database(path)
    app.include_router(router)
    return app


def temporary_database() -> str:
    """Return the path of a database that goes with this process."""
    folder = tempfile.mkdtemp(prefix="blog-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return f"{folder}/blog.sqlite3"


app = create_app(os.environ.get("BLOG_DATABASE") or temporary_database())
