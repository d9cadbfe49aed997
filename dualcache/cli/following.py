"""Changes by all processes, for the event list of a dashboard that runs alone."""

from __future__ import annotations

from threading import Event as Signal
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisClusterException, RedisError

from dualcache import UsageError
from dualcache.cli.changes import Watcher

if TYPE_CHECKING:
    from dualcache import Cache
    from dualcache.dashboard import Dashboard

LOOK_SECONDS: Final = 0.2
"""How often a follower looks whether a page is open, and whether it is to end."""
RETRY_SECONDS: Final = 2.0
MOST_OF_A_PUSH: Final = 50
"""How many keys are looked at of those that change together: a page shows 200."""


class Follower:
    """Listens to the server while a page is open, in a thread that ends with it."""

    def __init__(self, cache: Cache, page: Dashboard) -> None:
        self._cache = cache
        self._page = page
        self._is_over = Signal()
        self._thread = Thread(target=self._run, name="dualcache-follow", daemon=True)

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        pause = LOOK_SECONDS
        while not self._is_over.wait(pause):
            pause = LOOK_SECONDS
            if not self._page.is_watched:
                continue
            try:
                self._follow()
            except UsageError as error:
                self._page.tell("not followed", "", help=error.help)
                return
            except (RedisError, RedisClusterException, OSError):
                pause = RETRY_SECONDS  # the page says that the server does not answer

    def _follow(self) -> None:
        """Hand over changes until no page is open."""
        with Watcher(self._cache, MOST_OF_A_PUSH) as watcher:
            while self._page.is_watched and not self._is_over.is_set():
                for change in watcher.changes(monotonic() + LOOK_SECONDS):
                    fields = {"detail": change.detail} if change.detail else {}
                    self._page.tell(change.what, change.name, **fields)
