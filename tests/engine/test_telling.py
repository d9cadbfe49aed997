"""What events tell of a call: ages, sizes, times, and keys only where they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from dualcache.core.background import Spawn, SpawnReply
from dualcache.core.events import Coalesced, Event, Hit, LoadFailed, StaleHit
from dualcache.core.events import Loaded as LoadedEvent
from dualcache.core.flight import AwaitFlight, Flight, FlightResult, Join, JoinReply, Load, Outcome
from dualcache.core.ops import Look, Raised, RawRead
from dualcache.engine.load import get_or_load
from dualcache.engine.storing import why_unwanted
from dualcache.engine.telling import age_of
from tests.engine.conversation import (
    KEY,
    LEASED,
    NOW_MS,
    STORED_NEW,
    Shelf,
    call,
    cold,
    script,
    stored,
    surroundings,
)

if TYPE_CHECKING:
    from dualcache.engine.env import Env

AGE_MS = 2_500


def heard(age_ms: int = AGE_MS, **changes: Any) -> tuple[Env, list[Event]]:
    """Return an env and the list of its whole events, at some time after entries were stored."""
    events: list[Event] = []
    env, _ = surroundings(
        emit=events.append, hits_are_heard=True, now_ms=lambda: NOW_MS + age_ms, **changes
    )
    return env, events


def test_a_hit_tells_its_age_and_size() -> None:
    env, events = heard()
    script(get_or_load(call(), env), (Look, RawRead(stored("v")))).ends()
    assert events == [Hit("k", age=2.5, size_bytes=len(stored("v")))]


def test_a_copy_in_front_has_neither() -> None:
    env, events = heard()
    script(get_or_load(call(front=Shelf("kept")), env)).ends()
    assert events == [Hit("k", "front")]


def test_a_clock_that_went_back_gives_no_negative_age() -> None:
    env, _ = surroundings(now_ms=lambda: NOW_MS - 5)
    assert age_of(stored("v"), env) == 0
    assert age_of(None, env) is None


def test_a_stale_value_tells_why_it_was_served() -> None:
    env, events = heard()
    of = call(stale_while_revalidate_ms=60_000)
    old = RawRead(stored("v", fresh_ms=1_000), (), 60_000)
    script(get_or_load(of, env), (Look, old), (Spawn, SpawnReply.STARTED)).ends()
    assert events == [StaleHit("k", "redis", "revalidate", 2.5)]


def test_a_load_that_fails_tells_how_long_it_took() -> None:
    env, events = heard()
    failed = (Load, Raised(OSError("k"), 7.0))
    script(get_or_load(call(ttl_ms=0), env), (Join, JoinReply.ALONE), failed).ends()
    assert events[-1] == LoadFailed("k", "OSError", load_ms=7.0)


def test_a_load_tells_what_it_stored() -> None:
    env, events = heard(age_ms=0)
    script(get_or_load(cold(), env), *LEASED, *STORED_NEW).ends()
    size_bytes = len(stored("new", 2, load_ms=5))
    assert events[-1] == LoadedEvent("k", 5.0, "stored", size_bytes)


def test_a_follower_tells_how_long_it_waited_and_whose_trace_that_was() -> None:
    now = iter([0, 0, 40, 40])
    env, events = heard(elapsed_ms=lambda: next(now))
    leading = Flight(KEY, object(), 0)
    leading.trace = "00-1-2-01"
    landed = FlightResult(Outcome("v", None, 1_000))
    script(
        get_or_load(call(), env), (Look, RawRead(None)), (Join, leading), (AwaitFlight, landed)
    ).ends()
    assert isinstance(events[-1], Coalesced)
    assert events[-1] == Coalesced("k", 40, "00-1-2-01")


@pytest.mark.parametrize(("is_told", "key"), [(True, "1"), (False, "")])
def test_keys_are_told_without_the_namespace_and_only_if_asked_for(
    key: str, *, is_told: bool
) -> None:
    env, events = heard(keys_are_told=is_told, prefix="shop:")
    of = replace(call(), key="shop:1")
    script(get_or_load(of, env), (Look, RawRead(stored("v", key="shop:1")))).ends()
    assert [getattr(event, "key", None) for event in events] == [key]


def test_why_a_value_is_not_stored_that_could_be() -> None:
    assert why_unwanted(call(), is_worth=True) == "other_release"
    assert why_unwanted(call(), is_worth=False) == "ttl"
    assert why_unwanted(call(condition=bool), is_worth=False) == "condition"
