"""What `refresh()` leaves behind: its result, or nothing where that is not stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import LoadFailed
from tests.behaviour.seen import Seen

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.proxy import Proxy
    from tests.servers import Server

UNSTORED: list[dict[str, Any]] = [
    {"condition": lambda result, _: result == 1},
    {"ttl": lambda result, _: 60 if result == 1 else 0},
    {"tags": lambda result, _: ["ones"] if result == 1 else "others"},
    {},  # a value that no codec keeps
]


class Answering:
    """What a function returns: 1 at first, then whatever it is told."""

    def __init__(self, colour: Colour, cache: Any, **options: Any) -> None:
        self.value: Any = 1

        def load(n: int) -> Any:
            if isinstance(self.value, Exception):
                raise self.value
            return self.value

        self.cached = cache(key="n:{n}", **options)(colour.function(load))


@pytest.mark.parametrize("options", UNSTORED)
def test_an_old_result_is_not_served_after_a_refresh_that_stores_nothing(
    colour: Colour, backend_url: str, options: dict[str, Any]
) -> None:
    cache = colour.cache(backend_url)
    source = Answering(colour, cache, **options)
    for _ in range(2):
        assert colour.run(source.cached, 1) == 1
    source.value = 2 if options else (each for each in "ab")
    assert colour.run(source.cached.refresh, 1) is source.value
    assert colour.call(cache, "get", "n:1") is None
    assert colour.run(source.cached, 1) is source.value


@pytest.mark.parametrize("error", [OSError("down"), ValueError()])
def test_an_old_result_stays_where_the_refresh_fails(
    colour: Colour, backend_url: str, error: Exception
) -> None:
    cache = colour.cache(backend_url)
    seen, source = Seen(cache), Answering(colour, cache)
    colour.run(source.cached, 1)
    source.value = error
    with pytest.raises(type(error)):
        colour.run(source.cached.refresh, 1)
    assert colour.run(source.cached, 1) == 1
    assert seen.count(LoadFailed) == 1


def test_what_was_stored_during_a_refresh_that_stores_nothing_stays(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    gate = colour.gate()

    async def load(n: int) -> int:
        await gate.passed()
        return 2

    cached = cache(key="n:{n}", condition=lambda *_: False)(colour.function(load))
    colour.call(cache, "set", "n:1", 1)
    refreshing = colour.start(lambda: cached.refresh(1))
    gate.wait_until_entered()
    colour.call(cache, "set", "n:1", 3)
    gate.open()
    assert refreshing.result() == 2
    assert colour.call(cache, "get", "n:1") == 3


def test_an_old_result_is_not_served_where_the_server_fails_at_the_end_of_a_refresh(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    now = [0.0]
    cache = colour.cache(proxy.url, clock=lambda: now[0])
    gate = colour.gate()

    async def load(n: int) -> int:
        await gate.passed()
        return 2

    cached = cache(key="n:{n}")(colour.function(load))
    colour.call(cache, "set", "n:1", 1)
    refreshing = colour.start(lambda: cached.refresh(1))
    gate.wait_until_entered()
    proxy.refuse()
    proxy.reset()
    gate.open()
    assert refreshing.result() == 2
    proxy.heal()
    now[0] = 3.0
    assert colour.call(cache, "get", "n:1") is None
    assert colour.run(cached, 1) == 2
