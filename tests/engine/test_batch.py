from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.entry import MISSING, Tag
from dualcache.core.envelope import seal_filling
from dualcache.core.events import Hit, Miss, StoresStopped
from dualcache.core.events import Loaded as LoadedEvent
from dualcache.core.flight import ABANDONED, EndFlight, Flight, FlightResult, Join, Load
from dualcache.core.ops import (
    FOR_EVER,
    WRONG_TYPE,
    Batch,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    Loaded,
    Look,
    LookAndLease,
    NewTag,
    Raised,
    RawRead,
    ReadTags,
)
from dualcache.core.policy import Call, Counters
from dualcache.engine.batch import get_or_load_many
from dualcache.engine.pipelines import MOST_BYTES_AT_ONCE
from dualcache.errors import UsageError
from tests.engine.conversation import (
    DAY_MS,
    LANDED,
    LEASE_MS,
    LED,
    NOW_MS,
    Shelf,
    cut,
    filling,
    lead,
    policy,
    refused,
    script,
    slow,
    stored,
    surroundings,
    token,
    unread_by,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env

STORED = CommitReply.STORED
WAY = CommitWay.IFEQ
LOOKED = (Batch((Look("a"), Look("b"))), (RawRead(None), RawRead(None)))
LEASES = (Batch, (RawRead(filling(1, "a")), RawRead(filling(2, "b"))))
BOTH_LED = (LOOKED, LED, LED)
BOTH_LEASED = (*BOTH_LED, LEASES)
BOTH_LOADED = (Load, Loaded({"a": "va", "b": "vb"}, 5.0))
BOTH_STORED = (Batch, (STORED, STORED))
BOTH_LANDED = (LANDED, LANDED)


def loader(_: list[str]) -> Any:
    """Stand for the user's loader of many."""


def commits(*entries: tuple[str, int, int]) -> tuple[Batch, tuple[CommitReply, ...]]:
    """Return the exchange in which each value "v" + key is stored: key, marker, version."""
    return Batch(tuple([commit_of(*entry) for entry in entries])), (STORED,) * len(entries)


def commit_of(key: str, marker: int, version: int) -> Commit:
    blob = stored(f"v{key}", version, key=key, load_ms=5)
    return Commit(key, filling(marker, key), blob, 60_000, WAY)


def give_back(key: str, marker: int) -> Commit:
    return Commit(key, filling(marker, key), filling(marker, key), 1, WAY)


GIVEN_BACK = (Batch((give_back("a", 1), give_back("b", 2))), (STORED, STORED))


def replace(key: str, old: bytes, marker: int) -> Commit:
    return Commit(key, old, filling(marker, key), LEASE_MS, WAY)


def many(
    env: Env, names: str = "ab", *, whole: float = 1, tags: tuple[str, ...] = (), **options: Any
) -> Flow[dict[str, Any]]:
    """Read several keys by a function of whose batches so many were all hits."""

    def one_of(name: str) -> Callable[[], Any]:
        return lambda: name

    counters = Counters()
    counters.whole_batches = whole
    calls = {name: Call(name, policy(counters=counters, **options), tags) for name in names}
    return get_or_load_many(calls, loader, one_of, env)


def noted(results: list[FlightResult]) -> Callable[[EndFlight], None]:
    return lambda op: results.append(op.result)


def test_what_is_fresh_is_served_in_one_trip() -> None:
    env, _ = surroundings()
    script(
        many(env), (Batch, (RawRead(stored("va", key="a")), RawRead(stored("vb", key="b"))))
    ).returns({"a": "va", "b": "vb"})


def test_what_the_front_tier_keeps_is_not_read() -> None:
    class One(Shelf):
        def find(self, asked: Call) -> Any:
            return "kept" if asked.key == "b" else MISSING

    env, events = surroundings()
    env.hits_are_heard = True
    script(many(env, front=One()), (Look, RawRead(stored("va", key="a")))).returns(
        {"a": "va", "b": "kept"}
    )
    assert [event.tier for event in events if isinstance(event, Hit)] == ["front", "redis"]
    script(many(env, front=Shelf("kept"))).returns({"a": "kept", "b": "kept"})


def test_what_is_missing_is_leased_in_one_trip_and_loaded_in_one_call() -> None:
    env, _ = surroundings()
    loads: list[Load] = []

    def load(op: Load) -> Loaded:
        loads.append(op)
        return Loaded({"b": "vb", "c": "vc"}, 5.0)

    script(
        many(env, "abc"),
        (Batch, (RawRead(stored("va", key="a")), RawRead(None), RawRead(None))),
        LED,
        LED,
        (
            Batch(
                (
                    LookAndLease("b", filling(1, "b"), LEASE_MS),
                    LookAndLease("c", filling(2, "c"), LEASE_MS),
                )
            ),
            (RawRead(filling(1, "b")), RawRead(filling(2, "c"))),
        ),
        (Load, load),
        commits(("b", 1, 3), ("c", 2, 4)),
        *BOTH_LANDED,
    ).returns({"a": "va", "b": "vb", "c": "vc"})
    assert [(op.function, op.args, len(op.flights)) for op in loads] == [(loader, (["b", "c"],), 2)]


def test_the_lease_of_a_key_that_the_loader_does_not_know_is_given_back() -> None:
    env, _ = surroundings()
    results: list[FlightResult] = []
    script(
        many(env),
        *BOTH_LEASED,
        (Load, Loaded({"b": "vb"}, 5.0)),
        (Batch((commit_of("b", 2, 3), give_back("a", 1))), (STORED, STORED)),
        *[(EndFlight, noted(results))] * 2,
    ).returns({"b": "vb"})
    assert results[0] == ABANDONED
    assert results[1].outcome is not None


def test_the_exception_of_the_loader_is_raised_and_all_leases_are_given_back() -> None:
    env, _ = surroundings()
    results: list[FlightResult] = []
    script(
        many(env),
        *BOTH_LEASED,
        (Load, Raised(OSError(), 5.0)),
        GIVEN_BACK,
        *[(EndFlight, noted(results))] * 2,
    ).raises(OSError)
    assert [type(result.outcome and result.outcome.error) for result in results] == [
        OSError,
        OSError,
    ]


def test_a_loader_that_returns_no_mapping_raises_a_usage_error() -> None:
    env, _ = surroundings()
    script(
        many(env), *BOTH_LEASED, (Load, Loaded(["va", "vb"], 5.0)), GIVEN_BACK, *BOTH_LANDED
    ).raises(UsageError)


def test_a_backend_that_fails_leaves_one_call_of_the_loader() -> None:
    env, events = surroundings()
    script(
        many(env), (Batch, refused()), LED, LED, (Load, Loaded({"a": "va"}, 5.0)), *BOTH_LANDED
    ).returns({"a": "va"})
    assert events.count(Miss("k", "backend_down")) == 2


def test_a_backend_that_fails_at_the_leases_leaves_one_call_of_the_loader() -> None:
    env, _ = surroundings()
    script(many(env), *BOTH_LED, (Batch, refused()), BOTH_LOADED, *BOTH_LANDED).returns(
        {"a": "va", "b": "vb"}
    )


def test_a_backend_that_fails_at_leases_that_look_too_is_the_reason_of_the_misses() -> None:
    env, events = surroundings()
    script(many(env, whole=0), LED, LED, (Batch, refused()), BOTH_LOADED, *BOTH_LANDED).ends()
    assert [event for event in events if isinstance(event, Miss)] == [Miss("k", "backend_down")] * 2


def test_leases_whose_connection_was_cut_are_asked_for_again_with_other_tokens() -> None:
    env, _ = surroundings()
    script(
        many(env),
        *BOTH_LED,
        (Batch, cut()),
        (Batch, (RawRead(filling(3, "a")), RawRead(filling(4, "b")))),
        BOTH_LOADED,
        BOTH_STORED,
        *BOTH_LANDED,
    ).returns({"a": "va", "b": "vb"})


def test_a_caller_interrupted_while_leasing_hands_all_flights_over() -> None:
    env, _ = surroundings()
    results: list[FlightResult] = []
    script(
        many(env),
        *BOTH_LED,
        (Batch, KeyboardInterrupt()),
        GIVEN_BACK,
        *[(EndFlight, noted(results))] * 2,
    ).raises(KeyboardInterrupt)
    assert results == [ABANDONED, ABANDONED]


def test_a_caller_interrupted_while_giving_back_hands_all_flights_over() -> None:
    env, _ = surroundings()
    results: list[FlightResult] = []
    script(
        many(env),
        *BOTH_LEASED,
        (Load, KeyboardInterrupt()),
        (GIVEN_BACK[0], SystemExit()),
        *[(EndFlight, noted(results))] * 2,
    ).raises(SystemExit)
    assert results == [ABANDONED, ABANDONED]


def test_a_key_that_another_process_holds_is_loaded_by_itself_afterwards() -> None:
    env, _ = surroundings()
    script(
        many(env),
        *BOTH_LED,
        (Batch, (RawRead(filling(1, "a")), RawRead(filling(50, "b")))),
        LANDED,
        (Load, Loaded({"a": "va"}, 5.0)),
        (Commit, STORED),
        LANDED,
        (Look("b"), RawRead(stored("vb", key="b"))),
    ).returns({"a": "va", "b": "vb"})


def test_a_key_that_another_caller_loads_is_waited_for_afterwards() -> None:
    env, _ = surroundings()
    others = Flight("b", object(), 0)
    script(
        many(env),
        LOOKED,
        LED,
        (Join, others),
        (LookAndLease, RawRead(filling(1, "a"))),
        (Load, Loaded({"a": "va"}, 5.0)),
        (Commit, STORED),
        LANDED,
        (Look("b"), RawRead(None)),
        (Join, lead),
        (LookAndLease, RawRead(filling(3, "b", load_ms=5))),
        (Load, Loaded(MISSING, 5.0)),
        (Commit("b", filling(3, "b", 5), filling(3, "b", 5), 1, WAY), STORED),
        LANDED,
    ).returns({"a": "va"})


def test_the_exception_of_a_single_load_is_raised() -> None:
    env, _ = surroundings()
    script(
        many(env, "b"),
        (Look("b"), RawRead(None)),
        (Join, Flight("b", object(), 0)),
        (Look("b"), RawRead(None)),
        (Join, lead),
        (LookAndLease, RawRead(filling(1, "b"))),
        (Load, Raised(OSError(), 5.0)),
        (Commit, STORED),
        LANDED,
    ).raises(OSError)


def test_entries_whose_tags_are_dead_are_replaced_and_loaded_in_one_call() -> None:
    env, _ = surroundings()
    dead_a, dead_b = (stored("old", key=key, tags=[Tag("~t:t", token(60))]) for key in "ab")
    script(
        many(env),
        *BOTH_LED,
        (Batch, (RawRead(dead_a), RawRead(dead_b))),
        (ReadTags(("~t:t",)), (None,)),
        (Batch((replace("a", dead_a, 3), replace("b", dead_b, 4))), (STORED, STORED)),
        BOTH_LOADED,
        commits(("a", 3, 5), ("b", 4, 6)),
        *BOTH_LANDED,
    ).returns({"a": "va", "b": "vb"})


def test_a_caller_interrupted_while_it_replaces_gives_back_every_marker() -> None:
    env, _ = surroundings()
    dead = stored("old", key="a", tags=[Tag("~t:t", token(60))])
    script(
        many(env, "abc"),
        (Batch, (RawRead(None),) * 3),
        LED,
        LED,
        LED,
        (Batch, (RawRead(dead), RawRead(b"foreign"), RawRead(filling(3, "c")))),
        (ReadTags, (None,)),
        (Batch((replace("a", dead, 4), replace("b", b"foreign", 5))), KeyboardInterrupt()),
        (
            Batch((give_back("c", 3), give_back("a", 4), give_back("b", 5))),
            (STORED, CommitReply.REFUSED, STORED),
        ),
        *BOTH_LANDED,
        LANDED,
    ).raises(KeyboardInterrupt)


def test_a_server_that_takes_no_writes_leaves_one_call_of_the_loader() -> None:
    env, events = surroundings()
    script(
        many(env),
        *BOTH_LED,
        (Batch, (RawRead(None, refusal="OOM"), RawRead(None, refusal="OOM"))),
        BOTH_LOADED,
        *BOTH_LANDED,
    ).returns({"a": "va", "b": "vb"})
    assert events.count(StoresStopped(reason="OOM")) == 1


def test_a_key_whose_tags_cannot_be_read_is_loaded_with_the_others_and_not_stored() -> None:
    env, _ = surroundings()
    tagged = stored("old", key="a", tags=[Tag("~t:t", token(60))])
    script(
        many(env),
        *BOTH_LED,
        (Batch, (RawRead(tagged), RawRead(filling(2, "b")))),
        (ReadTags, slow()),
        BOTH_LOADED,
        (commit_of("b", 2, 3), STORED),
        *BOTH_LANDED,
    ).returns({"a": "va", "b": "vb"})


@pytest.mark.parametrize("reason", ["untyped", "unknown_type"])
def test_an_entry_that_this_reader_cannot_read_is_loaded_over_with_the_others(reason: str) -> None:
    env, _ = surroundings()
    theirs = stored("theirs", key="a")
    script(
        many(env, whole=0, value_codec=unread_by(reason)),
        LED,
        LED,
        (Batch, (RawRead(theirs), RawRead(filling(2, "b")))),
        BOTH_LOADED,
        (
            Batch(
                (
                    Commit("a", theirs, stored("va", 3, key="a", load_ms=5), 60_000, WAY),
                    commit_of("b", 2, 4),
                )
            ),
            (STORED, STORED),
        ),
        *BOTH_LANDED,
    ).returns({"a": "va", "b": "vb"})


def test_an_entry_that_this_reader_cannot_read_stays_where_the_loader_fails() -> None:
    env, _ = surroundings()
    script(
        many(env, whole=0, value_codec=unread_by("untyped")),
        LED,
        LED,
        (Batch, (RawRead(stored("theirs", key="a")), RawRead(filling(2, "b")))),
        (Load, Raised(OSError(), 5.0)),
        (give_back("b", 2), STORED),
        *BOTH_LANDED,
    ).raises(OSError)


def test_a_value_among_several_that_the_server_does_not_take_leaves_no_marker_behind() -> None:
    env, events = surroundings()
    large = "x" * (MOST_BYTES_AT_ONCE + 1)
    script(
        many(env),
        *BOTH_LEASED,
        (Load, Loaded({"a": large, "b": "vb"}, 5.0)),
        (Commit, cut()),
        (commit_of("b", 2, 4), STORED),
        (give_back("a", 1), STORED),
        *BOTH_LANDED,
    ).returns({"a": large, "b": "vb"})
    assert [event.outcome for event in events if type(event) is LoadedEvent] == [
        "not_stored",
        "stored",
    ]


def test_without_a_hit_so_far_the_leases_are_asked_for_at_once() -> None:
    env, events = surroundings()
    tag = NewTag("~t:t", token(1), DAY_MS)
    filled = [
        stored(f"v{key}", at, key=key, tags=[Tag("~t:t", token(1))], load_ms=5)
        for at, key in enumerate("ab", 4)
    ]
    script(
        many(env, whole=0, tags=("~t:t",)),
        (Join("a", 1, tags=("~t:t",)), lead),
        (Join("b", 1, tags=("~t:t",)), lead),
        (
            Batch(
                (
                    LookAndLease("a", filling(2, "a"), LEASE_MS, (tag,)),
                    LookAndLease("b", filling(3, "b"), LEASE_MS),
                )
            ),
            (RawRead(filling(2, "a"), (token(1),), None, (DAY_MS,)), RawRead(filling(3, "b"))),
        ),
        BOTH_LOADED,
        (
            Batch(
                (
                    Commit("a", filling(2, "a"), filled[0], 60_000, WAY),
                    Commit("b", filling(3, "b"), filled[1], 60_000, WAY),
                )
            ),
            (STORED, STORED),
        ),
        *BOTH_LANDED,
    ).returns({"a": "va", "b": "vb"})
    assert events.count(Miss("k", "absent")) == 2


def test_what_the_leases_find_fresh_is_served_and_not_loaded() -> None:
    env, events = surroundings()
    results: list[FlightResult] = []
    script(
        many(env, whole=0),
        LED,
        LED,
        (Batch, (RawRead(stored("va", key="a")), RawRead(filling(2, "b")))),
        (EndFlight, noted(results)),
        (Load, Loaded({"b": "vb"}, 5.0)),
        (Commit, STORED),
        LANDED,
    ).returns({"a": "va", "b": "vb"})
    assert [result.outcome and result.outcome.value for result in results] == ["va"]
    assert events.count(Miss("k", "absent")) == 1


def test_the_markers_name_the_tags_that_a_look_found() -> None:
    env, _ = surroundings()
    told = [Tag("~t:t", b"its life"), Tag("~t:u", token(2))]
    marked = [
        seal_filling(key, token=token(at), created_ms=NOW_MS, load_ms=0, tags=told)
        for at, key in enumerate("ab", 3)
    ]
    ids = (b"its life", token(2))
    script(
        many(env, tags=("~t:t", "~t:u")),
        (Batch, (RawRead(None, (b"its life", None)), RawRead(None, (b"its life", None)))),
        LED,
        LED,
        (
            Batch(
                (
                    LookAndLease(
                        "a",
                        marked[0],
                        LEASE_MS,
                        (NewTag("~t:t", token(1), DAY_MS), NewTag("~t:u", token(2), DAY_MS)),
                    ),
                    LookAndLease("b", marked[1], LEASE_MS),
                )
            ),
            (RawRead(marked[0], ids, None, (DAY_MS, DAY_MS)), RawRead(marked[1])),
        ),
        BOTH_LOADED,
        BOTH_STORED,
        *BOTH_LANDED,
    ).returns({"a": "va", "b": "vb"})


def test_markers_of_leases_whose_reply_was_lost_are_replaced_together() -> None:
    env, _ = surroundings()
    script(
        many(env),
        *BOTH_LED,
        (Batch, cut()),
        (Batch, (RawRead(filling(1, "a")), RawRead(filling(2, "b")))),
        (
            Batch((replace("a", filling(1, "a"), 5), replace("b", filling(2, "b"), 6))),
            (STORED, CommitReply.REFUSED),
        ),
        LANDED,
        (Load, Loaded({"a": "va"}, 5.0)),
        (Commit, STORED),
        LANDED,
        (Look("b"), RawRead(stored("vb", key="b"))),
    ).returns({"a": "va", "b": "vb"})


def test_a_key_of_another_type_is_deleted_and_loaded_by_itself() -> None:
    env, _ = surroundings()
    script(
        many(env, "a"),
        (Look("a"), RawRead(WRONG_TYPE)),
        LED,
        (LookAndLease, RawRead(WRONG_TYPE)),
        (Delete(("a",)), 1),
        LANDED,
        (Look("a"), RawRead(stored("va", key="a"))),
    ).returns({"a": "va"})


def test_after_the_first_of_several_was_waited_for_the_others_are_read_together() -> None:
    env, _ = surroundings()
    script(
        many(env, "abcd", whole=0),
        *[(Join, lambda op: Flight(op.key, object(), 0))] * 4,
        (Look("a"), RawRead(stored("va", key="a"))),
        (
            Batch((Look("b"), Look("c"), Look("d"))),
            (RawRead(stored("vb", key="b")), RawRead(None), RawRead(stored("vd", key="d"))),
        ),
        (Look("c"), RawRead(stored("vc", key="c"))),
    ).returns({"a": "va", "b": "vb", "c": "vc", "d": "vd"})


def test_others_that_cannot_be_read_together_are_loaded_one_by_one() -> None:
    env, _ = surroundings()
    script(
        many(env, "abc", whole=0),
        *[(Join, lambda op: Flight(op.key, object(), 0))] * 3,
        (Look("a"), RawRead(stored("va", key="a"))),
        (Batch, slow()),
        (Look("b"), RawRead(stored("vb", key="b"))),
        (Look("c"), RawRead(stored("vc", key="c"))),
    ).returns({"a": "va", "b": "vb", "c": "vc"})


def test_a_commit_that_does_not_arrive_leaves_what_was_loaded() -> None:
    env, events = surroundings()
    script(many(env), *BOTH_LEASED, BOTH_LOADED, (Batch, slow()), *BOTH_LANDED).returns(
        {"a": "va", "b": "vb"}
    )
    assert [event.outcome for event in events if type(event) is LoadedEvent] == ["backend_down"] * 2


def test_what_a_callable_of_the_policy_raises_is_raised_and_the_rest_is_stored() -> None:
    env, _ = surroundings()
    results: list[FlightResult] = []
    script(
        many(env, condition=lambda value: 1 // int(value)),
        *BOTH_LEASED,
        (Load, Loaded({"a": "0", "b": "1"}, 5.0)),
        BOTH_STORED,
        *[(EndFlight, noted(results))] * 2,
    ).raises(ZeroDivisionError)
    assert results[0].outcome is not None
    assert isinstance(results[0].outcome.error, ZeroDivisionError)
    assert results[1].outcome is not None
    assert results[1].outcome.value == "1"


def test_a_batch_without_keys_makes_no_trip() -> None:
    env, _ = surroundings()
    script(many(env, "")).returns({})


@pytest.mark.parametrize(("value", "is_stored"), [("kept", True), ("no", False), (MISSING, False)])
def test_the_condition_holds_for_a_key_that_is_loaded_by_itself(
    value: Any, is_stored: bool
) -> None:
    env, _ = surroundings()
    blob = stored("kept", 2, key="a", load_ms=5) if is_stored else filling(1, "a")
    script(
        many(env, "a", condition=lambda value: value == "kept"),
        (Look("a"), RawRead(None)),
        (Join, Flight("a", object(), 0)),
        (Look("a"), RawRead(None)),
        LED,
        (LookAndLease, RawRead(filling(1, "a"))),
        (Load, Loaded(value, 5.0)),
        (Commit("a", filling(1, "a"), blob, 60_000 if is_stored else 1, WAY), STORED),
        LANDED,
    ).returns({} if value is MISSING else {"a": value})


def test_what_is_read_is_offered_to_the_front_tier_under_tickets_of_before() -> None:
    for whole, reads in ((1, "looks"), (0, "leases")):
        shelf = Shelf()
        env, _ = surroundings()
        raw = RawRead(stored("va", key="a"), (), 5_000, push_epoch=3)
        alike = stored("vb", key="b")
        lasting = RawRead(alike, (), None if whole else FOR_EVER, push_epoch=3)
        flow = many(env, whole=whole, front=shelf)
        asked = (Batch, (raw, lasting))
        led = () if whole else (LED, LED)
        landed = () if whole else BOTH_LANDED
        script(flow, *led, asked, *landed).returns({"a": "va", "b": "vb"})
        kept = [(value, *each[:1], *each[2:]) for value, each in shelf.installed]
        assert kept == [("va", (("a",),), 5_000, 3), ("vb", (("b",),), None, 3)], reads


def test_where_the_time_left_may_not_be_asked_nothing_is_offered() -> None:
    shelf = Shelf()
    env, _ = surroundings()
    unknown = RawRead(stored("va", key="a"), (), None)
    script(many(env, "a", whole=0, front=shelf), LED, (LookAndLease, unknown), LANDED).returns(
        {"a": "va"}
    )
    assert shelf.installed == []


def test_tags_that_only_entries_name_are_read_under_tickets_too() -> None:
    env, _ = surroundings()
    tag, other = Tag("~t:a", token(50)), Tag("~t:b", token(51))
    for epochs, kept_epoch in (((3, 3), 3), ((3, 4), (3, 4))):
        shelf = Shelf()
        read, more = epochs
        script(
            many(env, "abc", front=shelf),
            (
                Batch,
                (
                    RawRead(stored("va", key="a", tags=[tag]), (), 5_000, push_epoch=read),
                    RawRead(stored("vb", key="b"), (), 6_000, push_epoch=read),
                    RawRead(stored("vc", key="c", tags=[other]), (), 7_000, push_epoch=read),
                ),
            ),
            (Look("~t:a", ("~t:b",)), RawRead(token(50), (token(51),), push_epoch=more)),
        ).returns({"a": "va", "b": "vb", "c": "vc"})
        kept = {value: (each.tickets, each.push_epoch) for value, each in shelf.installed}
        assert kept == {
            "vb": ((("b",),), read),
            "va": ((("a",), ("~t:a",)), kept_epoch),
            "vc": ((("c",), ("~t:b",)), kept_epoch),
        }
