"""`invalidate(hold=…)`: for a while nothing is stored under a key, whoever invalidates it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Loaded, Replayed, UsageError
from tests.behaviour.seen import Seen
from tests.front.tiers import eventually, kept, tiered

if TYPE_CHECKING:
    from dualcache import Cache
    from tests.colours import Colour
    from tests.proxy import Proxy
    from tests.servers import Server


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def counting(colour: Colour, cache: Cache, **options: Any) -> Any:
    """Return a cached function whose result tells how often it ran."""
    runs: list[int] = []

    def load(n: int) -> int:
        runs.append(n)
        return len(runs)

    return cache(key="n:{n}", **options)(colour.function(load))


def is_held(colour: Colour, cache: Cache, load: Any) -> bool:
    """Tell whether each call loads, and none is stored."""
    first, second = colour.run(load, 1), colour.run(load, 1)
    return second == first + 1 and colour.call(cache, "contains", "n:1") is False


def test_loads_run_under_a_hold_and_are_not_stored(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    seen, load = Seen(cache), counting(colour, cache)
    colour.run(load, 1)
    done = colour.call(cache, "invalidate", "n:1", hold="1m")
    assert (done.keys, done.removed, done.pending) == (1, 1, 0)
    assert is_held(colour, cache, load)
    assert {event.outcome for event in seen.of(Loaded)[1:]} == {"not_stored"}
    assert colour.run(load.refresh, 1) == 4
    assert is_held(colour, cache, load)
    assert colour.call(cache, "get_or_load", "n:1", lambda: 7) == 7
    assert colour.call(cache, "get_or_load_many", ["n:1"], lambda keys: dict.fromkeys(keys, 8)) == {
        "n:1": 8
    }
    assert is_held(colour, cache, load)
    assert list(cache.keys()) == []


def test_a_hold_ends_by_itself(colour: Colour) -> None:
    clock = Clock()
    cache = colour.cache("memory://", clock=clock)
    load = counting(colour, cache)
    colour.call(cache, "invalidate", "n:1", hold=5)
    assert is_held(colour, cache, load)
    clock.now += 5.1
    assert colour.run(load, 1) == colour.run(load, 1)


@pytest.mark.parametrize(
    "what",
    [
        (("n:1",), {}),
        (("n:1",), {"hold": 0.05}),
        ((), {"patterns": ["n:*"]}),
        ((), {"patterns": ["*1"]}),
    ],
    ids=["a key", "a shorter hold", "a pattern", "an open pattern"],
)
def test_no_other_invalidation_shortens_it(colour: Colour, backend_url: str, what: Any) -> None:
    clock = Clock()
    options = {"clock": clock} if backend_url == "memory://" else {}
    cache = colour.cache(backend_url, namespace="shop", **options)
    load = counting(colour, cache)
    colour.call(cache, "invalidate", "n:1", hold=60)
    colour.call(cache, "invalidate", *what[0], **what[1])
    clock.now += 1
    assert is_held(colour, cache, load)
    colour.call(cache, "expire", "n:1")
    colour.run(load.invalidate, 1)
    assert is_held(colour, cache, load)


def test_a_clear_ends_it(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    load = counting(colour, cache)
    colour.call(cache, "invalidate", "n:1", hold=60)
    colour.call(cache, "clear")
    assert colour.run(load, 1) == colour.run(load, 1)


def test_a_set_stores_all_the_same_and_an_add_does_not(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "invalidate", "k", hold=60)
    assert colour.call(cache, "add", "k", 1) is False
    assert colour.call(cache, "incr", "k") is None
    assert colour.call(cache, "touch", "k") is False
    assert colour.call(cache, "peek", "k") is None
    assert colour.call(cache, "set", "k", 2) is True
    assert colour.call(cache, "get", "k") == 2


def test_another_process_keeps_to_it_and_does_not_end_it(
    colour: Colour, redis_server: Server
) -> None:
    one, other = colour.cache(redis_server.url), colour.cache(redis_server.url)
    load = counting(colour, other)
    colour.call(one, "invalidate", "n:1", hold=60)
    assert is_held(colour, other, load)
    colour.call(other, "invalidate", "n:1")
    assert is_held(colour, other, load)


def test_a_load_under_way_is_not_stored_and_a_copy_goes(colour: Colour, backend_url: str) -> None:
    cache = tiered(colour, backend_url)
    load = counting(colour, cache)
    assert kept(colour, cache, load, 1) == 1
    colour.call(cache, "invalidate", "n:1", hold=60)
    assert is_held(colour, cache, load)


def test_the_copy_of_another_process_goes(colour: Colour, redis_server: Server) -> None:
    one, other = tiered(colour, redis_server.url), colour.cache(redis_server.url)
    load = counting(colour, one)
    assert kept(colour, one, load, 1) == 1
    colour.call(other, "invalidate", "n:1", hold=60)
    colour.call(one, "fence")
    assert is_held(colour, one, load)


def test_during_an_outage_it_is_kept_with_the_rest_of_its_time(
    colour: Colour, proxy: Proxy, redis_server: Server
) -> None:
    cache = colour.cache(proxy.url)
    seen, load = Seen(cache), counting(colour, cache)
    colour.run(load, 1)
    proxy.refuse()
    proxy.reset()
    assert colour.call(cache, "invalidate", "n:1", hold=60).pending == 1
    proxy.accept()
    eventually(lambda: colour.call(cache, "get", "none") or seen.of(Replayed), "the replay")
    assert is_held(colour, cache, load)
    assert 0 < int(redis_server.cli("PTTL", "n:1")) <= 60_000


@pytest.mark.parametrize("hold", [-1, "5 parsecs", None, True])
def test_a_hold_that_is_no_duration_is_refused(colour: Colour, hold: Any) -> None:
    cache = colour.cache("memory://")
    with pytest.raises(UsageError, match="hold"):
        colour.call(cache, "invalidate", "k", hold=hold)


def test_a_hold_without_a_key_is_refused(colour: Colour) -> None:
    cache = colour.cache("memory://")
    with pytest.raises(UsageError, match="DC418"):
        colour.call(cache, "invalidate", tags=["t"], hold=5)
