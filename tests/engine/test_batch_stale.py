"""Stale entries of a batch as conversations: what is claimed, loaded and stored together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.core.background import Spawn, SpawnReply
from dualcache.core.events import Loaded as LoadedEvent
from dualcache.core.events import LoadFailed, Miss, RefreshRefused, StaleHit, Unusable
from dualcache.core.flight import ABANDONED, EndFlight, FlightResult, Join, Load
from dualcache.core.ops import (
    Batch,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    Loaded,
    Look,
    LookAndLease,
    Raised,
    RawRead,
    TryLease,
)
from dualcache.core.policy import Call, Counters
from dualcache.engine.batch import get_or_load_many
from tests.engine.conversation import (
    LANDED,
    LEASE_MS,
    LED,
    NOW_MS,
    filling,
    lead,
    policy,
    refused,
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
    from dualcache.engine.env import Env

WINDOW: dict[str, Any] = {"ttl_ms": 1_000, "stale_while_revalidate_ms": 60_000}
OUTAGE: dict[str, Any] = {"ttl_ms": 1_000, "stale_if_error_ms": 60_000}
OWNER = b"function"
STORED, REFUSED = CommitReply.STORED, CommitReply.REFUSED
WAY = CommitWay.IFEQ
HELD = RawRead(token(70), (), 9_000)
"""Another process loads."""
BOTH_LED = (LED, LED)
BOTH_LANDED = (LANDED, LANDED)
BOTH_OURS = (Batch, (True, True))


def loader(_: list[str]) -> Any:
    """Stand for the user's loader of many."""


def stale(key: str, **options: Any) -> bytes:
    return stored(f"old {key}", key=key, fresh_ms=1_000, created_ms=NOW_MS - 1_500, **options)


def read(key: str) -> RawRead:
    return RawRead(stale(key), (), 59_500)


BOTH_READ = (Batch, (read("a"), read("b")))
BOTH_AGAIN = (Batch((Look("a"), Look("b"))), (RawRead(stale("a")), RawRead(stale("b"))))


def many(env: Env, names: str = "ab", *, whole: float = 1, **options: Any) -> Flow[dict[str, Any]]:
    """Read several keys by a function of whose batches so many were all hits."""
    options.setdefault("counters", Counters()).whole_batches = whole
    calls = {name: Call(name, policy(**options)) for name in names}

    def one_of(name: str) -> Callable[[], Any]:
        return lambda: name

    return get_or_load_many(calls, loader, one_of, env)


def noting(begun: list[Spawn], reply: SpawnReply = SpawnReply.STARTED) -> Any:
    def start(op: Spawn) -> SpawnReply:
        begun.append(op)
        return reply

    return Spawn, start


def elsewhere(op: Join) -> Flight:
    """Reply that another caller leads."""
    return lead(Join(op.key, 0))


def spawned(env: Env, **options: Any) -> Flow[Any]:
    """Let two stale values be served, and return what is started in the background."""
    begun: list[Spawn] = []
    served = {"a": "old a", "b": "old b"}
    script(many(env, **{**WINDOW, **options}), BOTH_READ, noting(begun)).returns(served)
    return begun[0].flow


def claim(key: str, number: int) -> TryLease:
    return TryLease(f"~r:{key}", token(number), LEASE_MS)


def replaced(key: str, number: int) -> Commit:
    new = stored(f"new {key}", number, key=key, fresh_ms=1_000, load_ms=5)
    return Commit(key, stale(key), new, 61_000, WAY)


def released(key: str, number: int) -> Commit:
    return Commit(f"~r:{key}", token(number), token(number), 1, WAY)


def paused(key: str, number: int, drawn: int, failures: int = 1) -> Commit:
    mark = b"pause" + bytes((failures,)) + token(drawn)[:2]
    return Commit(f"~r:{key}", token(number), mark, 2_000, WAY)


NEW = (Load, Loaded({"a": "new a", "b": "new b"}, 5.0))


def test_stale_values_are_served_at_once_and_loaded_anew_by_one_call() -> None:
    env, events = surroundings()
    counters = Counters()
    begun: list[Spawn] = []
    loads: list[Any] = []
    fresh = RawRead(stored("new", key="c", fresh_ms=1_000), (), 61_000)
    script(
        many(env, "abc", counters=counters, **WINDOW),
        (Batch, (read("a"), read("b"), fresh)),
        noting(begun),
    ).returns({"a": "old a", "b": "old b", "c": "new"})
    assert events == [StaleHit("k", "redis")] * 2
    assert (counters.hits, counters.stale_hits, counters.misses) == (3, 2, 0)
    assert (begun[0].key, begun[0].others) == ("a", ("b",))

    def load(op: Load) -> Loaded:
        loads.append(op.args)
        return Loaded({"a": "new a", "b": "new b"}, 5.0)

    script(
        begun[0].flow,
        *BOTH_LED,
        (Batch((claim("a", 1), claim("b", 2))), (True, True)),
        BOTH_AGAIN,
        (Load, load),
        (
            Batch((replaced("a", 3), replaced("b", 4), released("a", 1), released("b", 2))),
            (STORED,) * 4,
        ),
        *BOTH_LANDED,
    ).returns(None)
    assert loads == [(["a", "b"],)]
    assert events[2:] == [LoadedEvent("k", 5.0, "stored")] * 2


def test_stale_values_that_the_leases_find_are_served_as_well() -> None:
    env, _ = surroundings()
    begun: list[Spawn] = []
    results: list[FlightResult] = []
    script(
        many(env, whole=0, **WINDOW),
        *BOTH_LED,
        (Batch, (read("a"), RawRead(filling(2, "b")))),
        (EndFlight, lambda op: results.append(op.result)),
        noting(begun),
        (Load, Loaded({"b": "new b"}, 5.0)),
        (Commit, STORED),
        LANDED,
    ).returns({"a": "old a", "b": "new b"})
    assert results == [ABANDONED]  # a follower may be one who takes no stale value
    assert (begun[0].key, begun[0].others) == ("a", ())


def test_the_elected_reader_of_fresh_values_has_them_loaded_anew() -> None:
    env, events = surroundings(draw=lambda: 0.999)
    begun: list[Spawn] = []
    fresh = stored("new", key="a", fresh_ms=1_000, load_ms=900)
    script(many(env, "a", ttl_ms=1_000, early=1.0), (Look, RawRead(fresh)), noting(begun)).returns(
        {"a": "new"}
    )
    assert events == []
    assert begun[0].key == "a"


def test_a_refresh_that_is_refused_is_counted_once() -> None:
    env, events = surroundings()
    counters = Counters()
    flow = many(env, counters=counters, **WINDOW)
    script(flow, BOTH_READ, noting([], SpawnReply.FULL)).returns({"a": "old a", "b": "old b"})
    assert counters.refused == 1
    assert events[2:] == [RefreshRefused("k")]


def test_what_others_load_is_left_to_them() -> None:
    env, _ = surroundings()
    script(spawned(env), (Join, elsewhere), (Join, elsewhere)).returns(None)
    script(
        spawned(env),
        (Join, elsewhere),
        LED,
        (claim("b", 1), False),
        (Look("~r:b", (), with_ttl=True), HELD),
        LANDED,
    ).returns(None)


def test_what_has_changed_since_it_was_read_is_not_loaded_again() -> None:
    env, _ = surroundings()
    script(
        spawned(env),
        *BOTH_LED,
        BOTH_OURS,
        (Batch, (RawRead(stored("newer", key="a")), RawRead(stale("b")))),
        (released("a", 1), STORED),
        LANDED,
        (Load, Loaded({"b": "new b"}, 5.0)),
        (Batch((replaced("b", 3), released("b", 2))), (STORED, STORED)),
        LANDED,
    ).returns(None)


def test_a_key_that_the_loader_no_longer_knows_keeps_its_entry() -> None:
    env, _ = surroundings()
    script(
        spawned(env),
        *BOTH_LED,
        BOTH_OURS,
        BOTH_AGAIN,
        (Load, Loaded({"b": "new b"}, 5.0)),
        (Batch((replaced("b", 3), released("a", 1), released("b", 2))), (STORED,) * 3),
        *BOTH_LANDED,
    ).returns(None)


def test_a_failure_in_the_background_begins_a_pause_for_each_key() -> None:
    env, events = surroundings()
    script(
        spawned(env),
        *BOTH_LED,
        BOTH_OURS,
        BOTH_AGAIN,
        (Load, Raised(OSError(), 5.0)),
        (Batch((paused("a", 1, 3), paused("b", 2, 4))), (STORED, STORED)),
        *BOTH_LANDED,
    ).returns(None)
    assert events[2:] == [LoadFailed("k", "OSError")]


def test_a_backend_that_fails_leaves_the_refresh_to_the_next_call() -> None:
    for failing in (((Batch, slow()),), (BOTH_OURS, (Batch, slow()))):
        env, _ = surroundings()
        script(spawned(env), *BOTH_LED, *failing, *BOTH_LANDED).returns(None)
        assert len(env.health.lost_leases.living(0)) == 2


def test_without_a_way_to_compare_stale_values_are_served_all_the_same() -> None:
    env, _ = surroundings(ways=())
    begun: list[Spawn] = []
    script(many(env, whole=0, **WINDOW), *BOTH_LED, BOTH_READ, *BOTH_LANDED, noting(begun)).returns(
        {"a": "old a", "b": "old b"}
    )
    script(begun[0].flow, *BOTH_LED, *BOTH_LANDED).returns(None)


def test_an_interrupt_gives_back_what_the_refresh_may_hold() -> None:
    env, _ = surroundings()
    script(
        spawned(env),
        *BOTH_LED,
        (Batch, KeyboardInterrupt()),
        (Batch((released("a", 1), released("b", 2))), (STORED, STORED)),
        *BOTH_LANDED,
    ).raises(KeyboardInterrupt)


# Stale entries that may only stand in for a load that fails


LEASES = (
    Batch(
        (LookAndLease("a", filling(1, "a"), LEASE_MS), LookAndLease("b", filling(2, "b"), LEASE_MS))
    ),
    (read("a"), read("b")),
)
CLAIMED = (Batch((claim("a", 3), claim("b", 4))), (True, True))


def test_entries_that_may_stand_in_are_loaded_over_by_one_call() -> None:
    env, events = surroundings()
    script(
        many(env, whole=0, **OUTAGE),
        *BOTH_LED,
        LEASES,
        CLAIMED,
        NEW,
        (
            Batch((replaced("a", 5), replaced("b", 6), released("a", 3), released("b", 4))),
            (STORED,) * 4,
        ),
        *BOTH_LANDED,
    ).returns({"a": "new a", "b": "new b"})
    assert events[:2] == [Miss("k", "stale")] * 2


def test_where_the_load_fails_all_of_them_stand_in_and_a_pause_begins() -> None:
    env, events = surroundings()
    counters = Counters()
    script(
        many(env, whole=0, counters=counters, **OUTAGE),
        *BOTH_LED,
        LEASES,
        CLAIMED,
        (Load, Raised(OSError(), 5.0)),
        (Batch((paused("a", 3, 5), paused("b", 4, 6))), (STORED, STORED)),
        *BOTH_LANDED,
    ).returns({"a": "old a", "b": "old b"})
    assert events[2:] == [LoadFailed("k", "OSError"), *[StaleHit("k", "redis")] * 2]
    assert counters.stale_hits == 2


def test_during_a_pause_stale_values_are_served_without_a_load() -> None:
    env, _ = surroundings()
    pause = RawRead(b"pause\x01xy", (), 1_500)
    over = RawRead(b"pause\x01xy", (), 900)
    script(
        many(env, whole=0, **OUTAGE),
        *BOTH_LED,
        LEASES,
        (CLAIMED[0], (False, False)),
        (Batch((Look("~r:a", (), with_ttl=True), Look("~r:b", (), with_ttl=True))), (pause, over)),
        (Commit("~r:b", b"pause\x01xy", token(4), LEASE_MS, WAY), STORED),
        LANDED,
        (Load, Loaded({"b": "new b"}, 5.0)),
        (Batch((replaced("b", 5), released("b", 4))), (STORED, STORED)),
        LANDED,
    ).returns({"a": "old a", "b": "new b"})


def test_a_key_without_an_entry_lets_the_batch_raise() -> None:
    env, _ = surroundings()
    script(
        many(env, whole=0, **OUTAGE),
        *BOTH_LED,
        (Batch, (read("a"), RawRead(filling(2, "b")))),
        (claim("a", 3), True),
        (Load, Raised(OSError(), 5.0)),
        (paused("a", 3, 4), STORED),
        (Commit("b", filling(2, "b"), filling(2, "b"), 1, WAY), STORED),
        *BOTH_LANDED,
    ).raises(OSError)


def test_a_lease_that_nobody_gives_back_is_taken_away() -> None:
    env, events = surroundings()
    script(
        many(env, whole=0, **OUTAGE),
        *BOTH_LED,
        LEASES,
        (CLAIMED[0], (True, None)),
        (Delete(("~r:b",)), 1),
        (claim("b", 5), True),
        NEW,
        (Batch, (STORED,) * 4),
        *BOTH_LANDED,
    ).returns({"a": "new a", "b": "new b"})
    assert events[0] == Unusable("k", "foreign")


def test_entries_of_others_are_made_this_functions_own_before_the_load() -> None:
    env, _ = surroundings()
    own = (
        stored("old a", 5, key="a", fresh_ms=1_000, created_ms=NOW_MS - 1_500, owner=OWNER),
        stored("old b", 6, key="b", fresh_ms=1_000, created_ms=NOW_MS - 1_500, owner=OWNER),
    )
    script(
        many(env, whole=0, owner=OWNER, **OUTAGE),
        *BOTH_LED,
        (Batch, (read("a"), read("b"))),
        CLAIMED,
        (Batch((Look("a", (), with_ttl=True), Look("b", (), with_ttl=True))), BOTH_READ[1]),
        (
            Batch(
                (
                    Commit("a", stale("a"), own[0], 59_500, WAY),
                    Commit("b", stale("b"), own[1], 59_500, WAY),
                )
            ),
            (STORED, REFUSED),
        ),
        (released("b", 4), STORED),
        LANDED,
        (Load, Loaded({"a": "new a"}, 5.0)),
        (Batch, (STORED, STORED)),
        LANDED,
        (Look, RawRead(stored("theirs", key="b", owner=OWNER))),
    ).returns({"a": "new a", "b": "theirs"})


def test_where_no_lease_can_be_asked_for_the_load_stores_nothing() -> None:
    env, _ = surroundings()
    script(
        many(env, whole=0, **OUTAGE), *BOTH_LED, LEASES, (Batch, refused()), NEW, *BOTH_LANDED
    ).returns({"a": "new a", "b": "new b"})
