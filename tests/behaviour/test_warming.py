"""`warm`: what is not fresh of many calls is loaded ahead, a few calls at a time."""

from __future__ import annotations

import contextvars
import inspect
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, UsageError, Warmed
from tests.behaviour.decorated import Shop

if TYPE_CHECKING:
    from tests.colours import Colour


@pytest.fixture(params=[None, 1_000], ids=["one tier", "two tiers"])
def cache(colour: Colour, backend_url: str, request: pytest.FixtureRequest) -> Cache:
    return colour.cache(backend_url, namespace="shop", front=request.param)


def test_what_is_not_fresh_is_loaded_and_the_rest_is_skipped(colour: Colour, cache: Cache) -> None:
    loads: list[int] = []

    def body(n: int, currency: str = "EUR") -> str:
        loads.append(n)
        return f"{n} {currency}"

    price = cache(key="price:{n}:{currency}", tags=["prices"])(colour.function(body))
    colour.run(price, 2)
    progress: list[Warmed] = []
    done = colour.run(price.warm, [(1,), (2, "EUR"), (3, "USD")], on_progress=progress.append)
    assert done == Warmed(fresh=1, loaded=2)
    assert progress == [Warmed(fresh=1), Warmed(fresh=1, loaded=1), done]
    assert sorted(loads) == [1, 2, 3]
    assert price.cache_info().hits == 0
    assert colour.run(price, 3, "USD") == "3 USD"
    assert sorted(loads) == [1, 2, 3]
    colour.call(cache, "invalidate", tags=["prices"])
    assert colour.run(price.warm, iter([1, 2])) == Warmed(loaded=2)
    assert colour.run(price.warm, []) == Warmed()
    assert inspect.iscoroutinefunction(price.warm) is colour.is_async


def test_more_calls_than_one_trip_has_room_for_are_filled(colour: Colour, cache: Cache) -> None:
    square = cache(key="square:{n}")(colour.function(lambda n: n * n))
    assert colour.run(square.warm, range(1_500)) == Warmed(loaded=1_500)
    assert colour.run(square.warm, range(1_500)) == Warmed(fresh=1_500)


def test_errors_are_collected_and_the_rest_goes_on(colour: Colour, cache: Cache) -> None:
    def body(n: int) -> int:
        if n % 2:
            raise LookupError(n)
        return n

    even = cache(key="even:{n}")(colour.function(body))
    done = colour.run(even.warm, [(n,) for n in range(1_000)], concurrency=2)
    assert (done.fresh, done.loaded, done.failed) == (0, 500, 500)
    assert len(done.errors) == 100
    assert all(error.args == args for args, error in done.errors)
    assert {type(error) for _, error in done.errors} == {LookupError}


def test_no_more_calls_than_said_are_loaded_at_once(colour: Colour, cache: Cache) -> None:
    gate, running, most = colour.gate(), [0], [0]

    async def body(n: int) -> int:
        running[0] += 1
        most[0] = max(most[0], running[0])
        await gate.passed()
        running[0] -= 1
        return n

    slow = cache(key="slow:{n}")(colour.function(body))
    handle = colour.start(lambda: slow.warm(range(9), concurrency=3))
    gate.wait_until_entered(3)
    gate.open()
    assert handle.result() == Warmed(loaded=9)
    assert most == [3]


def test_loads_have_the_context_of_the_caller(colour: Colour, cache: Cache) -> None:
    tenant = contextvars.ContextVar("tenant", default="none")
    load = cache(key="of:{n}")(colour.function(lambda n: f"{n} {tenant.get()}"))
    token = tenant.set("shop")
    handle = colour.start(lambda: load.warm([1]))
    assert handle.result().loaded == 1
    tenant.reset(token)
    assert colour.run(load.peek, 1).value == "1 shop"


def test_a_stale_entry_is_loaded_anew(colour: Colour, backend_url: str) -> None:
    now = [1_000.0]
    cache = colour.cache("memory://", clock=lambda: now[0])
    loads: list[int] = []

    def body(n: int) -> int:
        loads.append(n)
        return len(loads)

    load = cache(key="n:{n}", ttl=10, jitter=0, stale_while_revalidate=60)(colour.function(body))
    colour.run(load, 1)
    now[0] += 20
    assert colour.run(load.warm, [1]) == Warmed(loaded=1)
    assert (colour.run(load, 1), loads) == (2, [1, 1])


def test_a_method_fills_for_its_object(colour: Colour) -> None:
    Shop.loads.clear()
    shop = Shop("warm")
    method: Any = shop.later if colour.is_async else shop.price
    assert colour.run(method.warm, [1, (2,)]) == Warmed(loaded=2)
    assert colour.run(method.warm, [1, (3,)]) == Warmed(fresh=1, loaded=1)
    assert colour.run(method, 3).startswith("warm 3")
    assert len(Shop.loads) == 3
    assert Shop.static.warm([5]).failed == 0
    assert Shop.of_class.warm([5], concurrency=1).failed == 0
    assert Shop.of_class(5) == "Shop 5"


def test_calls_that_cannot_be_right_are_refused_at_once(colour: Colour, cache: Cache) -> None:
    load = cache(key="n:{n}")(colour.function(lambda n: n))
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        colour.run(load.warm, [(1, 2)])
    with pytest.raises(UsageError, match=r"concurrency of warm\(\) of .* is out of range"):
        colour.run(load.warm, [], concurrency=0)


def test_an_observer_of_progress_that_raises_ends_it(colour: Colour, cache: Cache) -> None:
    def tell(_: Warmed) -> None:
        raise InterruptedError

    load = cache(key="n:{n}")(colour.function(lambda n: n))
    with pytest.raises(InterruptedError):
        colour.run(load.warm, range(50), on_progress=tell)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_load_ends_it(threads: Any, kind: type[BaseException]) -> None:
    def body(n: int) -> int:
        raise kind(n)

    load = threads.cache("memory://")(key="n:{n}")(body)
    with pytest.raises(kind):
        load.warm(range(5))


def test_a_cancelled_caller_ends_its_loads(tasks: Any) -> None:
    cache, gate = tasks.cache("memory://"), tasks.gate()

    async def body(n: int) -> int:
        await gate.passed()
        return n

    load = cache(key="n:{n}")(tasks.function(body))
    handle = tasks.start(lambda: load.warm(range(20), concurrency=4))
    gate.wait_until_entered(4)
    handle.cancel()
    with pytest.raises(CancelledError):
        handle.result()
    gate.open()
    assert gate.entered == 4
