"""What both drivers do before a flow: one look, and nothing more where that is a hit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from dualcache.backends.memory import MemoryStore
from dualcache.core.front_ports import NO_TIER
from dualcache.core.ops import Claim, Commit, Look, LookAndLease, Op
from dualcache.drivers.async_driver import AsyncDriver, without_waiting
from dualcache.drivers.changes import Changes
from dualcache.drivers.flights import FlightTable
from dualcache.drivers.sync_driver import SyncDriver
from dualcache.engine.flights import may_follow, may_take_over
from tests.engine.conversation import KEY, Shelf, call, cold, cut, refused, stored, surroundings

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.policy import Call
    from dualcache.engine.env import Env

COLOURS = pytest.mark.parametrize("colour", ["sync", "async"])


class Noting:
    """A memory store that notes what it is asked for; `fails` are raised first, in this order."""

    def __init__(self, raw: bytes | None = None, *fails: BaseException) -> None:
        self._store = MemoryStore(lambda: 0, 10, None)
        if raw is not None:
            self._store.perform(Claim(KEY, raw, 60_000))
        self._fails = list(fails)
        self.asked: list[type[Op[Any]]] = []

    def perform(self, op: Op[Any]) -> Any:
        self.asked.append(type(op))
        if self._fails:
            raise self._fails.pop(0)
        return self._store.perform(op)


class Flows:
    """Counts the flows that a driver runs."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self.count = 0
        self._run = run

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.count += 1
        return self._run(*args, **options)


def ask(colour: str, store: Noting, of: Call, env: Env) -> tuple[Any, int]:
    """Return what a driver gives its caller, and how many flows it ran for that."""
    flights, changes = FlightTable(may_follow, may_take_over), Changes()
    driver: Any
    if colour == "sync":
        driver = SyncDriver(store.perform, flights, changes, NO_TIER)
        of = replace(of, function=lambda: "loaded")
        driver.run = flows = Flows(driver.run)
        return driver.get_or_load(of, env), flows.count

    async def load() -> str:
        return "loaded"

    driver = AsyncDriver(without_waiting(store.perform), flights, changes, NO_TIER)
    driver.run = flows = Flows(driver.run)
    return asyncio.run(driver.get_or_load(replace(of, function=load), env)), flows.count


@COLOURS
def test_a_hit_is_one_look_and_no_flow(colour: str) -> None:
    env, _ = surroundings()
    store = Noting(stored("v"))
    assert ask(colour, store, call(), env) == ("v", 0)
    assert store.asked == [Look]


@COLOURS
def test_what_the_front_tier_keeps_needs_neither(colour: str) -> None:
    env, _ = surroundings()
    store = Noting()
    assert ask(colour, store, call(front=Shelf("kept")), env) == ("kept", 0)
    assert store.asked == []


@COLOURS
def test_a_miss_goes_on_from_its_look(colour: str) -> None:
    env, _ = surroundings()
    store = Noting()
    assert ask(colour, store, call(), env) == ("loaded", 1)
    assert store.asked == [Look, LookAndLease, Commit]


@COLOURS
def test_where_hits_are_rare_the_lease_is_asked_for_at_once(colour: str) -> None:
    env, _ = surroundings()
    store = Noting()
    assert ask(colour, store, cold(), env) == ("loaded", 1)
    assert store.asked == [LookAndLease, Commit]


@COLOURS
def test_a_backend_that_is_not_there_is_asked_once_and_the_function_runs(colour: str) -> None:
    env, _ = surroundings()
    store = Noting(stored("v"), refused())
    assert ask(colour, store, call(), env) == ("loaded", 1)
    assert store.asked == [Look]
    assert not env.health.breaker.is_closed


@COLOURS
def test_a_look_on_a_connection_that_is_cut_is_tried_once_more(colour: str) -> None:
    env, _ = surroundings()
    store = Noting(stored("v"), cut())
    assert ask(colour, store, call(), env) == ("v", 1)
    assert store.asked == [Look, Look]


@COLOURS
def test_an_interrupt_at_the_look_is_raised_and_nothing_is_asked_for_any_more(colour: str) -> None:
    env, _ = surroundings()
    store = Noting(stored("v"), KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        ask(colour, store, call(), env)
    assert store.asked == [Look]
