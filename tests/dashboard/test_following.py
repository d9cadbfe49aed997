"""The event list of a dashboard that runs alone: changes by all processes."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache
from dualcache.cli.changes import Watcher
from dualcache.cli.following import Follower
from dualcache.dashboard import Dashboard
from tests.dashboard.conftest import Visitor
from tests.fleets.waiting import STATE_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server


@pytest.fixture
def page(shop: Cache) -> Iterator[Dashboard]:
    with Dashboard(shop, every=3600, follows=True) as page, Follower(shop, page):
        yield page


def told_by(page: Dashboard) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what the event list says of each key, by its newest lines."""
    events = Visitor(page).json("/api/overview")["events"]
    return {(each["name"], each["template"]): each["fields"] for each in reversed(events)}


def test_changes_by_other_processes_are_in_the_list_of_events(
    redis_server: Server, page: Dashboard
) -> None:
    assert Visitor(page).json("/api/session")["follows"] is True
    with Cache(redis_server.url, namespace="shop") as other:

        def is_told(name: str, about: str) -> dict[str, Any] | None:
            # Again each time: the first change may come before the server is listened to.
            other.set("user:1", 1, ttl=60)
            other.invalidate("user:2")
            other.set("user:2", 2)
            other.invalidate("user:2")
            fields = told_by(page).get((name, about))
            return None if fields is None else {"fields": fields}

        stored = until(lambda: is_told("stored", "user:1"), "the store is in the list")
        assert stored["fields"]["detail"].startswith("ttl ")
        assert until(lambda: is_told("gone", "user:2"), "the deletion is in the list")


def test_nobody_listens_before_a_page_is_open(redis_server: Server, page: Dashboard) -> None:
    assert not page.is_watched
    assert "dualcache-watch" not in {thread.name for thread in threading.enumerate()}
    Visitor(page).json("/api/overview")
    assert page.is_watched


def test_a_server_that_does_not_send_changes_is_told_once(redis_server: Server) -> None:
    redis_server.cli("ACL", "SETUSER", "quiet", "on", ">pw", "~*", "+@all", "-client")
    url = redis_server.url.replace("//", "//quiet:pw@")
    try:
        with (
            Cache(url, namespace="shop") as cache,
            Dashboard(cache, every=3600) as page,
            Follower(cache, page),
        ):
            line = ("not followed", "")
            told = until(lambda: told_by(page).get(line), "the list says why it is empty")
    finally:
        redis_server.cli("ACL", "DELUSER", "quiet")
    assert "+client|tracking" in told["help"]


def test_of_keys_that_change_together_some_are_looked_at(shop: Cache) -> None:
    with Watcher(shop, most=2) as watcher:
        shop.set_many({f"n:{number}": number for number in range(50)})
        changes = watcher.changes(monotonic() + STATE_SECONDS)
        more = next(change for change in changes if change.what == "more")
    assert more.detail.endswith(" other keys changed")
