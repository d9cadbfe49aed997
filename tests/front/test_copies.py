"""Nobody can change what the next caller gets, whichever way it was got."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import FrontTier
from dualcache.core.entry import MISSING
from tests.bodies import WAIT_SECONDS
from tests.front.tiers import eventually, front_hits, kept, kept_key, opened, tiered
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Server


@dataclass
class Basket:
    items: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Frozen:
    items: list[str]


def poison(value: Any) -> None:
    """Change a value as deep as it can be changed."""
    if isinstance(value, Basket | Frozen):
        value.items.append("poison")
    elif isinstance(value, dict):
        for each in value.values():
            poison(each)
        value["poison"] = 1
    elif isinstance(value, list | tuple):
        for each in value:
            poison(each)
        if isinstance(value, list):
            value.append("poison")
    elif isinstance(value, set):
        value.add("poison")
    elif isinstance(value, bytearray):
        value.extend(b"poison")


MADE: dict[str, Callable[[], Any]] = {
    "list in dict": lambda: {"a": [1, 2]},
    "dict in list": lambda: [{"a": 1}],
    "list in tuple": lambda: (1, [2], ([3],)),
    "set in dict": lambda: {"a": {1, 2}},
    "set": lambda: {1, 2},
    "bytearray": lambda: bytearray(b"x"),
    "bytearray in tuple": lambda: (bytearray(b"x"),),
    "deep": lambda: {"a": {"b": {"c": [[[]]]}}},
    "empty": dict,
    "dataclass": lambda: Basket(["x"]),
    "frozen dataclass": lambda: Frozen(["x"]),
    "list of dataclasses": lambda: [Basket(["x"]), Basket()],
}
DIRECT = [name for name in MADE if "dataclass" not in name]


def ways(colour: Colour, cache: Cache) -> dict[str, Callable[[], Any]]:
    """Each way to get the key by name."""

    def never() -> Any:
        raise AssertionError("loaded")

    def never_many(keys: list[str]) -> Any:
        raise AssertionError(f"loaded {keys}")

    one, many = colour.function(never), colour.function(never_many)
    return {
        "get": lambda: colour.call(cache, "get", "k"),
        "get_many": lambda: colour.call(cache, "get_many", ["k"])["k"],
        "get_or_load": lambda: colour.call(cache, "get_or_load", "k", one),
        "get_or_load_many": lambda: colour.call(cache, "get_or_load_many", ["k"], many)["k"],
        "peek": lambda: colour.call(cache, "peek", "k").value,
    }


@pytest.mark.parametrize("name", DIRECT)
def test_what_direct_calls_return_may_be_changed(
    colour: Colour, backend_url: str, name: str
) -> None:
    cache = tiered(colour, backend_url)
    stored = MADE[name]()
    colour.call(cache, "set", "k", stored)
    poison(stored)
    kept_key(colour, cache, "k")
    for _ in range(3):
        for way in ways(colour, cache).values():
            found = way()
            assert (type(found), found) == (type(MADE[name]()), MADE[name]())
            poison(found)


@pytest.mark.parametrize("name", MADE)
def test_what_functions_return_may_be_changed(colour: Colour, backend_url: str, name: str) -> None:
    cache = tiered(colour, backend_url)
    kind = {"dataclass": Basket, "frozen dataclass": Frozen, "list of dataclasses": list[Basket]}

    def load(n: int) -> Any:
        return MADE[name]()

    load.__annotations__["return"] = kind.get(name, Any)
    decorated = cache(key="n:{n}")(colour.function(load))
    poison(colour.run(decorated, 1))
    opened(colour, cache)
    for _ in range(6):
        found = colour.run(decorated, 1)
        assert (type(found), found) == (type(MADE[name]()), MADE[name]())
        poison(found)
        entry = colour.run(decorated.peek, 1)
        assert entry.value == MADE[name]()
        poison(entry.value)
    assert front_hits(cache) > 0


@pytest.mark.parametrize("value", [None, 0, "", [], {}, False, 0.0, (), b""], ids=repr)
def test_what_is_false_is_a_value_like_any_other(
    colour: Colour, backend_url: str, value: Any
) -> None:
    cache = tiered(colour, backend_url)
    colour.call(cache, "set", "k", value)
    opened(colour, cache)
    before = front_hits(cache)
    for _ in range(4):
        for way in ways(colour, cache).values():
            found = way()
            assert (type(found), found) == (type(value), value)
        found = colour.call(cache, "get", "k", MISSING)
        assert (type(found), found) == (type(value), value)
        assert colour.call(cache, "contains", "k")
    assert front_hits(cache) > before


class Repo:
    """Methods of each kind; `loads` counts those that ran."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.loads = 0

    def __cache_key__(self) -> str:
        return self.tenant


def test_methods_keep_the_results_of_each_object_apart(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    cache = tiered(colour, redis_server.url, transport)

    def load(self: Repo, n: int) -> list[str]:
        self.loads += 1
        return [self.tenant, str(n)]

    def shape(n: int) -> list[int]:
        return [n]

    class Loading(Repo):
        pass

    load.__qualname__, shape.__qualname__ = "Loading.load", "Loading.shape"
    Loading.load = cache(name="load")(colour.function(load))  # type: ignore[attr-defined]
    Loading.shape = cache(name="shape")(staticmethod(colour.function(shape)))  # type: ignore[attr-defined]
    one, other, again = Loading("one"), Loading("other"), Loading("one")
    for each in (one, other, again):
        found = kept(colour, cache, each.load, 1)  # type: ignore[attr-defined]
        assert found == [each.tenant, "1"]
        poison(found)
    assert (one.loads, other.loads, again.loads) == (1, 1, 0)
    assert kept(colour, cache, one.shape, 3) == [3]  # type: ignore[attr-defined]
    assert kept(colour, cache, Loading.shape, 3) == [3]  # type: ignore[attr-defined]
    colour.run(one.load.invalidate, 1)  # type: ignore[attr-defined]
    colour.run(again.load, 1)  # type: ignore[attr-defined]
    colour.run(other.load, 1)  # type: ignore[attr-defined]
    assert (one.loads, other.loads, again.loads) == (1, 1, 1)


@pytest.mark.parametrize("limits", [{"max_entries": 7}, {"max_entries": 1000, "max_bytes": 4_000}])
def test_limits_hold_while_many_read_at_once(
    colour: Colour, redis_server: Server, limits: dict[str, Any]
) -> None:
    cache = tiered(colour, redis_server.url, front=FrontTier(**limits))

    def load(n: int) -> str:
        return "x" * (n % 50)

    decorated = cache(key="n:{n}")(colour.function(load))
    opened(colour, cache)
    seen: list[tuple[int, int]] = []

    def note() -> None:
        front = cache.stats().front
        assert front is not None
        seen.append((front.entries, front.used_bytes))

    for turn in range(3):
        colour.gather(*[lambda n=n: decorated(n) for n in range(60)])
        note()
        colour.gather(*[lambda n=n: decorated(n) for n in range(turn * 10, 60)])
        note()
    assert max(entries for entries, _ in seen) > 2
    assert all(entries <= limits["max_entries"] for entries, _ in seen)
    assert all(used <= limits.get("max_bytes", 0) for _, used in seen)


def test_a_copy_survives_a_swap_of_databases_until_it_is_old(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    """The stated limit: a server says nothing of SWAPDB, so only `max_age` and a write end it."""
    cache = tiered(colour, redis_server.url, front=FrontTier(transport=transport, max_age=0.3))
    colour.call(cache, "set", "k", "old")
    kept_key(colour, cache, "k")
    redis_server.cli("SWAPDB", 0, 1)
    try:
        eventually(lambda: colour.call(cache, "get", "k") is None, "an end by age")
    finally:
        redis_server.cli("SWAPDB", 0, 1)


def test_three_loops_one_after_another_each_keep_and_see_what_changed(
    redis_server: Server, transport: Any
) -> None:
    from dualcache import Cache

    cache = Cache(patient(redis_server.url), front=FrontTier(transport=transport))

    async def use(n: int) -> None:
        await cache.aio.set("k", n)
        ends = asyncio.get_running_loop().time() + WAIT_SECONDS
        before = front_hits(cache)
        while front_hits(cache) == before:
            assert await cache.aio.get("k") == n
            assert asyncio.get_running_loop().time() < ends
        redis_server.cli("DEL", "k")
        await cache.aio.fence()
        assert await cache.aio.get("k") is None

    try:
        for n in range(3):
            asyncio.run(use(n))
    finally:
        cache.close()
