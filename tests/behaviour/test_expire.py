"""`expire` and `.expire`: entries that are stale from now on, and never fresh again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import BackendUnavailable, Invalidated, Loaded, StaleHit
from tests.behaviour.seen import Seen
from tests.front.tiers import eventually, kept, tiered

if TYPE_CHECKING:
    from dualcache import Cache
    from tests.colours import Colour
    from tests.proxy import Proxy
    from tests.servers import Server


class Source:
    """What a function loads: a number that rises by one each time, or an error."""

    def __init__(self, colour: Colour, cache: Cache, **options: Any) -> None:
        self.loads = 0
        self.is_down = False

        def load(n: int) -> int:
            if self.is_down:
                raise OSError("down")
            self.loads += 1
            return self.loads

        self.cached = cache(key="n:{n}", **options)(colour.function(load))


def test_an_expired_entry_is_stale_and_is_loaded_anew(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    seen, source = Seen(cache), Source(colour, cache, tags=["t"])
    assert colour.run(source.cached, 1) == 1
    done = colour.call(cache, "expire", "n:1")
    assert (done.keys, done.expired, done.pending) == (1, 1, 0)
    assert seen.of(Invalidated) == [done]
    assert colour.call(cache, "get", "n:1") is None
    assert colour.call(cache, "contains", "n:1") is False
    entry = colour.call(cache, "peek", "n:1")
    assert (entry.value, entry.stale, entry.tags) == (1, True, ("t",))
    assert [colour.run(source.cached, 1) for _ in range(2)] == [2, 2]
    assert colour.call(cache, "peek", "n:1").stale is False


def test_it_stands_in_for_a_load_that_fails_where_that_is_allowed(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    seen = Seen(cache)
    strict = Source(colour, cache)
    lenient = Source(colour, cache, stale_if_error=600, name="lenient", version=2)
    for source in (strict, lenient):
        colour.run(source.cached, 1)
        assert colour.run(source.cached.expire, 1).expired == 1
        source.is_down = True
    assert colour.run(lenient.cached, 1) == 1
    assert seen.count(StaleHit) == 1
    with pytest.raises(OSError, match="down"):
        colour.run(strict.cached, 1)
    lenient.is_down = False
    assert colour.run(lenient.cached, 1) == 1  # a source that failed is left alone for a while
    assert colour.run(lenient.cached.refresh, 1) == 2


def test_its_stale_window_begins_when_it_is_expired(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url, jitter=0)
    source = Source(colour, cache, ttl=60, stale_if_error=600)
    colour.run(source.cached, 1)
    assert 655 < colour.run(source.cached.peek, 1).ttl < 661
    colour.run(source.cached.expire, 1)
    assert 595 < colour.run(source.cached.peek, 1).ttl < 601


def test_it_is_served_at_once_where_it_is_loaded_anew_in_the_background(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    seen, source = Seen(cache), Source(colour, cache, stale_while_revalidate=600)
    colour.run(source.cached, 1)
    colour.run(source.cached.expire, 1)
    assert colour.run(source.cached, 1) == 1
    seen.wait_for(Loaded, 2)
    assert colour.run(source.cached, 1) == 2


def test_an_entry_that_never_ends_stays_stale(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "set", "k", 1, ttl=None)
    assert colour.call(cache, "expire", "k").expired == 1
    entry = colour.call(cache, "peek", "k")
    assert (entry.ttl, entry.stale) == (None, True)
    assert colour.call(cache, "expire", "k").expired == 1


def test_a_load_under_way_is_not_stored(colour: Colour, backend_url: str) -> None:
    cache, gate = colour.cache(backend_url), colour.gate()
    seen = Seen(cache)

    async def old() -> str:
        await gate.passed()
        return "old"

    load = cache(key="k")(colour.function(old))
    loading = colour.start(load)
    gate.wait_until_entered()
    assert colour.call(cache, "expire", "k").expired == 0
    gate.open()
    assert loading.result() == "old"
    assert [event.outcome for event in seen.of(Loaded)] == ["refused"]
    assert colour.call(cache, "peek", "k") is None


def test_a_refresh_under_way_is_not_stored(colour: Colour, backend_url: str) -> None:
    cache, gate = colour.cache(backend_url), colour.gate()

    async def old() -> str:
        await gate.passed()
        return "old"

    load = cache(key="k")(colour.function(old))
    colour.call(cache, "set", "k", "first")
    refreshing = colour.start(load.refresh)
    gate.wait_until_entered()
    assert colour.call(cache, "expire", "k").expired == 1
    gate.open()
    assert refreshing.result() == "old"
    assert colour.call(cache, "get", "k") is None


def test_a_tag_still_ends_what_was_expired(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url, stale_if_error=600)
    source = Source(colour, cache, tags=["t"])
    colour.run(source.cached, 1)
    colour.run(source.cached.expire, 1)
    colour.call(cache, "invalidate", tags=["t"])
    source.is_down = True
    with pytest.raises(OSError, match="down"):
        colour.run(source.cached, 1)


def test_several_keys_at_once(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    colour.call(cache, "set_many", {"a": 1, "b": 2, "c": 3})
    done = colour.call(cache, "expire", "a", "b", "none")
    assert (done.keys, done.expired) == (3, 2)
    assert colour.call(cache, "get_many", ["a", "b", "c", "none"]) == {"c": 3}
    keys = list(cache.keys())
    assert sorted(keys) == ["a", "b", "c"]


def test_objects_that_are_shared_in_memory(colour: Colour) -> None:
    cache = colour.cache("memory://", codec="reference")
    value = object()
    colour.call(cache, "set", "k", value)
    assert colour.call(cache, "expire", "k").expired == 1
    assert colour.call(cache, "get", "k") is None
    assert colour.call(cache, "peek", "k").value is value


def test_signed_values(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url, secret="a secret of some length")
    colour.call(cache, "set", "k", [1])
    assert colour.call(cache, "expire", "k").expired == 1
    assert colour.call(cache, "peek", "k").value == [1]


def test_a_method_knows_its_object(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)

    def load(self: Any, n: int) -> int:
        return n

    load.__qualname__ = "Shop.load"
    cached = cache(key="{self.id}:{n}")(colour.function(load))
    shop: Any = type("Shop", (), {"id": 7, "load": cached})()
    colour.run(shop.load, 1)
    assert colour.run(shop.load.expire, 1).expired == 1


@pytest.mark.parametrize("wrong", ["", "~t:x", "a*"])
def test_a_key_that_cannot_be_is_refused(colour: Colour, backend_url: str, wrong: str) -> None:
    cache = colour.cache(backend_url)
    with pytest.raises(ValueError, match="DC1"):
        colour.call(cache, "expire", wrong)


def test_without_scripts_it_works_by_watch(colour: Colour, own_server: Server) -> None:
    own_server.cli("ACL", "SETUSER", "bare", "on", ">pw", "~*", "&*", "+@all", "-eval", "-evalsha")
    cache = colour.cache(own_server.url.replace("//", "//bare:pw@"))
    colour.call(cache, "set", "k", 1)
    assert colour.call(cache, "expire", "k").expired == 1
    assert colour.call(cache, "peek", "k").stale


def test_where_nothing_can_be_compared_the_entry_is_deleted(
    colour: Colour, own_server: Server
) -> None:
    rights = ("+@all", "-eval", "-evalsha", "-watch", "-multi")
    own_server.cli("ACL", "SETUSER", "bare", "on", ">pw", "~*", "&*", *rights)
    colour.call(colour.cache(own_server.url), "set", "k", 1)
    cache = colour.cache(own_server.url.replace("//", "//bare:pw@"))
    done = colour.call(cache, "expire", "k")
    assert (done.expired, done.pending) == (0, 0)
    assert colour.call(cache, "peek", "k") is None


def test_during_an_outage_it_is_kept_and_the_entry_is_deleted_later(
    colour: Colour, proxy: Proxy
) -> None:
    cache = colour.cache(proxy.url, stale_if_error=600)
    colour.call(cache, "set", "k", 1)
    proxy.refuse()
    proxy.reset()
    assert colour.call(cache, "expire", "k").pending == 1
    proxy.accept()
    eventually(lambda: colour.call(cache, "ping") and cache.peek("k") is None)


def test_strict_raises_having_kept_it(colour: Colour, proxy: Proxy) -> None:
    cache = colour.cache(proxy.url, strict=True)
    colour.call(cache, "set", "k", 1)
    proxy.refuse()
    proxy.reset()
    with pytest.raises(BackendUnavailable):
        colour.call(cache, "expire", "k")


def test_a_copy_in_front_goes_with_the_freshness_of_its_entry(
    colour: Colour, backend_url: str
) -> None:
    cache = tiered(colour, backend_url)
    source = Source(colour, cache, stale_if_error=600)
    assert kept(colour, cache, source.cached, 1) == 1
    assert colour.run(source.cached.expire, 1).expired == 1
    source.is_down = True
    assert colour.call(cache, "get", "n:1") is None
    assert [colour.run(source.cached, 1) for _ in range(3)] == [1, 1, 1]
    source.is_down = False
    assert kept(colour, cache, source.cached, 1) == 2


def test_another_process_drops_its_copy(colour: Colour, redis_server: Server) -> None:
    one, other = tiered(colour, redis_server.url), colour.cache(redis_server.url)
    source = Source(colour, one)
    assert kept(colour, one, source.cached, 1) == 1
    colour.call(other, "expire", "n:1")
    colour.call(one, "fence")
    assert colour.run(source.cached, 1) == 2
