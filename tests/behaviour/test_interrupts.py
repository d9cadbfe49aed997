from __future__ import annotations

import gc
import itertools
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from dualcache import BackendDown, LoadFailed
from dualcache.drivers.flights import led
from tests.behaviour.interrupting import interrupted
from tests.behaviour.seen import Seen
from tests.front.tiers import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualcache import Cache
    from tests.colours import SyncColour
    from tests.servers import Server

SLOTS: Final = 3
PATIENT: Final = {"socket_timeout": 10, "socket_connect_timeout": 10, "call_timeout": 30}
MOST_POINTS: Final = 5_000
STORM_SECONDS: Final = 2.0


class Soft(Exception):
    """A soft time limit, as Celery's: an `Exception` that a signal handler raises."""


# A socket that redis-py was just making when it was interrupted is closed by the collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def unraisable(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What Python could only print, such as a generator that ignored GeneratorExit."""
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: told.append(repr(what.exc_value)))
    yield told
    gc.collect()


def bounded(threads: SyncColour, url: str, **options: Any) -> Cache:
    if url != "memory://":
        # No time-out of a busy machine is to be taken for what an interrupt left behind.
        options = {"max_connections": SLOTS, **PATIENT, **options}
    cache = threads.cache(url, **options)
    cache.get("warm")
    return cache


def has_all_slots(cache: Cache) -> bool:
    connections: Any = cache._runtime.backend._server._sync
    # A cluster has a pool for each node.
    pools = [*getattr(connections, "_backends", {"": connections}).values()]
    return connections is None or all(len(each._pool.free) == SLOTS for each in pools)


def left_behind(cache: Cache, key: str) -> list[str]:
    """Return what an interrupted call left that it should have given back."""
    # On a busy machine the clean-up may take longer than an interrupted caller waits for it.
    eventually(lambda: has_all_slots(cache), "all slots are free: it")
    eventually(lambda: not len(cache._runtime.backend.flights), "no flight: it")
    left = []
    if led.get():
        left.append(f"{len(led.get())} flights in the context")
    return left or left_lease(cache, key)


def left_lease(cache: Cache, key: str) -> list[str]:
    """Tell whether a lease was left: the next load would wait for it, and then store nothing."""
    cache.get_or_load(key, lambda: "stored")
    return [] if cache.get(key) is not None else ["a lease"]


CALLS: dict[str, Callable[[Cache, Any], Callable[[], Any]]] = {
    "load": lambda _, load: partial(load, 1),
    "many": lambda cache, _: partial(
        cache.get_or_load_many, ["k:1", "k:2"], lambda keys: dict.fromkeys(keys, 1)
    ),
    "refresh": lambda _, load: partial(load.refresh, 1),
    "set": lambda cache, _: partial(cache.set, "k:1", {"n": 1}, tags=["t"]),
    "invalidate": lambda cache, _: partial(cache.invalidate, "k:1", tags=["t"]),
    "get": lambda cache, _: partial(cache.get, "k:1"),
}


def troubles_of(
    cache: Cache,
    call: Callable[[], Any],
    kind: type[BaseException],
    unraisable: list[Any],
) -> Iterator[str]:
    """Interrupt a call at its first point, the next at its second, until one ends by itself."""
    for at in itertools.count(1):
        assert at < MOST_POINTS
        cache.invalidate("k:1", "k:2")
        was_raised = False
        with interrupted(at, kind) as countdown:
            try:
                call()
            except kind:
                was_raised = True
        left = left_behind(cache, "k:1") + unraisable
        if countdown.raised_at and not was_raised:
            left.append("an interrupt that was swallowed")
        unraisable.clear()
        if left:
            yield f"{countdown.raised_at}: {left}"
        if not countdown.raised_at:
            assert at > 20
            return


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        *[(KeyboardInterrupt, what) for what in CALLS],
        *[(kind, "load") for kind in (GeneratorExit, Soft, TimeoutError)],
        (Soft, "set"),
    ],
)
def test_an_interrupt_at_any_point_of_a_call_leaves_nothing_behind(
    threads: SyncColour,
    backend_url: str,
    what: str,
    kind: type[BaseException],
    unraisable: list[Any],
) -> None:
    cache = bounded(threads, backend_url)

    @cache(key="k:{n}", tags=["t"])
    def load(n: int) -> dict[str, int]:
        return {"n": n}

    load(1)
    seen = Seen(cache)
    troubles = list(troubles_of(cache, CALLS[what](cache, load), kind, unraisable))
    assert not troubles, "\n".join(troubles[:20])
    assert seen.count(BackendDown) == 0


# A trace function that raises inside of a profiler crashed CPython 3.11 itself, in one run of many:
# this one runs with the storms.
@pytest.mark.storm
@pytest.mark.parametrize("again_after", [1, 2, 5, 20, 50])
def test_a_second_interrupt_while_a_call_cleans_up_leaves_no_slot_and_no_flight(
    threads: SyncColour, backend_url: str, again_after: int
) -> None:
    cache = bounded(threads, backend_url)

    @cache(key="k:{n}", tags=["t"])
    def load(n: int) -> dict[str, int]:
        return {"n": n}

    for at in itertools.count(1):
        with interrupted(at, KeyboardInterrupt, again_after) as down, suppress(KeyboardInterrupt):
            load(at)
        # The clean-up goes on where whoever waits for it was interrupted too.
        eventually(lambda: not len(cache._runtime.backend.flights), down.raised_at)
        eventually(lambda: has_all_slots(cache), down.raised_at)
        if not down.raised_at:
            break


def test_followers_of_an_interrupted_leader_elect_a_new_one(
    threads: SyncColour, backend_url: str
) -> None:
    cache = bounded(threads, backend_url)
    followers: list[Any] = []
    runs: list[bool] = []

    def body() -> str:
        is_leader = threading.current_thread() is threading.main_thread()
        runs.append(is_leader)
        if is_leader:
            followers.extend(threads.start(load) for _ in range(5))
            signal.raise_signal(signal.SIGUSR1)
        return "value"

    load = cache(key="k", stale_if_error=60)(body)
    seen = Seen(cache)
    before = signal.signal(signal.SIGUSR1, raising(Soft))
    try:
        with pytest.raises(Soft):
            load()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [follower.result() for follower in followers] == ["value"] * 5
    assert runs.count(True) == 1
    assert seen.count(LoadFailed) == 0
    assert not left_behind(cache, "k")


def raising(kind: type[BaseException]) -> Callable[..., None]:
    def handler(*_: object) -> None:
        raise kind

    return handler


def test_an_interrupt_while_the_server_hangs_is_raised_and_gives_the_slot_back(
    threads: SyncColour, own_server: Server
) -> None:
    cache = bounded(threads, own_server.url, socket_timeout=5)
    before = signal.signal(signal.SIGALRM, raising(TimeoutError))
    own_server.pause()

    def get_and_be_interrupted() -> None:
        # Set here: this thread may stand still, and be interrupted before it asks.
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        cache.get("k")

    began = time.monotonic()
    try:
        with pytest.raises(TimeoutError, match=r"^$"):
            get_and_be_interrupted()
    finally:
        signal.signal(signal.SIGALRM, before)
        own_server.resume()
    assert time.monotonic() - began < 4.5  # it would be five
    assert not left_behind(cache, "k")
    assert cache.stats().is_available


def test_a_storm_of_interrupts_leaves_nothing_behind(
    threads: SyncColour, backend_url: str, unraisable: list[Any]
) -> None:
    cache = bounded(threads, backend_url)
    draw = random.Random(1)

    @cache(key="k:{n}", tags=["t"], ttl=60)
    def load(n: int) -> dict[str, int]:
        return {"n": n}

    calls = (
        load,
        lambda n: cache.invalidate(f"k:{n}"),
        load.refresh,
        lambda n: cache.get_or_load_many([f"k:{n}", "k:9"], lambda keys: dict.fromkeys(keys, 1)),
    )

    def call_until_interrupted() -> None:
        signal.setitimer(signal.ITIMER_REAL, draw.uniform(0.0002, 0.01))
        # One that lands in a finalizer is lost there: after a while the next is set.
        lost = time.monotonic() + 0.05
        while time.monotonic() < lost:
            draw.choice(calls)(draw.randrange(5))
        signal.setitimer(signal.ITIMER_REAL, 0)
        for _ in range(3):  # one that still comes is raised here, and not behind the try
            time.monotonic()

    interrupts = 0
    before = signal.signal(signal.SIGALRM, raising(Soft))
    ends = time.monotonic() + STORM_SECONDS
    try:
        while time.monotonic() < ends:
            try:
                # In a function of its own: what is raised at the jump of a loop within this try may
                # pass it by (seen on 3.13).
                call_until_interrupted()
            except Soft:
                interrupts += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupts > 10
    # One that landed in a finalizer of somebody else's is lost there; a flow must not be.
    assert not [told for told in unraisable if "GeneratorExit" in told]
    for n in range(10):
        assert not left_behind(cache, f"k:{n}"), (n, interrupts)
