"""Invalidation when a transaction commits, for decorated functions and for Django's cache API."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import pytest
from django.core.cache import cache as default_cache
from django.db import connections
from django.db.transaction import atomic as django_atomic

from dualcache.integrations.django import dualcache_of, invalidate_on_commit
from tests.colours import SyncColour
from tests.integrations.django.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from tests.integrations.django.project import Face


@pytest.fixture
def cache(backend_url: str) -> Iterator[Face]:
    """The default cache; transactions are for sync code only."""
    colour = SyncColour()
    project = Project(colour, backend_url)
    yield project.use()
    project.close()
    connections.close_all()
    colour.close()


def atomic() -> AbstractContextManager[None]:
    """Begin a transaction, or a savepoint inside of one."""
    made: Any = django_atomic()  # Django has no types, and what a checker infers is wrong
    return cast("AbstractContextManager[None]", made)


class RolledBack(Exception):
    pass


def test_it_waits_for_the_commit(cache: Face) -> None:
    cache.set("key", 1)
    cache.set("tagged", 1, tags=["users"])
    cache.set("page:1", 1)
    with atomic():
        invalidate_on_commit(default_cache, "key", tags=iter(["users"]), patterns=iter(["page:*"]))
        assert set(cache.get_many(["key", "tagged", "page:1"])) == {"key", "tagged", "page:1"}
    assert cache.get_many(["key", "tagged", "page:1"]) == {}


def test_a_rollback_invalidates_nothing(cache: Face) -> None:
    cache.set("outer", 1)
    cache.set("inner", 1)
    with atomic():
        invalidate_on_commit(default_cache, "outer")
        with suppress(RolledBack), atomic():
            invalidate_on_commit(default_cache, "inner")
            raise RolledBack
    assert cache.get_many(["outer", "inner"]) == {"inner": 1}


def test_outside_of_a_transaction_it_is_at_once(cache: Face) -> None:
    cache.set("key", 1)
    invalidate_on_commit(default_cache, "key", using="default")
    assert cache.has_key("key") is False


def test_with_a_hold_nothing_is_stored_until_the_commit(cache: Face) -> None:
    cache.set("key", "old")
    with atomic():
        invalidate_on_commit(default_cache, "key", hold=60)
        assert cache.get_or_set("key", "old") == "old"  # what others still read from the database
        assert cache.has_key("key") is False
    assert cache.has_key("key") is False


def test_decorated_functions_share_the_cache_and_its_invalidation(cache: Face) -> None:
    shared = dualcache_of()
    rows = {1: "old"}

    @shared(ttl="5m", key="row:{row_id}", tags=["rows"])
    def get_row(row_id: int) -> str:
        return rows[row_id]

    def changed_to(value: str, *keys: str, tags: Sequence[str] = ()) -> None:
        with atomic():
            rows[1] = value
            invalidate_on_commit(shared, *keys, tags=tags)
            assert get_row(1) != value
        assert get_row(1) == value

    assert get_row(1) == "old"
    changed_to("new", "row:1")
    changed_to("newer", tags=["rows"])
    cache.invalidate(tags=["rows"])
    assert get_row.peek(1) is None
    cache.clear()
    assert shared is cache.dualcache
