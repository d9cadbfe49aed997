"""Conditional refresh: a load that gets the old entry may say that it is still right."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import NOT_MODIFIED, Cache, Loaded, UsageError
from tests.behaviour.seen import Seen
from tests.behaviour.test_early import FOR_SURE
from tests.behaviour.test_outages import Clock
from tests.front.tiers import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Entry
    from tests.colours import Colour

SPELLINGS = pytest.mark.parametrize("spelling", ["decorated", "endpoint", "direct"])
TIERS = pytest.mark.parametrize("front", [None, 100], ids=["one tier", "front"])
STALE: dict[str, Any] = {"ttl": 10, "stale_if_error": 100, "jitter": 0}


class Source:
    """A versioned value; what was asked of it, and with which entries."""

    def __init__(self, colour: Colour, cache: Cache) -> None:
        self.colour, self.cache = colour, cache
        self.value: Any = ["first"]
        self.loads = 0
        self.given: list[Entry[Any]] = []

    async def read(self) -> Any:
        self.loads += 1
        ends = monotonic() + 0.002  # a load that takes no time elects nobody
        while monotonic() < ends:
            pass
        return list(self.value)

    async def read_if_changed(self, entry: Entry[Any]) -> Any:
        self.given.append(entry)
        return NOT_MODIFIED if entry.value == self.value else list(self.value)

    def loaded_by(self, spelling: str, **options: Any) -> Callable[[], Any]:
        async def read() -> Any:
            return await self.read()

        async def newer(entry: Entry[Any]) -> Any:
            return await self.read_if_changed(entry)

        body = self.colour.function(read)
        options = {"refresh_from": self.colour.function(newer), **STALE, **options}
        if spelling == "direct":
            return lambda: self.colour.face(self.cache).get_or_load("k", body, **options)
        options["key" if spelling == "decorated" else "key_prefix"] = "k"
        function: Callable[[], Any] = self.cache(**options)(body)
        return function


@TIERS
@SPELLINGS
def test_an_entry_that_is_still_right_gets_a_new_life(
    colour: Colour, backend_url: str, spelling: str, front: int | None
) -> None:
    clock = Clock()
    source = Source(colour, colour.cache(backend_url, clock=clock, front=front))
    load = source.loaded_by(spelling)
    assert colour.run(load) == ["first"]
    assert source.given == []  # on a miss the function itself runs
    clock.advance(11)
    assert colour.run(load) == ["first"]
    (old,) = source.given
    assert (old.value, old.age, old.stale, old.tags) == (["first"], 11, True, ())
    assert old.ttl == pytest.approx(99)
    clock.advance(9)
    assert colour.run(load) == ["first"]  # fresh again
    assert (source.loads, len(source.given)) == (1, 1)


@TIERS
@SPELLINGS
def test_an_entry_that_has_changed_is_replaced(
    colour: Colour, backend_url: str, spelling: str, front: int | None
) -> None:
    clock = Clock()
    source = Source(colour, colour.cache(backend_url, clock=clock, front=front))
    load = source.loaded_by(spelling)
    colour.run(load)
    source.value = ["second"]
    clock.advance(11)
    assert [colour.run(load), colour.run(load)] == [["second"], ["second"]]
    assert (source.loads, len(source.given)) == (1, 1)


def test_a_refresh_gets_the_fresh_entry(colour: Colour, backend_url: str) -> None:
    source = Source(colour, colour.cache(backend_url))
    load: Any = source.loaded_by("decorated", stale_if_error=0)
    colour.run(load)
    assert colour.run(load.refresh) == ["first"]
    (old,) = source.given
    assert not old.stale
    assert old.ttl is not None
    assert 0 < old.ttl <= 10
    assert source.loads == 1


@TIERS
@pytest.mark.parametrize("way", ["stale_while_revalidate", "early", "expire"])
def test_a_load_in_the_background_gets_the_old_entry(
    colour: Colour, backend_url: str, way: str, front: int | None
) -> None:
    clock = Clock()
    cache = colour.cache(backend_url, clock=clock, front=front)
    seen, source = Seen(cache), Source(colour, cache)
    is_early = way == "early"
    options: dict[str, Any] = {"early": FOR_SURE} if is_early else {"stale_while_revalidate": 100}
    load: Any = source.loaded_by("decorated", tags=["t"], stale_if_error=0, **options)
    colour.run(load)
    if way == "expire":
        colour.run(load.expire)
    elif not is_early:
        clock.advance(11)
    colour.run(load).append("changed by its caller")
    seen.wait_for(Loaded, 2)
    eventually(lambda: not len(cache._runtime.backend.background), "no load")
    (old,) = source.given
    assert (old.value, old.tags, old.stale) == (["first"], ("t",), not is_early)
    assert colour.run(load) == ["first"]  # stored with the tag's id, so no miss
    eventually(lambda: not len(cache._runtime.backend.background), "no load")
    assert source.loads == 1


@TIERS
@pytest.mark.parametrize("way", ["key", "tag", "set"])
def test_what_is_revoked_during_the_load_is_not_revived(
    colour: Colour, backend_url: str, way: str, front: int | None
) -> None:
    clock, gate = Clock(), colour.gate()
    cache = colour.cache(backend_url, clock=clock, front=front)
    source = Source(colour, cache)

    async def newer(entry: Entry[Any]) -> Any:
        await gate.passed()
        return NOT_MODIFIED

    load = source.loaded_by("decorated", tags=["t"], refresh_from=colour.function(newer))
    colour.run(load)
    clock.advance(11)
    loading = colour.start(load)
    gate.wait_until_entered()
    source.value = ["second"]
    face = colour.face(cache)
    colour.run(
        {
            "key": lambda: face.invalidate("k"),
            "tag": lambda: face.invalidate(tags=["t"]),
            "set": lambda: face.set("k", ["second"], ttl=100),
        }[way]
    )
    gate.open()
    loading.result()
    assert colour.run(load) == ["second"]


def test_what_the_loader_does_to_the_old_value_is_not_stored(
    colour: Colour, backend_url: str
) -> None:
    source = Source(colour, colour.cache(backend_url))

    async def newer(entry: Entry[Any]) -> Any:
        entry.value.append("changed")
        return NOT_MODIFIED

    load: Any = source.loaded_by("decorated", refresh_from=colour.function(newer))
    colour.run(load)
    assert colour.run(load.refresh) == ["first"]
    assert colour.run(load) == ["first"]


def test_the_ttl_is_made_from_the_old_value(colour: Colour, backend_url: str) -> None:
    clock = Clock()
    cache, values = colour.cache(backend_url, clock=clock), []

    def ttl(value: Any) -> int:
        values.append(value)
        return 10 * len(values)

    load = Source(colour, cache).loaded_by("decorated", ttl=ttl)
    colour.run(load)
    clock.advance(11)
    colour.run(load)
    clock.advance(19)
    colour.run(load)
    assert values == [["first"]] * 2


def test_it_takes_the_arguments_that_it_names(colour: Colour, backend_url: str) -> None:
    given: list[Any] = []

    async def read(a: int, *, b: int) -> int:
        return a + b

    async def newer(entry: Entry[int], b: int) -> Any:
        given.append((entry.value, b))
        return NOT_MODIFIED

    cache = colour.cache(backend_url)
    load: Any = cache(key="k:{a}:{b}", refresh_from=colour.function(newer))(colour.function(read))
    colour.run(lambda: load(1, b=2))
    assert colour.run(lambda: load.refresh(1, b=2)) == 3
    assert given == [(3, 2)]


@SPELLINGS
def test_without_an_old_entry_it_is_a_mistake(
    colour: Colour, backend_url: str, spelling: str
) -> None:
    clock = Clock()
    source = Source(colour, colour.cache(backend_url, clock=clock))

    load = source.loaded_by(spelling, refresh_from=None)
    colour.run(load)
    clock.advance(11)

    async def read() -> Any:
        return NOT_MODIFIED

    source.read = read  # type: ignore[method-assign]
    for _ in range(2):  # nor does the stale value stand in for it
        with pytest.raises(UsageError, match="DC424"):
            colour.run(load)


def test_a_plain_function_has_no_coroutine_function_for_it(backend_url: str) -> None:
    async def newer(entry: Entry[int]) -> int:
        return entry.value

    with pytest.raises(UsageError, match="DC129"):
        Cache(backend_url)(refresh_from=newer)(lambda: 1)
