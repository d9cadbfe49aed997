"""The conformance suite, on the backends that come with the library, and on broken ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache
from dualcache.core.ops import Commit, CommitReply
from dualcache.testing.conformance import CacheConformance, Made

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.backends.memory import MemoryStore
    from tests.servers import Server


class TestMemory(CacheConformance):
    is_shared = False

    def make_cache(self, **options: Any) -> Cache:
        return Cache("memory://", **options)


class TestServer(CacheConformance):
    @pytest.fixture(autouse=True)
    def _server(self, redis_server: Server) -> None:
        self.url = redis_server.url

    def make_cache(self, **options: Any) -> Cache:
        return Cache(self.url, socket_timeout=3, socket_connect_timeout=3, **options)


class TestServerWithFrontTier(TestServer):
    def make_cache(self, **options: Any) -> Cache:
        return super().make_cache(front=1_000, **options)


def store_always(store: MemoryStore, op: Any) -> Any:
    """A store that does not compare before it stores."""
    if isinstance(op, Commit):
        store._put(op.key, op.blob, op.ttl_ms)
        return CommitReply.STORED
    return type(store).perform(store, op)


def lose_deletions(store: Any, op: Any) -> Any:
    """A store that acknowledges deletions and forgets them."""
    store._remove = lambda _: True
    return type(store).perform(store, op)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("fault", "test", "arguments"),
    [
        (store_always, "test_a_load_that_began_before_an_invalidation_is_not_stored", ["key"]),
        (store_always, "test_a_load_that_began_before_a_set_does_not_replace_it", []),
        (lose_deletions, "test_what_is_invalidated_is_gone_and_nothing_else", ["key"]),
        (lose_deletions, "test_what_is_invalidated_is_gone_and_nothing_else", ["tag"]),
        (lose_deletions, "test_an_outage_costs_loads_and_no_invalidation", []),
    ],
)
def test_the_suite_finds_a_store_that_breaks_a_rule(
    fault: Callable[[MemoryStore, Any], Any],
    test: str,
    arguments: list[str],
    is_async: bool,
) -> None:
    def make(**options: Any) -> Cache:
        cache = Cache("memory://", **options)
        store: Any = cache._runtime.backend._store
        store.perform = lambda op: fault(store, op)
        return cache

    made = Made(make, is_async=is_async)
    try:
        with pytest.raises(AssertionError):
            getattr(TestMemory(), test)(made, *arguments)
    finally:
        made.close()
