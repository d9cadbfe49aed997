"""`touch`: entries that get a new life without being read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import UsageError
from tests.front.tiers import kept, tiered

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.proxy import Proxy
    from tests.servers import Server


def test_an_entry_lives_on_with_its_age_and_its_tags(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    colour.call(cache, "set", "k", [1], ttl=10, tags=["t"])
    assert colour.call(cache, "touch", "k", ttl="10m") is True
    entry = colour.call(cache, "peek", "k")
    assert (entry.value, entry.tags, entry.stale) == ([1], ("t",), False)
    assert 595 < entry.ttl < 601
    colour.call(cache, "invalidate", tags=["t"])
    assert colour.call(cache, "touch", "k") is False


def test_there_is_nothing_to_touch(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    assert colour.call(cache, "touch", "k") is False
    assert colour.call(cache, "contains", "k") is False


def test_several_keys_at_once(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "set_many", {"a": 1, "b": 2})
    assert colour.call(cache, "touch", "a", "b", "a", ttl=60) is True
    assert colour.call(cache, "touch", "a", "b", "none", ttl=60) is False
    assert colour.call(cache, "touch_many", ["b", "none", "a"], ttl=60) == ["b", "a"]
    assert 59 < colour.call(cache, "ttl", "a") <= 60


@pytest.mark.parametrize("ttl", [None, "1m"])
def test_what_a_function_stored_keeps_its_stale_window(
    colour: Colour, backend_url: str, ttl: Any
) -> None:
    cache = colour.cache(backend_url, stale_if_error=600, jitter=0)

    def load(n: int) -> int:
        return n

    cached = cache(key="n:{n}", ttl=10)(colour.function(load))
    colour.run(cached, 1)
    assert colour.call(cache, "touch", "n:1", ttl=ttl) is True
    left = colour.run(cached.peek, 1).ttl
    assert left is None if ttl is None else 655 < left < 661


def test_what_was_expired_is_not_touched(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "set", "k", 1)
    colour.call(cache, "expire", "k")
    assert colour.call(cache, "touch", "k") is False
    assert colour.call(cache, "get", "k") is None


def test_a_load_under_way_is_not_touched_and_is_stored(colour: Colour, backend_url: str) -> None:
    cache, gate = colour.cache(backend_url), colour.gate()

    async def new() -> str:
        await gate.passed()
        return "new"

    load = cache(key="k")(colour.function(new))
    loading = colour.start(load)
    gate.wait_until_entered()
    assert colour.call(cache, "touch", "k") is False
    gate.open()
    assert loading.result() == "new"
    assert colour.call(cache, "get", "k") == "new"


def test_a_refresh_under_way_is_stored(colour: Colour, backend_url: str) -> None:
    cache, gate = colour.cache(backend_url), colour.gate()

    async def new() -> str:
        await gate.passed()
        return "new"

    load = cache(key="k")(colour.function(new))
    colour.call(cache, "set", "k", "old")
    refreshing = colour.start(load.refresh)
    gate.wait_until_entered()
    assert colour.call(cache, "touch", "k", ttl=60) is True
    gate.open()
    assert refreshing.result() == "new"
    assert colour.call(cache, "get", "k") == "new"


@pytest.mark.parametrize("ttl", [0, "0s"])
def test_a_ttl_of_nothing_deletes(colour: Colour, backend_url: str, ttl: Any) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "set", "k", 1)
    assert colour.call(cache, "touch", "k", ttl=ttl) is False
    assert colour.call(cache, "contains", "k") is False


def test_a_ttl_that_is_a_function_of_a_result_is_refused(colour: Colour) -> None:
    cache = colour.cache("memory://", ttl=lambda _: 60)
    with pytest.raises(UsageError, match="DC417"):
        colour.call(cache, "touch", "k")
    assert colour.call(cache, "touch", "k", ttl=5) is False


def test_objects_that_are_shared_in_memory(colour: Colour) -> None:
    cache, value = colour.cache("memory://", codec="reference"), object()
    colour.call(cache, "set", "k", value, ttl=5)
    assert colour.call(cache, "touch", "k", ttl=60) is True
    assert colour.call(cache, "get", "k") is value


def test_a_large_value(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "set", "k", "x" * 100_000, ttl=5)
    assert colour.call(cache, "touch", "k", ttl=60) is True
    assert colour.call(cache, "get", "k") == "x" * 100_000


def test_without_scripts_it_works_by_watch(colour: Colour, own_server: Server) -> None:
    own_server.cli("ACL", "SETUSER", "bare", "on", ">pw", "~*", "&*", "+@all", "-eval", "-evalsha")
    cache = colour.cache(own_server.url.replace("//", "//bare:pw@"))
    colour.call(cache, "set", "k", 1, ttl=5)
    assert colour.call(cache, "touch", "k", ttl=60) is True
    assert colour.call(cache, "ttl", "k") > 50


def test_during_an_outage_it_is_false(colour: Colour, proxy: Proxy) -> None:
    cache = colour.cache(proxy.url)
    colour.call(cache, "set", "k", 1)
    proxy.refuse()
    proxy.reset()
    assert colour.call(cache, "touch", "k") is False


def test_a_copy_in_front_does_not_outlive_a_shorter_life(colour: Colour, backend_url: str) -> None:
    cache = tiered(colour, backend_url)

    def load(n: int) -> int:
        return n

    cached = cache(key="n:{n}")(colour.function(load))
    assert kept(colour, cache, cached, 1) == 1
    assert colour.call(cache, "touch", "n:1", ttl=30) is True
    assert colour.run(cached.peek, 1).tier != "front"
    assert kept(colour, cache, cached, 1) == 1
