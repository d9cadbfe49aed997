"""Fresh values that are loaded anew before they go stale, by readers who are elected."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Loaded, Miss, StaleHit
from tests.behaviour.seen import Seen
from tests.behaviour.test_outages import Clock
from tests.front.tiers import eventually

if TYPE_CHECKING:
    from tests.colours import Colour

FOR_SURE = 1e9
"""A beta by which every reader is elected."""


@pytest.mark.parametrize("front", [None, 100], ids=["one tier", "front"])
@pytest.mark.parametrize("spelling", ["decorated", "endpoint", "direct"])
def test_an_elected_reader_has_a_fresh_value_loaded_anew_and_does_not_wait(
    colour: Colour, backend_url: str, spelling: str, front: int | None
) -> None:
    clock, gate = Clock(), colour.gate()
    cache = colour.cache(backend_url, clock=clock, front=front)
    seen, values = Seen(cache), ["second", "first"]

    async def read() -> str:
        ends = monotonic() + 0.002
        while monotonic() < ends:
            pass
        if len(values) == 1:
            await gate.passed()
        return values.pop()

    options: dict[str, Any] = {"ttl": 100, "early": FOR_SURE, "jitter": 0}
    body = colour.function(read)
    load: Any = {
        "decorated": cache(key="k", **options)(body),
        "endpoint": cache(key_prefix="e", **options)(body),
        "direct": lambda: colour.face(cache).get_or_load("d", body, **options),
    }[spelling]
    assert colour.start(load).result() == "first"
    assert colour.gather(*[load] * 10) == ["first"] * 10
    gate.wait_until_entered()
    gate.open()
    seen.wait_for(Loaded, 2)
    assert seen.count(StaleHit) == 0


@pytest.mark.parametrize("front", [None, 100], ids=["one tier", "front"])
def test_a_value_with_tags_that_was_loaded_anew_is_served_afterwards(
    colour: Colour, backend_url: str, front: int | None
) -> None:
    cache = colour.cache(backend_url, clock=Clock(), front=front)
    seen, values = Seen(cache), ["third", "second", "first"]

    async def read() -> str:
        ends = monotonic() + 0.002
        while monotonic() < ends:
            pass
        return values.pop()

    load = cache(key="k", tags=["t"], ttl=100, early=FOR_SURE, jitter=0)(colour.function(read))
    assert [colour.run(load), colour.run(load)] == ["first"] * 2
    seen.wait_for(Loaded, 2)
    eventually(lambda: not len(cache._runtime.backend.background), "no load")
    assert colour.run(load) == "second"
    assert seen.count(Miss) == 1
