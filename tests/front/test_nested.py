"""A cached function that calls another: what its entry may be made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.front.tiers import opened, tiered

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.servers import Server


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
