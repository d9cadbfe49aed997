"""Hits that are checked: writes that forget to invalidate are found, and no others are told of."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, Differed, UsageError
from dualcache.engine import verify
from tests.behaviour.seen import Seen
from tests.front.tiers import eventually, kept, opened, tiered

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import Colour

PAUSE_MS = 60


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "LEAST_PAUSE_MS", PAUSE_MS)
    monkeypatch.setattr(verify, "_BUDGETS", 0)


class Source:
    """A value that a function reads, and how often it was read."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.reads = 0

    def reader(self, colour: Colour) -> Callable[..., Any]:
        def body() -> Any:
            self.reads += 1
            return self.value

        del body.__annotations__["return"]
        return colour.function(body)


def settled(cache: Cache) -> None:
    """Wait until nothing is checked any more."""
    eventually(lambda: not len(cache._runtime.backend.background), "no check")


def test_a_write_that_forgets_to_invalidate_is_told(colour: Colour, backend_url: str) -> None:
    cache, source = colour.cache(backend_url), Source([1])
    seen = Seen(cache)
    load = cache(key="k", tags=["t"], verify=1.0)(source.reader(colour))
    for _ in range(3):
        assert colour.run(load) == [1]
        settled(cache)
    assert seen.count(Differed) == 0
    assert source.reads == 3  # a load, and two checks
    source.value = [1, 2]
    assert colour.run(load) == [1]
    seen.wait_for(Differed)
    (told,) = seen.of(Differed)
    assert (told.template, told.tier) == ("k", cache.stats().tier)
    assert 0 <= told.age < 30
    assert colour.run(load) == [1]  # nothing is stored, and nothing is deleted
    settled(cache)
    stats = cache.stats()
    assert (stats.verified, stats.differed) == (4, 2)
    assert "2 of 4 samples differed" in stats.findings[0]


def test_a_caller_neither_waits_for_a_check_nor_shows_it_what_it_changes(
    colour: Colour, backend_url: str
) -> None:
    cache, gate = colour.cache(backend_url), colour.gate()
    seen, loads = Seen(cache), []

    async def body() -> list[int]:
        loads.append(1)
        if len(loads) > 1:
            await gate.passed()
        return [1]

    load = cache(key="k", verify=1.0)(colour.function(body))
    colour.run(load)
    colour.run(load).append(2)
    gate.wait_until_entered()
    gate.open()
    settled(cache)
    assert seen.count(Differed) == 0


@pytest.mark.parametrize("way", ["invalidate", "tag", "set"])
def test_a_difference_that_an_invalidation_explains_is_not_told(
    colour: Colour, backend_url: str, way: str
) -> None:
    cache, source = colour.cache(backend_url), Source("old")
    seen = Seen(cache)
    load = cache(key="k", tags=["t"], verify=1.0)(source.reader(colour))
    colour.run(load)
    source.value = "new"
    assert colour.run(load) == "old"
    eventually(lambda: source.reads == 2, "a check")
    if way == "invalidate":
        colour.call(cache, "invalidate", "k")
    elif way == "tag":
        colour.call(cache, "invalidate", tags=["t"])
    else:
        colour.call(cache, "set", "k", "new", tags=["t"])
    settled(cache)
    assert seen.count(Differed) == 0


def test_a_source_that_fails_differs_from_nothing(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    seen, loads = Seen(cache), []

    def body() -> int:
        loads.append(1)
        if len(loads) > 1:
            raise ValueError
        return 1

    load = cache(key="k", verify=1.0)(colour.function(body))
    for _ in range(2):
        assert colour.run(load) == 1
        settled(cache)
    assert len(loads) == 2
    assert seen.count(Differed) == 0


def test_hits_before_the_server_are_checked_too(colour: Colour, backend_url: str) -> None:
    cache, source = tiered(colour, backend_url), Source(1)
    load = cache(key="k", verify=0.2)(source.reader(colour))
    opened(colour, cache)
    kept(colour, cache, load)
    source.value = 2
    told: list[Any] = []
    cache.on_event(lambda event: told.append(event) if isinstance(event, Differed) else None)

    def is_told() -> bool:
        assert colour.run(load) == 1
        return bool(told)

    eventually(is_told, "a difference")
    settled(cache)


def test_direct_loads_may_be_checked(colour: Colour, backend_url: str) -> None:
    cache, source = colour.cache(backend_url), Source(1)
    seen, reader = Seen(cache), source.reader(colour)
    colour.call(cache, "get_or_load", "k", reader, verify=1.0)
    source.value = 2
    assert colour.call(cache, "get_or_load", "k", reader, verify=1.0) == 1
    seen.wait_for(Differed)
    settled(cache)


def test_a_herd_under_invalidations_is_told_of_nothing(colour: Colour, backend_url: str) -> None:
    cache, source = tiered(colour, backend_url), Source(0)
    load = cache(key="k", verify=0.1)(source.reader(colour))
    told: list[Any] = []
    cache.on_event(lambda event: told.append(event) if isinstance(event, Differed) else None)
    ends = threading.Event()

    def read() -> None:
        while not ends.is_set():
            load()

    if colour.is_async:
        pytest.skip("the storm is one of threads")
    readers = [colour.start(read) for _ in range(4)]
    for number in range(1, 60):
        source.value = number
        cache.invalidate("k")
    ends.set()
    for each in readers:
        each.result()
    settled(cache)
    assert told == []


@pytest.mark.parametrize("share", [-0.1, 1.5, "often", True])
def test_a_share_that_is_none_is_refused(share: Any) -> None:
    with pytest.raises(UsageError, match="verify"):
        Cache("memory://")(key="k", verify=share)(lambda: 1)
