"""A job in a plain thread: it publishes drafts, and tells the cache through its sync face."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualcache import Cache
    from examples.blog.database import Database


def publish_drafts(database: Database, cache: Cache) -> int:
    """Publish every draft, then delete what shows posts; return how many there were."""
    with closing(sqlite3.connect(database.path)) as connection:
        drafts = connection.execute("select id, author from posts where is_draft").fetchall()
        connection.execute("update posts set is_draft = 0 where is_draft")
        connection.commit()
    if drafts:
        cache.invalidate(
            "latest_posts:global",
            "live_stats:global",
            *[cache.key("post_cache:{id}", id=post_id) for post_id, _ in drafts],
            patterns=[
                "search_results:*",
                *[cache.key("{author}_posts:", author=author) + "*" for _, author in drafts],
            ],
        )
    return len(drafts)


class Publisher(threading.Thread):
    """Publishes what is due every `seconds`, until it is stopped."""

    def __init__(self, database: Database, cache: Cache, seconds: float = 5) -> None:
        super().__init__(name="publisher", daemon=True)
        self._database = database
        self._cache = cache
        self._seconds = seconds
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self._seconds):
            publish_drafts(self._database, self._cache)

    def stop(self) -> None:
        self._stopped.set()
        self.join()
