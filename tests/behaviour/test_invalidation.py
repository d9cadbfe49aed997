from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Invalidated, Loaded, Miss, UsageError, WaitExpired
from tests.behaviour.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from tests.colours import AsyncColour, Colour
    from tests.servers import Server

Revoke = "Callable[[Colour, Cache, Any], Any]"


def by_handle(colour: Colour, cache: Cache, load: Any) -> Any:
    return colour.run(load.invalidate, 1)


def by_key(colour: Colour, cache: Cache, load: Any) -> Any:
    return colour.call(cache, "invalidate", load.key_for(1))


def by_tag(colour: Colour, cache: Cache, load: Any) -> Any:
    return colour.call(cache, "invalidate", tags=["users"])


def by_tag_of_its_arguments(colour: Colour, cache: Cache, load: Any) -> Any:
    return colour.call(cache, "invalidate", tags=[cache.key("user:{n}", n=1)])


def by_pattern(colour: Colour, cache: Cache, load: Any) -> Any:
    return colour.call(cache, "invalidate", patterns=["us?r:*"])


def by_clear(colour: Colour, cache: Cache, load: Any) -> Any:
    return colour.call(cache, "clear")


def by_cache_clear(colour: Colour, cache: Cache, load: Any) -> Any:
    return colour.run(load.cache_clear)


def by_decorator(colour: Colour, cache: Cache, load: Any) -> Any:
    def save(n: int, what: str) -> None: ...

    colour.run(cache.invalidates("user:{n}")(colour.function(save)), 1, "what")


def by_decorator_with_a_tag(colour: Colour, cache: Cache, load: Any) -> Any:
    def save(n: int) -> None: ...

    colour.run(cache.invalidates(tags=["user:{n}"])(colour.function(save)), 1)


def by_decorator_with_a_pattern(colour: Colour, cache: Cache, load: Any) -> Any:
    def save(n: int) -> None: ...

    colour.run(cache.invalidates(patterns=["*:{n}"])(colour.function(save)), 1)


WAYS = [
    by_handle,
    by_key,
    by_tag,
    by_tag_of_its_arguments,
    by_pattern,
    by_clear,
    by_cache_clear,
    by_decorator,
    by_decorator_with_a_tag,
    by_decorator_with_a_pattern,
]


class Source:
    """The truth behind the cache: the load reads it, then waits at a gate."""

    def __init__(self, colour: Colour, cache: Cache) -> None:
        self.value = "old"
        self.gate = colour.gate()

        async def body(n: int) -> str:
            value = self.value
            await self.gate.passed()
            return value

        self.load = cache(key="user:{n}", tags=["users", "user:{n}"])(colour.function(body))


@pytest.mark.parametrize("revoke", WAYS)
def test_a_load_that_is_overtaken_by_an_invalidation_is_never_served_later(
    colour: Colour, backend_url: str, revoke: Callable[..., Any]
) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    seen, source = Seen(cache), Source(colour, cache)
    overtaken = colour.start(lambda: source.load(1))
    source.gate.wait_until_entered()
    source.value = "new"
    done = revoke(colour, cache, source.load)
    assert done is None or done.pending == 0
    later = colour.start(lambda: source.load(1))
    source.gate.wait_until_entered(2)
    source.gate.open()
    assert overtaken.result() == "old"
    assert later.result() == "new"
    assert colour.run(source.load, 1) == "new"
    outcomes = sorted(event.outcome for event in seen.of(Loaded))
    assert outcomes == ["refused", "stored"]


@pytest.mark.parametrize("revoke", WAYS)
def test_a_stored_value_is_gone_after_an_invalidation(
    colour: Colour, backend_url: str, revoke: Callable[..., Any]
) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    source = Source(colour, cache)
    source.gate.open()
    assert colour.run(source.load, 1) == "old"
    source.value = "new"
    assert colour.run(source.load, 1) == "old"
    revoke(colour, cache, source.load)
    assert colour.run(source.load, 1) == "new"


@pytest.mark.parametrize("revoke", WAYS)
def test_every_server_refuses_a_load_that_was_overtaken(
    colour: Colour, any_server: Server, revoke: Callable[..., Any]
) -> None:
    loading = colour.cache(any_server.url, namespace="shop")
    source = Source(colour, loading)
    overtaken = colour.start(lambda: source.load(1))
    source.gate.wait_until_entered()
    source.value = "new"
    # Another cache on the same server: what another process would be.
    elsewhere = colour.cache(any_server.url, namespace="shop")
    revoke(colour, elsewhere, Source(colour, elsewhere).load)
    source.gate.open()
    assert overtaken.result() == "old"
    assert colour.run(source.load, 1) == "new"


def test_a_set_revokes_the_load_under_way(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    source = Source(colour, cache)
    overtaken = colour.start(lambda: source.load(1))
    source.gate.wait_until_entered()
    assert colour.call(cache, "set", "user:1", "set") is True
    assert colour.run(source.load, 1) == "set"
    source.gate.open()
    assert overtaken.result() == "old"
    assert colour.run(source.load, 1) == "set"


def test_storing_a_result_revokes_the_load_under_way(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    source = Source(colour, cache)
    overtaken = colour.start(lambda: source.load(1))
    source.gate.wait_until_entered()
    assert colour.run(source.load.store, "stored", 1) is True
    source.gate.open()
    assert overtaken.result() == "old"
    assert colour.run(source.load, 1) == "stored"
    assert colour.run(source.load.peek, 1).tags == ("users", "user:1")


def test_a_refresh_that_is_overtaken_is_not_stored(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    source = Source(colour, cache)
    colour.call(cache, "set", "user:1", "first")
    refreshing = colour.start(lambda: source.load.refresh(1))
    source.gate.wait_until_entered()
    assert colour.run(source.load, 1) == "first"
    source.value = "new"
    colour.call(cache, "invalidate", "user:1")
    source.gate.open()
    assert refreshing.result() == "old"
    assert colour.run(source.load, 1) == "new"


def test_an_invalidation_of_one_colour_holds_in_the_other(
    backend_url: str, tasks: AsyncColour
) -> None:
    cache = tasks.cache(backend_url)

    @cache(key="k")
    async def load() -> str:
        return value

    value = "old"
    assert tasks.run(load) == "old"
    value = "new"
    assert cache.get("k") == "old"
    assert cache.invalidate("k").removed >= 1
    assert tasks.run(load) == "new"
    assert cache.get("k") == "new"
    cache.set("k", "from a thread")
    assert tasks.run(load) == "from a thread"


def test_a_function_that_raises_invalidates_nothing(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)

    def save(n: int) -> None:
        raise KeyError(n)

    decorated = cache.invalidates("user:{n}", tags=["users"])(colour.function(save))
    colour.call(cache, "set", "user:1", "kept", tags=["users"])
    with pytest.raises(KeyError):
        colour.run(decorated, 1)
    assert colour.call(cache, "get", "user:1") == "kept"


def test_an_invalidating_function_returns_its_own_result_untouched(
    colour: Colour, backend_url: str
) -> None:
    cache, result = colour.cache(backend_url), object()

    def save(n: int) -> object:
        return result

    assert colour.run(cache.invalidates("user:{n}")(colour.function(save)), 1) is result


def test_values_in_patterns_are_no_wildcards(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)

    def save(name: str) -> None: ...

    decorated = cache.invalidates(patterns=["search:{name}:*"])(colour.function(save))
    keys = [cache.key("search:{name}:{page}", name=name, page=1) for name in ("*", "a", "[a]")]
    colour.call(cache, "set_many", dict.fromkeys(keys, "kept"))
    colour.run(decorated, "*")
    assert list(colour.call(cache, "get_many", keys)) == keys[1:]
    colour.run(decorated, "[a]")
    assert list(colour.call(cache, "get_many", keys)) == keys[1:2]


def test_a_pattern_finds_all_keys_of_many_pages(colour: Colour, redis_server: Server) -> None:
    cache = colour.cache(redis_server.url, namespace="n")
    for number in range(0, 3000, 500):
        pairs = [part for n in range(number, number + 500) for part in (f"n:search_{n}", b"x")]
        redis_server.cli("MSET", *pairs)
    redis_server.cli("SET", "n:other", "x")
    done = colour.call(cache, "invalidate", patterns=["search_*"])
    assert (done.removed, done.pending) == (3000, 0)
    assert redis_server.cli("DBSIZE") == 1


def test_what_an_invalidation_did_is_told(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url, namespace="n")
    seen = Seen(cache)
    colour.call(cache, "set_many", {"a": 1, "b": 2, "c:1": 3, "c:2": 4})
    done = colour.call(cache, "invalidate", "a", "b", "absent", patterns=["c:*"])
    assert done == Invalidated("", keys=3, tags=0, patterns=1, removed=4, pending=0)
    assert seen.of(Invalidated) == [done]


def test_invalidating_nothing_does_nothing(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    assert colour.call(cache, "invalidate") == Invalidated()


def test_clearing_leaves_other_namespaces_alone(colour: Colour, backend_url: str) -> None:
    one, other = (colour.cache(backend_url, namespace=name) for name in ("one", "one.other"))
    for cache in (one, other):
        colour.call(cache, "set", "k", 1, tags=["t"])
    colour.call(one, "clear")
    assert colour.call(one, "get", "k") is None
    assert colour.call(other, "get", "k") == 1


def test_clearing_everything_has_to_be_written_out(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "set", "k", 1)
    with pytest.raises(UsageError, match="everything=True") as caught:
        colour.call(cache, "clear")
    assert caught.value.code == "DC156"
    for pattern in ("*", "**"):
        with pytest.raises(UsageError):
            colour.call(cache, "invalidate", patterns=[pattern])
    assert colour.call(cache, "get", "k") == 1
    assert colour.call(cache, "clear", everything=True).pending == 0
    assert colour.call(cache, "get", "k") is None


@pytest.mark.parametrize("arguments", [{"tags": "users"}, {"patterns": "a*"}])
def test_a_lone_text_where_several_names_belong_is_refused(
    colour: Colour, backend_url: str, arguments: dict[str, str]
) -> None:
    cache = colour.cache(backend_url)
    with pytest.raises(UsageError, match="is one text, not several"):
        colour.call(cache, "invalidate", **arguments)


def test_tags_known_only_from_the_result_invalidate(colour: Colour, backend_url: str) -> None:
    cache, loads = colour.cache(backend_url), []

    def body(n: int) -> dict[str, int]:
        loads.append(n)
        return {"author": 7}

    def tags_of(result: dict[str, int], n: int) -> list[str]:
        return [cache.key("author:{author}", author=result["author"])]

    load = cache(key="post:{n}", tags=tags_of)(colour.function(body))
    for _ in range(4):
        assert colour.run(load, 1) == {"author": 7}
    # The first store cannot know an id from before its load; the second can, and is served.
    assert len(loads) == 2
    colour.call(cache, "invalidate", tags=["author:8"])
    colour.run(load, 1)
    assert len(loads) == 2
    colour.call(cache, "invalidate", tags=["author:7"])
    for _ in range(3):
        colour.run(load, 1)
    assert len(loads) == 3


def test_a_tag_whose_result_overtakes_its_invalidation_is_not_served(
    colour: Colour, backend_url: str
) -> None:
    cache, gate, state = colour.cache(backend_url), colour.gate(), {"value": "old"}

    async def body() -> str:
        value = state["value"]
        await gate.passed()
        return value

    load = cache(key="post", tags=lambda _: ["author"])(colour.function(body))
    overtaken = colour.start(load)
    gate.wait_until_entered()
    state["value"] = "new"
    colour.call(cache, "invalidate", tags=["author"])
    gate.open()
    assert overtaken.result() == "old"
    assert colour.run(load) == "new"
    assert colour.run(load) == "new"


def test_several_tags_die_one_by_one(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "set", "a", 1, tags=["x", "y"])
    colour.call(cache, "set", "b", 2, tags=["y"])
    colour.call(cache, "invalidate", tags=["x"])
    assert colour.call(cache, "get_many", ["a", "b"]) == {"b": 2}
    colour.call(cache, "invalidate", tags=["y"])
    assert colour.call(cache, "get_many", ["a", "b"]) == {}
    colour.call(cache, "set", "a", 3, tags=["x", "y"])
    assert colour.call(cache, "get", "a") == 3


def test_a_newcomer_after_an_invalidation_does_not_join_the_load_before_it(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    source, seen = Source(colour, cache), Seen(cache)
    first = colour.start(lambda: source.load(1))
    source.gate.wait_until_entered()
    early = colour.start(lambda: source.load(1))
    seen.wait_for(Miss, 2)
    source.value = "new"
    colour.call(cache, "invalidate", "user:1")
    late = colour.start(lambda: source.load(1))
    source.gate.wait_until_entered(2)
    source.gate.open()
    assert first.result() == "old"
    assert early.result() in {"old", "new"}
    assert late.result() == "new"


@pytest.mark.parametrize("begins", ["before", "after"])
def test_nobody_waits_for_a_load_elsewhere_whose_tag_was_invalidated(
    colour: Colour, redis_server: Server, begins: str
) -> None:
    here, there = colour.cache(redis_server.url), colour.cache(redis_server.url)
    seen, gate, loads = Seen(here), colour.gate(), []

    async def user_there(n: int) -> str:
        await gate.passed()
        return "old"

    def user_here(n: int) -> str:
        loads.append(n)
        return "new"

    load_there = there(key="user:{n}", tags=["users"])(colour.function(user_there))
    load_here = here(key="user:{n}", tags=["users"])(colour.function(user_here))
    holder = colour.start(lambda: load_there(1))
    gate.wait_until_entered()
    if begins == "before":
        caller = colour.start(lambda: load_here(1))
        seen.wait_for(Miss)
        colour.call(there, "invalidate", tags=["users"])
    else:
        colour.call(there, "invalidate", tags=["users"])
        caller = colour.start(lambda: load_here(1))
    assert caller.result() == "new"
    gate.open()
    assert holder.result() == "old"
    assert colour.run(load_here, 1) == "new"
    assert loads == [1]
    assert seen.count(WaitExpired) == 0
