"""Every call of a cache, where its n-th op fails: the rules hold whichever op that is.

After each call: no value that was invalidated is served here or elsewhere, what could not be
delivered is owed and replayed, and no lease, flight or connection is left behind.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from dualcache import FrontTier, WaitExpired
from dualcache.core.entry import Kind
from dualcache.core.envelope import kind_of
from dualcache.drivers.flights import led
from tests.behaviour.seen import Seen
from tests.front.hands import Hands
from tests.front.tiers import eventually, kept, listener_of, opened
from tests.storms.faults import FAULTS, Fault, FaultyLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.colours import Colour
    from tests.servers import Server

CALLERS: Final = 4
OFTEN: Final = (
    "a time-out, carried out late",
    "an interrupt after sending",
    "a cancellation after sending",
    "a time-out after sending",
    "a reset after sending",
    "time-outs from here on",
)
"""The faults that found most: they run each time, the first two before a front tier as well."""
MOST_OPS: Final = 30
LONG_PAUSE: Final = 15.0
"""Longer than any pause of the breaker."""
LEFT_ALONE: Final = 61.0
"""Longer than a key is left alone whose reads were cut; by then lost leases are forgotten, too."""
INTERRUPTS: Final = (
    KeyboardInterrupt,
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
)
RELEASED_MS: Final = 50
"""A marker that was given back ends within this time."""
PATIENT: Final = {"socket_timeout": 30, "socket_connect_timeout": 30, "call_timeout": 60}


class Site:
    """A cache whose link can fail, another process's cache, and a source that counts its releases.

    `front` gives the first one a front tier. Its time stands still but for what the test moves.
    """

    def __init__(self, colour: Colour, server: Server, *, front: bool) -> None:
        self.colour, self.server = colour, server
        self.hands = Hands()
        tier = FrontTier(transport="tracking") if front else None
        self.cache = colour.cache(
            server.url,
            namespace="n",
            clock=self.hands,
            front=tier,
            max_staleness=100_000,
            **PATIENT,
        )
        if front:
            listener_of(self.cache)._waiter = self.hands
        self.front = front
        self.other = colour.cache(server.url, namespace="n", clock=self.hands, **PATIENT)
        self.link = FaultyLink(self.cache, is_async=colour.is_async)
        self.seen = (
            Seen(self.cache) if not front else None
        )  # a hit that is heard ends in no wrapper
        self.release = 0

        def read(n: int) -> dict[str, int]:
            return self.value()

        def one() -> dict[str, int]:
            return self.value()

        def many(keys: list[str]) -> dict[str, Any]:
            return dict.fromkeys(keys, self.value())

        def of_numbers(numbers: list[int]) -> dict[int, Any]:
            return dict.fromkeys(numbers, self.value())

        self.one, self.many = colour.function(one), colour.function(many)
        body = colour.function(read)
        self.load = self.cache(key="k:{n}", tags=["t"])(body)
        self.stale = self.cache(key="s:{n}", ttl=10, jitter=0, stale_if_error=100_000)(body)
        self.beside = self.cache(key="b:{n}", ttl=10, jitter=0, stale_while_revalidate=100_000)(
            body
        )
        each = colour.function(of_numbers)
        self.numbers = self.cache.many(key="m:{number}")(each)
        self.stale_numbers = self.cache.many(
            key="s:{number}", ttl=10, jitter=0, stale_if_error=100_000
        )(each)
        self.beside_numbers = self.cache.many(
            key="b:{number}", ttl=10, jitter=0, stale_while_revalidate=100_000
        )(each)
        self.tagged = self.cache(key="r:{n}", tags=lambda _, n: [f"t:{n}"])(body)

    def warm(self) -> Any:
        """Fill ahead, and read what was filled."""
        self.colour.run(self.load.warm, [(1,), (2,)])
        return self.colour.run(self.load, 1)

    def value(self) -> dict[str, int]:
        return {"release": self.release}

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        return self.colour.call(self.cache, method, *args, **options)

    def ask_other(self, method: str, *args: Any, **options: Any) -> Any:
        return self.colour.call(self.other, method, *args, **options)

    def begin(self) -> None:
        """Begin anew, with another value at the source."""
        self.forget_all()
        self.release += 1

    def fence(self) -> None:
        """Let the front tier hear what the other process did."""
        if self.front:
            self.call("fence")

    def forget_all(self) -> None:
        """Begin anew, as if nothing had been loaded."""
        self.ask_other("clear")
        self.fence()

    def keep_one(self) -> None:
        """Let a value be stored, and kept by the front tier if there is one; then change it."""
        self.hands.move(LEFT_ALONE)
        self.forget_all()
        for _ in range(2):
            self.colour.run(self.load, 1)
        if self.front:
            kept(self.colour, self.cache, self.load, 1)
        self.release += 1

    def heal(self) -> None:
        """End the fault, and the pauses of the breaker."""
        self.link.heal()
        self.hands.move(LONG_PAUSE)

    def background_ends(self) -> None:
        """Wait until nothing is loaded in the background."""
        eventually(lambda: not len(self.cache._runtime.backend.background), "no refresh")

    def is_whole(self, told: Any, *, may_hold_leases: bool) -> None:
        """Fail if the call has left something that it should have given back."""
        backend = self.cache._runtime.backend
        eventually(lambda: not len(backend.flights), f"no flight after {told}")
        assert not led.get()
        if not may_hold_leases:
            eventually(lambda: not self.leases(), f"no lease after {told}")
        if self.seen is not None:
            assert self.seen.count(WaitExpired) == 0

    def leases(self) -> list[bytes]:
        """Return the keys that hold the marker of a load."""
        ask = self.server.cli
        return [
            key
            for key in ask("KEYS", "n:*")
            if (key.startswith(b"n:~r:") or kind_of(ask("GET", key) or b"") is Kind.FILLING)
            and ask("PTTL", key) > RELEASED_MS
        ]


def cases() -> Iterator[Any]:
    """Every fault before one tier and before two; most of them among the storms."""
    for front, name in itertools.product([False, True], FAULTS):
        often = OFTEN[:2] if front else OFTEN
        marks = () if name in often else (pytest.mark.storm,)
        tiers = "two tiers" if front else "one tier"
        yield pytest.param(front, name, marks=marks, id=f"{tiers}-{name}")


EACH_FAULT: Final = pytest.mark.parametrize(("site", "name"), [*cases()], indirect=["site"])


@pytest.fixture
def site(request: pytest.FixtureRequest, colour: Colour, redis_server: Server) -> Site:
    made = Site(colour, redis_server, front=request.param)
    if made.front:
        opened(colour, made.cache)
    return made


def each_op(
    site: Site, fault: Fault, prepare: Callable[[], Any], call: Callable[[], Any]
) -> Iterator[tuple[int, Any]]:
    """Let the first op of a call fail, of the next call the second, until one meets no fault.

    Yields which op it was, and what the call returned: the interrupt, if it was interrupted.
    """
    for at in itertools.count(1):
        assert at < MOST_OPS
        prepare()
        site.link.break_at(at, fault)
        try:
            result = call()
        except INTERRUPTS as interrupt:
            assert fault.is_interrupt
            result = interrupt
        was_met = site.link.was_met
        if not fault.lasts or not was_met:
            site.link.heal()
        yield at, result
        site.heal()
        if not was_met:
            assert at > 1
            return


class Loading(NamedTuple):
    """A call that loads, the functions whose entries are there before it, and their state."""

    call: Callable[[Site], Any]
    stored: tuple[str, ...] = ()
    is_dead: bool = False
    is_stale: bool = False

    def prepare(self, site: Site) -> None:
        site.forget_all()
        for name in self.stored:
            site.colour.run(getattr(site, name), 1)
        if self.is_dead:
            site.ask_other("invalidate", tags=["t", "t:1"])
        if self.is_stale:
            site.hands.move(11)
        site.release += 1


LOADS: Final = {
    "load": Loading(lambda site: site.colour.run(site.load, 1)),
    "load over a dead entry": Loading(
        lambda site: site.colour.run(site.load, 1), ("load",), is_dead=True
    ),
    "load over a stale entry": Loading(
        lambda site: site.colour.run(site.stale, 1), ("stale",), is_stale=True
    ),
    "load with tags of its result": Loading(
        lambda site: site.colour.run(site.tagged, 1), ("tagged",), is_dead=True
    ),
    "get_or_load": Loading(lambda site: site.call("get_or_load", "k:1", site.one)),
    "get_or_load_many": Loading(
        lambda site: site.call("get_or_load_many", ["k:1", "s:1", "r:1"], site.many),
        ("tagged",),
        is_dead=True,
    ),
    "many by a function": Loading(lambda site: site.colour.run(site.numbers, [1, 2])),
    "many over a stale entry": Loading(
        lambda site: site.colour.run(site.stale_numbers, [1, 2]), ("stale",), is_stale=True
    ),
    "many in the background": Loading(
        lambda site: site.colour.run(site.beside_numbers, [1]), ("beside",), is_stale=True
    ),
    "warm": Loading(lambda site: site.warm()),
    "load in the background": Loading(
        lambda site: site.colour.run(site.beside, 1), ("beside",), is_stale=True
    ),
    "refresh": Loading(lambda site: site.colour.run(site.load.refresh, 1), ("load",)),
    "refresh of nothing": Loading(lambda site: site.colour.run(site.load.refresh, 1)),
}


@EACH_FAULT
@pytest.mark.parametrize("what", LOADS)
def test_a_load_whose_nth_op_fails_keeps_every_rule(site: Site, what: str, name: str) -> None:
    fault, loading = FAULTS[name], LOADS[what]
    fault.skip_unless_possible(site.colour)
    run = site.colour.run
    if "background" in what and fault.is_interrupt and not site.colour.is_async:
        pytest.skip("signals interrupt the main thread alone")
    for at, result in each_op(
        site, fault, lambda: loading.prepare(site), lambda: loading.call(site)
    ):
        told = (what, name, at)
        if not isinstance(result, BaseException):
            found = result.values() if "many" in what else [result]
            served = {site.release - 1} if "background" in what else {site.release}
            # Where the stale entry cannot be read, the caller loads.
            assert {each["release"] for each in found} <= served | {site.release}, told
        site.background_ends()
        site.heal()
        # Leases whose reply was lost are given back before the next one is taken.
        run(site.load, 3)
        site.is_whole(told, may_hold_leases=fault.arrives == "late")
        # What was loaded before an invalidation elsewhere is never served after it.
        site.release += 1
        assert site.ask_other("clear").pending == 0
        site.link.carry_out_late(run)
        site.fence()
        for key in ("k:1", "s:1", "r:1", "b:1"):
            assert site.call("get", key) is None, told
            assert site.ask_other("get", key) is None, told
        if fault.arrives != "late":
            for load in (site.load, site.tagged, site.stale, site.beside):
                assert [run(load, 1), run(load, 1)] == [site.value()] * 2, told


@EACH_FAULT
def test_callers_of_a_load_whose_nth_op_fails_all_get_a_value(site: Site, name: str) -> None:
    fault = FAULTS[name]
    fault.skip_unless_possible(site.colour)

    def together() -> list[Any]:
        calls = [lambda: site.load(1)] * CALLERS
        return site.colour.gather(*calls, return_exceptions=True)

    for at, results in each_op(site, fault, site.begin, together):
        interrupted = [each for each in results if isinstance(each, BaseException)]
        assert len(interrupted) <= (CALLERS if fault.lasts else 1), (name, at)
        assert fault.is_interrupt or not interrupted, (name, at, interrupted)
        assert all(each in (site.value(), *interrupted) for each in results), (name, at, results)
        site.heal()
        site.colour.run(site.load, 3)
        site.is_whole((name, at), may_hold_leases=fault.arrives == "late")


def saved(n: int) -> None: ...


DELETIONS: Final[dict[str, Callable[[Site], Any]]] = {
    "a key": lambda site: site.call("invalidate", "k:1"),
    "a tag": lambda site: site.call("invalidate", tags=["t"]),
    "a pattern": lambda site: site.call("invalidate", patterns=["k:*"]),
    "all of them": lambda site: site.call("invalidate", "k:9", tags=["x"], patterns=["k:?"]),
    "clear": lambda site: site.call("clear"),
    "a hold": lambda site: site.call("invalidate", "k:1", hold=30),
    "expire": lambda site: site.call("expire", "k:1"),
    "the handle": lambda site: site.colour.run(site.load.invalidate, 1),
    "cache_clear": lambda site: site.colour.run(site.load.cache_clear),
    "invalidates": lambda site: site.colour.run(
        site.cache.invalidates("k:{n}")(site.colour.function(saved)), 1
    ),
}


@EACH_FAULT
@pytest.mark.parametrize("what", DELETIONS)
def test_an_invalidation_whose_nth_op_fails_is_delivered_or_owed(
    site: Site, what: str, name: str
) -> None:
    fault, delete = FAULTS[name], DELETIONS[what]
    fault.skip_unless_possible(site.colour)
    run = site.colour.run
    if what == "cache_clear" and site.colour.is_async:
        pytest.skip("it blocks, in both colours alike")
    for at, done in each_op(site, fault, site.keep_one, lambda: delete(site)):
        told = (what, name, at)
        pending = site.cache.stats().pending
        if not isinstance(done, BaseException):
            if (
                done is not None
            ):  # what the decorated function or cache_clear returned tells nothing
                assert bool(done.pending) == bool(pending), told
            if not pending:
                assert site.ask_other("get", "k:1") is None, told
        # Before it is delivered too: this process is served nothing of what it has invalidated.
        assert run(site.load, 1) == site.value(), told
        site.heal()
        assert site.call("get", "k:1") in (None, site.value()), told
        assert run(site.load, 1) == site.value(), told
        site.call("get", "k:8")  # a key whose reads were cut is left alone, and delivers nothing
        assert site.cache.stats().pending == 0, told
        assert site.ask_other("get", "k:1") in (None, site.value()), told
        site.link.carry_out_late(run)
        assert [run(site.load, 1), run(site.load, 1)] == [site.value()] * 2, told
        run(site.load, 3)
        site.is_whole(told, may_hold_leases=False)


WRITES: Final[dict[str, Callable[[Site], Any]]] = {
    "set": lambda site: site.call("set", "k:1", site.value(), tags=["t"]),
    "set_many": lambda site: site.call("set_many", dict.fromkeys(["k:1", "k:2"], site.value())),
    "store": lambda site: site.colour.run(site.load.store, site.value(), 1),
}


@EACH_FAULT
@pytest.mark.parametrize("what", WRITES)
def test_a_write_whose_nth_op_fails_replaces_the_old_value_or_deletes_it(
    site: Site, what: str, name: str
) -> None:
    fault, write = FAULTS[name], WRITES[what]
    fault.skip_unless_possible(site.colour)
    run = site.colour.run
    for at, done in each_op(site, fault, site.keep_one, lambda: write(site)):
        told = (what, name, at)
        if done is True or (isinstance(done, set | list) and "k:1" in done):
            assert site.ask_other("get", "k:1") == site.value(), told
        assert site.call("get", "k:1") in (None, site.value()), told
        site.heal()
        assert site.call("get", "k:1") in (None, site.value()), told
        assert site.ask_other("get", "k:1") in (None, site.value()), told
        assert site.cache.stats().pending == 0, told
        # What was set before an invalidation does not come back after it, however late it arrives.
        assert site.ask_other("invalidate", "k:1").pending == 0
        site.link.carry_out_late(run)
        site.fence()
        assert site.call("get", "k:1") is None, told
        assert site.ask_other("get", "k:1") is None, told
        if fault.arrives != "late":
            site.release += 1
            assert [run(site.load, 1), run(site.load, 1)] == [site.value()] * 2, told
            site.is_whole(told, may_hold_leases=False)


@EACH_FAULT
def test_an_add_whose_nth_op_fails_stores_its_value_or_nothing(site: Site, name: str) -> None:
    fault = FAULTS[name]
    fault.skip_unless_possible(site.colour)
    for at, done in each_op(site, fault, site.begin, lambda: site.call("add", "k:1", site.value())):
        told = (name, at)
        if done is True:
            assert site.ask_other("get", "k:1") == site.value(), told
        site.heal()
        assert site.call("get", "k:1") in (None, site.value()), told
        is_nothing_left(site, told, fault)


@EACH_FAULT
def test_a_touch_whose_nth_op_fails_leaves_the_value_as_it_was(site: Site, name: str) -> None:
    fault = FAULTS[name]
    fault.skip_unless_possible(site.colour)

    def prepare() -> None:
        site.hands.move(LEFT_ALONE)
        site.begin()
        assert site.colour.run(site.load, 1) == site.value()

    for at, done in each_op(site, fault, prepare, lambda: site.call("touch", "k:1", ttl=50)):
        told = (name, at)
        assert site.ask_other("get", "k:1") == site.value(), told
        if done is True:
            assert 0 < site.ask_other("ttl", "k:1") <= 50, told
        site.heal()
        is_nothing_left(site, told, fault)


@EACH_FAULT
def test_an_incr_whose_nth_op_fails_counts_once_or_not_at_all(site: Site, name: str) -> None:
    fault = FAULTS[name]
    fault.skip_unless_possible(site.colour)

    def prepare() -> None:
        site.hands.move(LEFT_ALONE)
        site.begin()
        assert [site.call("incr", "k:1") for _ in range(2)] == [1, 2]

    for at, done in each_op(site, fault, prepare, lambda: site.call("incr", "k:1")):
        told = (name, at)
        assert isinstance(done, BaseException) or done in (None, 3), told
        if done == 3:
            assert site.ask_other("get", "k:1") == 3, told
        site.heal()
        assert site.ask_other("get", "k:1") in (None, 2, 3), told
        is_nothing_left(site, told, fault)


def is_nothing_left(site: Site, told: Any, fault: Fault) -> None:
    """Fail if what a write left comes back after an invalidation elsewhere, however late."""
    assert site.ask_other("invalidate", "k:1").pending == 0
    site.link.carry_out_late(site.colour.run)
    site.fence()
    assert site.call("get", "k:1") is None, told
    assert site.ask_other("get", "k:1") is None, told
    if fault.arrives != "late":
        site.release += 1
        assert [site.colour.run(site.load, 1) for _ in range(2)] == [site.value()] * 2, told
        site.is_whole(told, may_hold_leases=False)
