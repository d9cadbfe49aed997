"""What the tests of the front tier share: caches that are open, copies that are kept."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from dualcache import FrontTier
from dualcache.backends.redis.push.listener import Listener
from tests.bodies import WAIT_SECONDS
from tests.front.hands import Hands

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from dualcache.front.tier import Front
    from tests.colours import Colour

STALENESS: Final = 0.6
"""The bound where a test moves the time, or looks at the bound itself."""
LONG_STALENESS: Final = 30.0
"""The bound by the machine's clock: no machine is so busy that the tier is emptied by its age."""
PAUSE: Final = threading.Event()


def eventually(
    holds: Callable[[], object], what: str = "it", hands: Hands | None = None, step: float = 0.0
) -> None:
    """Look again and again until it holds.

    Where `hands` hold the time still, each look ends the pauses after failures, and moves the time
    on by a `step`.
    """
    ends = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < ends, f"{what} does not come to hold"
        if hands is not None:
            hands.end_pauses()
            hands.move(step)
        PAUSE.wait(0.002)


def tier_of(cache: Cache) -> Front:
    """Return the front tier of a cache; tests reach into it by the functions of this module."""
    front = cache._runtime.backend.front
    assert front is not None
    return front


def listener_of(cache: Cache) -> Listener:
    listener = tier_of(cache).pushes
    assert isinstance(listener, Listener)
    return listener


def redirect_listener(cache: Cache, port: int) -> None:
    """Let the listener alone go to another port."""
    listener_of(cache)._target = replace(cache._runtime.backend.target, port=port)


def listener_id(cache: Cache) -> int:
    link = listener_of(cache)._link
    assert link is not None
    return link.client_id


def tracked_ids(cache: Cache) -> tuple[int, ...]:
    return tier_of(cache).tracking.ids()


def tiered(colour: Colour, url: str, transport: Any = "auto", **options: Any) -> Cache:
    """Return a cache with a front tier, closed when the test ends."""
    options.setdefault("max_staleness", LONG_STALENESS)
    front = options.pop("front", None) or FrontTier(transport=transport)
    return colour.cache(url, front=front, **options)


def held(colour: Colour, url: str, transport: Any = "auto", **options: Any) -> Cache:
    """Return the same, with time that stands still but for what the test moves."""
    hands = Hands()
    options.setdefault("max_staleness", STALENESS)
    cache = tiered(colour, url, transport, clock=hands, **options)
    listener_of(cache)._waiter = hands
    hands.breaker = cache._runtime.backend.env.health.breaker
    return cache


def hands_of(cache: Cache) -> Hands | None:
    """Return what moves the time of a cache, where that stands still."""
    pushes = tier_of(cache).pushes
    waiter = pushes._waiter if isinstance(pushes, Listener) else None
    return waiter if isinstance(waiter, Hands) else None


def is_open(cache: Cache) -> bool:
    front = cache.stats().front
    return front is not None and front.is_open


def opened(colour: Colour, cache: Cache) -> Cache:
    """Let the listener begin, and wait until the tier is open."""
    colour.call(cache, "get", "no such key")
    eventually(lambda: is_open(cache), "an open tier", hands_of(cache))
    return cache


def front_hits(cache: Cache) -> int:
    front = cache.stats().front
    assert front is not None
    return front.hits


def losses(cache: Cache) -> int:
    front = cache.stats().front
    assert front is not None
    return front.losses


def kept(colour: Colour, cache: Cache, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function until it is answered in process; return what it said."""
    opened(colour, cache)

    def is_hit() -> bool:
        before = front_hits(cache)
        found.append(colour.run(function, *args))
        return front_hits(cache) > before

    found: list[Any] = []
    eventually(is_hit, "a hit in process", hands_of(cache))
    return found[-1]


def kept_key(colour: Colour, cache: Cache, key: str) -> Any:
    """Get a key until it is answered in process; return what it said."""
    return kept(colour, cache, getattr(colour.face(cache), "get"), key)  # noqa: B009


def old_copy(colour: Colour, cache: Cache) -> None:
    """Set `k` to "old", and get it until it is answered in process.

    A first call that comes to a short time-out on a busy machine is repeated.
    """
    is_set = lambda: colour.call(cache, "set", "k", "old")  # noqa: E731
    eventually(is_set, "a store", hands_of(cache))
    assert kept_key(colour, cache, "k") == "old"


def getting(colour: Colour, cache: Cache, key: str) -> Callable[[], Any]:
    """Return a call that gets a key, to be started."""
    return lambda: colour.face(cache).get(key)
