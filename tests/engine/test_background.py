from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.memory import MemoryStore
from dualcache.core.background import Spawn, SpawnReply
from dualcache.core.entry import Tag
from dualcache.core.events import Loaded as LoadedEvent
from dualcache.core.events import LoadFailed, RefreshRefused, StaleHit
from dualcache.core.flight import ABANDONED, EndFlight, FlightResult, Join, Load, Outcome
from dualcache.core.ops import (
    AwaitChange,
    Commit,
    CommitReply,
    CommitWay,
    Loaded,
    Look,
    LookAndLease,
    Raised,
    RawRead,
    TryLease,
)
from dualcache.core.policy import Counters
from dualcache.engine.load import get_or_load
from dualcache.engine.refresh_lease import pause_ms
from tests.engine.conversation import (
    KEY,
    LEASE_MS,
    LED,
    NEW,
    NOW_MS,
    Shelf,
    call,
    cold,
    cut,
    filling,
    lead,
    script,
    slow,
    stored,
    surroundings,
    token,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.flight import Flight
    from dualcache.core.ops import Flow

LOOK = Look(KEY, (), with_ttl=True)
AGAIN = Look(KEY)
WINDOW: dict[str, Any] = {"ttl_ms": 1_000, "stale_while_revalidate_ms": 60_000}
STALE = stored("old", fresh_ms=1_000, created_ms=NOW_MS - 1_500)
READ = RawRead(STALE, (), 59_500)
LEASE = TryLease("~r:k", token(1), LEASE_MS)
RELEASED = (Commit("~r:k", token(1), token(1), 1, CommitWay.IFEQ), CommitReply.STORED)
STORED = CommitReply.STORED
LOOK_AT_LEASE = Look("~r:k", (), with_ttl=True)
HELD = (LOOK_AT_LEASE, RawRead(token(70), (), 9_000))
"""Another process loads."""


def paused(failures: int, drawn: int) -> bytes:
    """Return what stands in the place of a lease after so many failures."""
    return b"pause" + bytes((failures,)) + token(drawn)[:2]


def noting(begun: list[Spawn]) -> Callable[[Spawn], SpawnReply]:
    """Reply that a flow in the background was started, and note which."""

    def start(op: Spawn) -> SpawnReply:
        begun.append(op)
        return SpawnReply.STARTED

    return start


def spawned(flow: Flow[Any], read: RawRead = READ) -> Flow[Any]:
    """Let a stale value be served, and return what is started in the background."""
    begun: list[Spawn] = []
    outcome = script(flow, (Look, read), (Spawn, noting(begun))).ends()
    assert outcome.value == "old"
    assert begun[0].key == KEY
    return begun[0].flow


def elsewhere(op: Join) -> Flight:
    """Reply that another caller leads."""
    return lead(Join(op.key, 0))


def test_a_stale_value_is_served_at_once_and_loaded_anew_beside() -> None:
    env, events = surroundings()
    counters = Counters()
    flow = spawned(get_or_load(call(counters=counters, **WINDOW), env))
    assert events == [StaleHit("k", "redis")]
    assert (counters.hits, counters.stale_hits, counters.misses) == (1, 1, 0)
    new = stored("new", 2, fresh_ms=1_000, load_ms=5)
    script(
        flow,
        LED,
        (LEASE, True),
        (AGAIN, RawRead(STALE)),
        NEW,
        (Commit(KEY, STALE, new, 61_000, CommitWay.IFEQ), STORED),
        RELEASED,
        (EndFlight, None),
    ).returns(None)
    assert events[1:] == [LoadedEvent("k", 5.0, "stored")]


def test_what_is_stale_for_longer_than_the_window_is_loaded_before_it_is_served() -> None:
    env, _ = surroundings()
    usual = call(ttl_ms=1_000, stale_while_revalidate_ms=400, stale_if_error_ms=60_000)
    outcome = script(
        get_or_load(usual, env),
        (LOOK, READ),
        LED,
        (LookAndLease, READ),
        (TryLease, True),
        NEW,
        (Commit, STORED),
        (Commit, STORED),
        (EndFlight, None),
    ).ends()
    assert outcome.value == "new"


def test_a_function_that_seldom_hits_reads_before_it_asks_for_the_lease() -> None:
    env, _ = surroundings()
    script(get_or_load(cold(**WINDOW), env), (LOOK, READ), (Spawn, SpawnReply.RUNNING)).returns(
        Outcome("old", None, 2)
    )


def test_a_stale_value_whose_tag_has_died_is_not_served() -> None:
    env, _ = surroundings()
    raw = stored("old", fresh_ms=1_000, created_ms=NOW_MS - 1_500, tags=[Tag("~t:a", token(50))])
    read = RawRead(raw, (token(51),), 59_500)
    script(
        get_or_load(call("~t:a", **WINDOW), env),
        (Look, read),
        LED,
        (LookAndLease, read),
        (Commit, STORED),
        NEW,
        (Commit, STORED),
        (EndFlight, None),
    ).ends()


def test_a_refresh_that_cannot_be_started_is_told_and_counted() -> None:
    env, events = surroundings()
    counters = Counters()
    script(
        get_or_load(call(counters=counters, **WINDOW), env), (LOOK, READ), (Spawn, SpawnReply.FULL)
    ).returns(Outcome("old", None, 2))
    assert events == [RefreshRefused("k"), StaleHit("k", "redis")]
    assert counters.refused == 1


def test_a_load_of_this_process_that_is_under_way_is_enough() -> None:
    env, _ = surroundings()
    script(spawned(get_or_load(call(**WINDOW), env)), (Join, elsewhere)).returns(None)


def test_a_load_of_another_process_is_left_to_it() -> None:
    env, _ = surroundings()
    script(
        spawned(get_or_load(call(**WINDOW), env)),
        LED,
        (LEASE, False),
        HELD,
        (EndFlight, landed_without_result),
    ).returns(None)


def landed_without_result(op: EndFlight) -> None:
    assert op.result == FlightResult(None)


@pytest.mark.parametrize("now", [None, stored("newer", 98)], ids=["gone", "stored anew"])
def test_what_was_replaced_before_the_lease_came_is_not_loaded_again(now: bytes | None) -> None:
    env, _ = surroundings()
    script(
        spawned(get_or_load(call(**WINDOW), env)),
        LED,
        (LEASE, True),
        (AGAIN, RawRead(now)),
        RELEASED,
        (EndFlight, None),
    ).returns(None)


@pytest.mark.parametrize("failure", [slow(), cut()], ids=["slow", "cut"])
def test_a_backend_that_fails_in_the_background_is_told_to_nobody(failure: Exception) -> None:
    env, _ = surroundings()
    script(
        spawned(get_or_load(call(**WINDOW), env)), LED, (LEASE, failure), (EndFlight, None)
    ).returns(None)


def test_nothing_is_loaded_where_nothing_can_be_stored() -> None:
    env, _ = surroundings(ways=())
    script(spawned(get_or_load(call(**WINDOW), env)), LED, (EndFlight, None)).returns(None)


def test_a_load_in_the_background_that_fails_leaves_the_stale_value() -> None:
    env, events = surroundings()
    counters = Counters()
    script(
        spawned(get_or_load(call(counters=counters, **WINDOW), env)),
        LED,
        (LEASE, True),
        (AGAIN, RawRead(STALE)),
        (Load, Raised(OSError(), 5.0)),
        (Commit("~r:k", token(1), paused(1, 2), 2_000, CommitWay.IFEQ), STORED),
        (EndFlight, None),
    ).returns(None)
    assert events[1:] == [LoadFailed("k", "OSError")]
    assert counters.stale_hits == 1


def test_an_interrupted_load_in_the_background_gives_its_lease_back() -> None:
    env, _ = surroundings()
    script(
        spawned(get_or_load(call(**WINDOW), env)),
        LED,
        (LEASE, True),
        (AGAIN, RawRead(STALE)),
        (Load, KeyboardInterrupt()),
        RELEASED,
        (EndFlight, lambda op: op.result is ABANDONED or pytest.fail("it landed")),
    ).raises(KeyboardInterrupt)


# After a load that has failed


ALSO_IF_ERROR = {**WINDOW, "stale_if_error_ms": 60_000, "stale_while_revalidate_ms": 0}
UNSERVED = ((LOOK, READ), LED, (LookAndLease, READ), (TryLease, False))
"""A stale value that may only stand in for a load that fails, and a lease that is held."""


@pytest.mark.parametrize(
    ("failures", "pause"), [(1, 1_000), (2, 2_000), (5, 16_000), (6, 30_000), (40, 30_000)]
)
def test_a_pause_grows_with_each_failure_up_to_its_bound(failures: int, pause: int) -> None:
    assert pause_ms(failures) == pause


def test_in_a_pause_the_stale_value_is_served_without_a_load() -> None:
    env, events = surroundings()
    counters = Counters()
    script(
        get_or_load(call(counters=counters, **ALSO_IF_ERROR), env),
        *UNSERVED,
        (LOOK_AT_LEASE, RawRead(paused(2, 70), (), 2_001)),
        (EndFlight, None),
    ).returns(Outcome("old", None, 3))
    assert events[-1] == StaleHit("k", "redis")
    assert (counters.misses, counters.stale_hits) == (0, 1)


def test_when_a_pause_is_over_one_caller_loads_and_another_failure_makes_it_longer() -> None:
    env, _ = surroundings()
    script(
        get_or_load(call(**ALSO_IF_ERROR), env),
        *UNSERVED,
        (LOOK_AT_LEASE, RawRead(paused(2, 70), (), 2_000)),
        (Commit("~r:k", paused(2, 70), token(2), LEASE_MS, CommitWay.IFEQ), STORED),
        (Load, Raised(OSError(), 5.0)),
        (Commit("~r:k", token(2), paused(3, 3), 8_000, CommitWay.IFEQ), STORED),
        (EndFlight, None),
    ).ends()


def test_who_finds_that_another_loads_after_a_pause_waits_for_it() -> None:
    env, _ = surroundings()
    fresh = RawRead(stored("new", fresh_ms=1_000))
    script(
        get_or_load(call(**ALSO_IF_ERROR), env),
        *UNSERVED,
        (LOOK_AT_LEASE, RawRead(paused(2, 70), (), 2_000)),
        (Commit, CommitReply.REFUSED),
        (AwaitChange, None),
        (LOOK, fresh),
        (EndFlight, None),
    ).ends()


def test_a_load_that_succeeds_ends_the_pauses() -> None:
    env, _ = surroundings()
    script(
        get_or_load(call(**ALSO_IF_ERROR), env),
        *UNSERVED,
        (LOOK_AT_LEASE, RawRead(paused(2, 70), (), 2_000)),
        (Commit, STORED),
        NEW,
        (Commit, STORED),
        (Commit("~r:k", token(2), token(2), 1, CommitWay.IFEQ), STORED),
        (EndFlight, None),
    ).ends()


def test_an_answer_of_the_source_makes_no_pause() -> None:
    env, _ = surroundings()
    script(
        get_or_load(call(stale_on=(OSError,), **ALSO_IF_ERROR), env),
        (LOOK, READ),
        LED,
        (LookAndLease, READ),
        (TryLease, True),
        (Load, Raised(KeyError(), 5.0)),
        (Commit("~r:k", token(2), token(2), 1, CommitWay.IFEQ), STORED),
        (EndFlight, None),
    ).ends()


def test_a_pause_that_cannot_be_stored_is_told_to_nobody() -> None:
    env, _ = surroundings()
    script(
        get_or_load(call(**ALSO_IF_ERROR), env),
        (LOOK, READ),
        LED,
        (LookAndLease, READ),
        (TryLease, True),
        (Load, Raised(OSError(), 5.0)),
        (Commit, slow()),
        (EndFlight, None),
    ).ends()


@pytest.mark.parametrize("raw", [b"pause", b"pause\x00ab", None], ids=["short", "forged", "gone"])
def test_what_only_looks_like_a_pause_is_a_lease_of_another_or_over(raw: bytes | None) -> None:
    env, _ = surroundings()
    flow = get_or_load(call(**ALSO_IF_ERROR), env)
    script(
        flow,
        *UNSERVED,
        (LOOK_AT_LEASE, RawRead(raw, (), 1)),
        *([(Commit, CommitReply.REFUSED)] if raw and len(raw) == 8 else []),
        (AwaitChange, None),
        (LOOK, RawRead(stored("new", fresh_ms=1_000))),
        (EndFlight, None),
    ).ends()


def test_an_entry_too_old_to_stand_in_is_loaded_in_a_pause_too() -> None:
    env, _ = surroundings()
    usual = call(ttl_ms=1_000, stale_if_error_ms=100)
    script(
        get_or_load(usual, env),
        *UNSERVED,
        (LOOK_AT_LEASE, RawRead(paused(2, 70), (), 4_000)),
        (Commit, STORED),
        NEW,
        (Commit, STORED),
        (Commit, STORED),
        (EndFlight, None),
    ).ends()


def test_of_all_processes_one_caller_asks_a_broken_source_in_each_pause() -> None:
    now = [0.0]
    store = MemoryStore(lambda: now[0])
    processes = [surroundings(50 * n, elapsed_ms=lambda: int(now[0]))[0] for n in range(1, 5)]
    store.perform(LookAndLease(KEY, STALE, 600_000))
    asked = []
    for second in range(120):
        now[0] = second * 1_000.0
        for env in processes:
            flow = get_or_load(call(ttl_ms=1_000, stale_if_error_ms=10**9), env)
            asked += [second for _ in range(loads_of(flow, store))]
    assert asked == [0, 1, 3, 7, 15, 31, 61, 91]


def loads_of(flow: Flow[Any], store: MemoryStore) -> int:
    """Run a flow over a store, with a source that is broken; return how often it was asked."""
    loads = 0
    reply: Any = None
    try:
        while True:
            op = flow.send(reply)
            if type(op) is Load:
                loads, reply = loads + 1, Raised(OSError(), 5.0)
            elif type(op) is Join:
                reply = lead(op)
            else:
                reply = None if type(op) is EndFlight else store.perform(op)
    except StopIteration:
        return loads


# Early


def elected_by(draw: float, **options: Any) -> Flow[Any]:
    """Return the flow of a reader that draws this, of an entry with 500 ms left."""
    env, _ = surroundings(draw=lambda: draw)
    return get_or_load(call(ttl_ms=1_000, early=1.0, **options), env)


AGING = stored("aging", fresh_ms=1_000, created_ms=NOW_MS - 500, load_ms=100)


def test_a_reader_who_is_elected_has_a_fresh_value_loaded_anew() -> None:
    begun: list[Spawn] = []
    script(
        elected_by(0.999),
        (Look(KEY), RawRead(AGING)),
        (Spawn, noting(begun)),
    ).returns(Outcome("aging", None, 2))
    new = stored("new", 2, fresh_ms=1_000, load_ms=5)
    script(
        begun[0].flow,
        LED,
        (LEASE, True),
        (AGAIN, RawRead(AGING)),
        NEW,
        (Commit(KEY, AGING, new, 1_000, CommitWay.IFEQ), STORED),
        RELEASED,
        (EndFlight, None),
    ).returns(None)


@pytest.mark.parametrize("draw", [0.0, 0.99])
def test_a_reader_who_is_not_elected_starts_nothing(draw: float) -> None:
    script(elected_by(draw), (Look(KEY), RawRead(AGING))).returns(Outcome("aging", None, 2))


def test_a_value_that_is_about_to_be_replaced_is_not_kept_in_front() -> None:
    shelf = Shelf()
    script(
        elected_by(0.999, front=shelf),
        (LOOK, RawRead(AGING, (), 500)),
        (Spawn, SpawnReply.RUNNING),
    ).ends()
    assert shelf.installed == []


def test_a_copy_in_front_ends_where_its_reader_would_have_been_elected() -> None:
    shelf = Shelf()
    script(elected_by(0.9, front=shelf), (LOOK, RawRead(AGING, (), 500))).ends()
    ((_, read),) = shelf.installed
    assert read.life_ms == 500 - 230


def test_a_load_before_the_end_that_fails_is_told_to_nobody() -> None:
    begun: list[Spawn] = []
    script(
        elected_by(0.999),
        (Look(KEY), RawRead(AGING)),
        (Spawn, noting(begun)),
    ).ends()
    script(
        begun[0].flow,
        LED,
        (LEASE, True),
        (AGAIN, RawRead(AGING)),
        (Load, Raised(OSError(), 5.0)),
        (Commit, STORED),
        (EndFlight, None),
    ).returns(None)


def test_a_fresh_value_starts_nothing() -> None:
    env, _ = surroundings()
    young = RawRead(stored("young", fresh_ms=1_000, created_ms=NOW_MS - 500), (), 60_500)
    script(get_or_load(call(**WINDOW), env), (LOOK, young)).returns(Outcome("young", None, 2))


def test_a_marker_is_waited_for_as_ever() -> None:
    env, _ = surroundings()
    script(
        get_or_load(call(**WINDOW), env),
        (LOOK, RawRead(filling(70))),
        LED,
        (LookAndLease, slow()),
        (Load, Loaded("own", 5.0)),
        (EndFlight, None),
    ).ends()
