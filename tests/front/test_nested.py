"""A cached function that calls another: what its entry may be made of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import pytest

from dualcache import MISSING
from tests.behaviour.seen import settled
from tests.front.tiers import (
    eventually,
    front_hits,
    hands_of,
    held,
    kept,
    opened,
    redirect_listener,
    tiered,
)
from tests.proxy import BLACK_HOLE, Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Server

KEY: Final = "price:1"


class Shop:
    """A price that is kept in front, and is outdated: another process has changed it.

    The push of that is held back, so the old copy is served for as long as the test lasts.
    """

    def __init__(self, colour: Colour, url: str, listening: Proxy, transport: Any) -> None:
        self.colour, self.listening = colour, listening
        options: dict[str, Any] = {"max_staleness": 60, "namespace": "shop"}
        self.cache = held(colour, url, transport, **options)
        redirect_listener(self.cache, listening.port)
        self.other = colour.cache(url, namespace="shop")
        self.now = 20
        self.price = self.cache(key="price:{n}", tags=["item:{n}"])(
            colour.function(lambda n: self.now)  # noqa: ARG005
        )

    def change(self, read: Callable[[], Any] | None = None) -> None:
        """Change the price elsewhere, and hear nothing of it: a read is served the old copy."""
        read = read or (lambda: self.price(1))
        kept(self.colour, self.cache, read)
        self.hear()
        old = kept(self.colour, self.cache, read)
        self.listening.fault(replies=BLACK_HOLE)
        self.now = 30
        assert self.colour.call(self.other, "invalidate", tags=["item:1"]).pending == 0
        hits = front_hits(self.cache)
        assert self.colour.run(read) == old
        assert front_hits(self.cache) == hits + 1

    def hear(self) -> None:
        """Hear what is on its way: a push of a store would drop a copy that was kept since."""
        self.colour.call(self.cache, "fence")

    def served(self) -> Any:
        """Return the price, as a caller gets it who is in no load."""
        return self.colour.run(self.price, 1)

    def body(self, call: Callable[[], Any]) -> Callable[..., Any]:
        """Return a function of this colour that reads the price four times; it takes anything."""

        async def read(*_: Any) -> Any:
            return [await settled(call()) for _ in range(4)]

        return read if self.colour.is_async else lambda *_: [call() for _ in range(4)]


@pytest.fixture
def shop(colour: Colour, redis_server: Server, transport: Any) -> Iterator[Shop]:
    with Proxy(redis_server.port) as listening:
        yield Shop(colour, redis_server.url, listening, transport)


def test_a_load_is_made_of_no_copy_that_was_outdated_when_it_began(shop: Shop) -> None:
    shown = shop.cache(key="list", tags=["item:1"], front=False)(shop.body(lambda: shop.price(1)))
    assert shop.colour.run(shown) == [20] * 4
    shop.change()
    assert shop.colour.run(shown) == [30] * 4
    assert shop.colour.call(shop.other, "get", "list") == [30] * 4


@pytest.mark.parametrize("transport", ["broadcast"], indirect=True)
@pytest.mark.parametrize(
    ("read", "wanted"),
    [("get", None), ("get_many", {}), ("get_or_load", 40), ("get_or_load_many", {KEY: 40})],
)
def test_no_direct_read_within_a_load_is_served_such_a_copy(
    shop: Shop, read: str, wanted: Any
) -> None:
    colour, face = shop.colour, shop.colour.face(shop.cache)
    is_batch = read.endswith("many")
    given: list[Any] = [[KEY] if is_batch else KEY]
    if "load" in read:
        given.append((lambda _: {KEY: 40}) if is_batch else lambda: 40)

    def reading() -> Any:
        return getattr(face, read)(*given)

    colour.call(shop.cache, "set", KEY, 20, tags=["item:1"])
    shop.change(reading)
    shown = shop.cache(key="list", front=False)(shop.body(reading))
    assert colour.run(shown)[0] == wanted


@pytest.mark.parametrize("transport", ["broadcast"], indirect=True)
@pytest.mark.parametrize("way", ["get_or_load", "many", "refresh", "stale", "elsewhere"])
def test_every_kind_of_load_is_made_of_current_copies(shop: Shop, way: str) -> None:
    colour, cache = shop.colour, shop.cache
    body = shop.body(lambda: shop.price(1))
    options: dict[str, Any] = {"key": "list:{n}", "front": False}
    if way == "elsewhere":  # the load of a cache that has no front tier
        cache = shop.other
    shown = cache(**options, stale_while_revalidate=600)(one_parameter(colour, body))
    if way in {"refresh", "stale"}:
        assert colour.run(shown, 1) == [20] * 4
    shop.change()
    if way == "get_or_load":
        assert colour.call(cache, "get_or_load", "list:1", body) == [30] * 4
    elif way == "many":
        loader = mapped(colour, body)
        found = colour.call(cache, "get_or_load_many", ["list:1"], loader)
        assert found == {"list:1": [30] * 4}
    elif way == "refresh":
        assert colour.run(shown.refresh, 1) == [30] * 4
    elif way == "stale":
        colour.call(cache, "expire", "list:1")
        assert colour.run(shown, 1) == [20] * 4
        eventually(lambda: colour.call(shop.other, "get", "list:1") == [30] * 4, "a refresh")
    else:
        assert colour.run(shown, 1) == [30] * 4


def one_parameter(colour: Colour, body: Callable[..., Any]) -> Callable[[int], Any]:
    async def shown(n: int) -> Any:
        return await body(n)

    def shown_at_once(n: int) -> Any:
        return body(n)

    return shown if colour.is_async else shown_at_once


def mapped(colour: Colour, body: Callable[..., Any]) -> Callable[..., Any]:
    async def loader(keys: list[str]) -> dict[str, Any]:
        return {key: await body() for key in keys}

    def loader_at_once(keys: list[str]) -> dict[str, Any]:
        return {key: body() for key in keys}

    return loader if colour.is_async else loader_at_once


@pytest.mark.parametrize("transport", ["broadcast"], indirect=True)
def test_a_load_in_a_thread_that_a_coroutine_awaits_counts_too(shop: Shop) -> None:
    price = shop.cache(key="sold:{n}", tags=["item:{n}"])(lambda n: shop.now)  # noqa: ARG005
    assert price(1) == 20
    shop.hear()
    keep(shop.cache, price)

    async def load() -> Any:
        return await asyncio.to_thread(price, 1)

    shown = shop.cache(key="list", front=False)(load)
    shop.change()
    assert price(1) == 20
    assert asyncio.run(shown()) == 30


@pytest.mark.parametrize("transport", ["broadcast"], indirect=True)
def test_callers_outside_of_loads_are_served_copies_while_loads_run(shop: Shop) -> None:
    colour, gate = shop.colour, shop.colour.gate()

    async def load() -> int:
        await gate.passed()
        return 1

    slow = shop.cache(key="slow")(colour.function(load))
    shop.change()
    loading = colour.start(slow)
    gate.wait_until_entered()
    hits = front_hits(shop.cache)
    assert shop.served() == 20
    assert front_hits(shop.cache) == hits + 1
    gate.open()
    assert loading.result() == 1
    assert shop.served() == 20


def test_a_load_that_reads_many_copies_asks_for_one_proof_and_is_served_them(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    cache = tiered(colour, redis_server.url, transport, max_staleness=60)
    price = cache(key="price:{n}")(price_of)
    keep(opened(colour, cache), price)

    def load() -> bool:
        before = front_hits(cache)
        eventually(lambda: price(1) and front_hits(cache) > before, "a copy that is served")
        hits = front_hits(cache)
        return price(1) == 1 and front_hits(cache) == hits + 1

    assert colour.run(cache(key="list", front=False)(colour.function(load)))


def price_of(n: int) -> int:
    return n


def keep(cache: Cache, price: Callable[[int], int]) -> None:
    """Call a function until a copy is served."""
    before = front_hits(cache)
    eventually(lambda: price(1) and front_hits(cache) > before, "a copy", hands_of(cache))


def test_what_outlives_a_load_is_served_copies(redis_server: Server, colour: Colour) -> None:
    """Where time bounds the copies nothing proves them: a task is free when its load has ended."""
    cache = tiered(colour, redis_server.url, "ttl", max_staleness=600)
    price = cache(key="price:{n}")(price_of)
    keep(opened(colour, cache), price)
    left: list[Any] = []

    async def load() -> list[int]:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def outliving() -> list[int]:
            hits = [front_hits(cache), price(1), front_hits(cache)]
            begun.set()
            await ended.wait()
            return [*hits, price(1), front_hits(cache)]

        left.extend([asyncio.create_task(outliving()), ended])
        await begun.wait()
        return [1]

    async def body() -> tuple[int, ...]:
        await cache(key="list", front=False)(load)()
        task, ended = left
        ended.set()
        before, _, within, _, after = await task
        await cache.aclose()
        return within - before, after - within

    assert asyncio.run(body()) == (0, 1)


@pytest.mark.parametrize("transport", ["tracking", "broadcast", "ttl"])
def test_a_load_that_fences_first_is_made_of_nothing_older(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    cache, other = (tiered(colour, redis_server.url, transport, namespace="shop") for _ in "ab")
    prices = {1: 20}

    @cache(key="price:{n}", tags=["item:{n}"])
    def price(n: int) -> int:
        return prices[n]

    def load(n: int) -> list[int]:
        cache.fence()
        return [price(n)]

    # Kept on the server alone: what is read there was true when its load began.
    shown = cache(key="list:{n}", tags=["item:{n}"], front=False)(colour.function(load))
    opened(colour, cache)
    for _ in range(8):
        assert price(1) == price(1) == prices[1]  # a load, then a read that is kept
        prices[1] += 1
        assert colour.call(other, "invalidate", tags=["item:1"]).pending == 0
        assert colour.run(shown, 1) == [prices[1]]


def test_without_pushes_a_load_is_made_of_what_the_server_holds(
    colour: Colour, redis_server: Server
) -> None:
    cache = tiered(colour, redis_server.url, "ttl", max_staleness=600)
    face = colour.face(cache)
    colour.call(cache, "set", "k", "old")
    assert kept(colour, cache, face.get, "k") == "old"
    assert redis_server.cli("DEL", "k") == 1
    assert colour.call(cache, "get", "k", MISSING) == "old"

    async def load() -> Any:
        return await settled(face.get("k", "none"))

    loader = load if colour.is_async else lambda: face.get("k", "none")
    assert colour.call(cache, "get_or_load", "list", loader) == "none"
