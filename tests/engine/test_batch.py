from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.core.entry import MISSING, Tag
from dualcache.core.events import Miss, StoresStopped
from dualcache.core.flight import ABANDONED, Flight, Landing
from dualcache.core.ops import (
    Batch,
    Claim,
    CloseFlights,
    Commit,
    CommitReply,
    CommitWay,
    Join,
    Land,
    Load,
    Loaded,
    Look,
    LookAndLease,
    Raised,
    ReadTags,
    Seen,
    TryLease,
)
from dualcache.core.policy import Call
from dualcache.engine.batch import get_or_load_many, set_many
from dualcache.errors import UsageError
from tests.engine.conversation import (
    LEASE_MS,
    NOW_MS,
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
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env

STORED = CommitReply.STORED
WAY = CommitWay.IFEQ
LED = (Join, lead)
LANDED = (Land, None)
LOOKED = (Batch((Look("a"), Look("b"))), (Seen(None), Seen(None)))
LEASED = (Batch, (Seen(filling(1, "a")), Seen(filling(2, "b"))))


def loader(_: list[str]) -> Any:
    """Stand for the user's loader of many."""


def many(env: Env, names: str = "ab") -> Flow[dict[str, Any]]:
    def one_of(name: str) -> Callable[[], Any]:
        return lambda: name

    return get_or_load_many({name: Call(name, policy()) for name in names}, loader, one_of, env)


def noted(landings: list[Landing]) -> Callable[[Land], None]:
    return lambda op: landings.append(op.landing)


def test_several_values_are_set_one_by_one() -> None:
    env, _ = surroundings()
    script(
        set_many([Call("a", policy()), Call("b", policy())], ["va", "vb"], env),
        (Claim, Seen(filling(1, "a"))),
        (Commit, STORED),
        (CloseFlights(("a",)), None),
        (Claim, Seen(filling(3, "b"))),
        (Commit, STORED),
        (CloseFlights(("b",)), None),
    ).returns(None)


def test_what_is_fresh_is_served_in_one_trip() -> None:
    env, _ = surroundings()
    script(
        many(env),
        (Batch, (Seen(stored("va", key="a")), Seen(stored("vb", key="b")))),
    ).returns({"a": "va", "b": "vb"})


def test_what_is_missing_is_leased_in_one_trip_and_loaded_in_one_call() -> None:
    env, _ = surroundings()
    loads: list[Load] = []

    def load(op: Load) -> Loaded:
        loads.append(op)
        return Loaded({"b": "vb", "c": "vc"}, 5.0)

    script(
        many(env, "abc"),
        (Batch, (Seen(stored("va", key="a")), Seen(None), Seen(None))),
        LED,
        LED,
        (
            Batch(
                (
                    LookAndLease("b", filling(1, "b"), LEASE_MS),
                    LookAndLease("c", filling(2, "c"), LEASE_MS),
                )
            ),
            (Seen(filling(1, "b")), Seen(filling(2, "c"))),
        ),
        (Load, load),
        (Commit("b", filling(1, "b"), stored("vb", 3, key="b", load_ms=5), 60_000, WAY), STORED),
        (Commit("c", filling(2, "c"), stored("vc", 4, key="c", load_ms=5), 60_000, WAY), STORED),
        LANDED,
        LANDED,
    ).returns({"a": "va", "b": "vb", "c": "vc"})
    assert [(op.function, op.args, len(op.flights)) for op in loads] == [(loader, (["b", "c"],), 2)]


def test_the_lease_of_a_key_that_the_loader_does_not_know_is_given_back() -> None:
    env, _ = surroundings()
    landings: list[Landing] = []
    script(
        many(env),
        LOOKED,
        LED,
        LED,
        LEASED,
        (Load, Loaded({"b": "vb"}, 5.0)),
        (Commit, STORED),
        (Commit("a", filling(1, "a"), filling(1, "a"), 1, WAY), STORED),
        (Land, noted(landings)),
        (Land, noted(landings)),
    ).returns({"b": "vb"})
    assert landings[0] == ABANDONED
    assert landings[1].outcome is not None


def test_the_exception_of_the_loader_is_raised_and_all_leases_are_given_back() -> None:
    env, _ = surroundings()
    landings: list[Landing] = []
    script(
        many(env),
        LOOKED,
        LED,
        LED,
        LEASED,
        (Load, Raised(OSError(), 5.0)),
        (Commit("a", filling(1, "a"), filling(1, "a"), 1, WAY), STORED),
        (Land, noted(landings)),
        (Commit("b", filling(2, "b"), filling(2, "b"), 1, WAY), STORED),
        (Land, noted(landings)),
    ).raises(OSError)
    assert [type(landing.outcome and landing.outcome.error) for landing in landings] == [
        OSError,
        OSError,
    ]


def test_a_loader_that_returns_no_mapping_is_told_so() -> None:
    env, _ = surroundings()
    script(
        many(env),
        LOOKED,
        LED,
        LED,
        LEASED,
        (Load, Loaded(["va", "vb"], 5.0)),
        (Commit, STORED),
        LANDED,
        (Commit, STORED),
        LANDED,
    ).raises(UsageError)


def test_a_backend_that_fails_leaves_one_call_of_the_loader() -> None:
    env, events = surroundings()
    script(
        many(env),
        (Batch, refused()),
        LED,
        LED,
        (Load, Loaded({"a": "va"}, 5.0)),
        LANDED,
        LANDED,
    ).returns({"a": "va"})
    assert events.count(Miss("k", "backend_down")) == 2


def test_a_backend_that_fails_at_the_leases_leaves_one_call_of_the_loader() -> None:
    env, _ = surroundings()
    script(
        many(env),
        LOOKED,
        LED,
        LED,
        (Batch, refused()),
        (Load, Loaded({"a": "va", "b": "vb"}, 5.0)),
        LANDED,
        LANDED,
    ).returns({"a": "va", "b": "vb"})


def test_leases_whose_connection_was_cut_are_asked_for_again_with_other_tokens() -> None:
    env, _ = surroundings()
    script(
        many(env),
        LOOKED,
        LED,
        LED,
        (Batch, cut()),
        (Batch, (Seen(filling(3, "a")), Seen(filling(4, "b")))),
        (Load, Loaded({"a": "va", "b": "vb"}, 5.0)),
        (Commit, STORED),
        (Commit, STORED),
        LANDED,
        LANDED,
    ).returns({"a": "va", "b": "vb"})


def test_a_caller_who_is_interrupted_while_leasing_hands_all_flights_over() -> None:
    env, _ = surroundings()
    landings: list[Landing] = []
    script(
        many(env),
        LOOKED,
        LED,
        LED,
        (Batch, KeyboardInterrupt()),
        (Commit("a", filling(1, "a"), filling(1, "a"), 1, WAY), STORED),
        (Commit("b", filling(2, "b"), filling(2, "b"), 1, WAY), STORED),
        (Land, noted(landings)),
        (Land, noted(landings)),
    ).raises(KeyboardInterrupt)
    assert landings == [ABANDONED, ABANDONED]


def test_a_key_that_another_process_holds_is_loaded_by_itself_afterwards() -> None:
    env, _ = surroundings()
    script(
        many(env),
        LOOKED,
        LED,
        LED,
        (Batch, (Seen(filling(1, "a")), Seen(filling(50, "b")))),
        LANDED,
        (Load, Loaded({"a": "va"}, 5.0)),
        (Commit, STORED),
        LANDED,
        (Look("b"), Seen(stored("vb", key="b"))),
    ).returns({"a": "va", "b": "vb"})


def test_a_key_that_another_caller_loads_is_waited_for_afterwards() -> None:
    env, _ = surroundings()
    others = Flight("b", object(), 0)
    script(
        many(env),
        LOOKED,
        LED,
        (Join, others),
        (Batch, (Seen(filling(1, "a")),)),
        (Load, Loaded({"a": "va"}, 5.0)),
        (Commit, STORED),
        LANDED,
        (Look("b"), Seen(None)),
        (Join, lead),
        (LookAndLease, Seen(filling(3, "b"))),
        (Load, Loaded(MISSING, 5.0)),
        (Commit("b", filling(3, "b"), filling(3, "b"), 1, WAY), STORED),
        LANDED,
    ).returns({"a": "va"})


def test_the_exception_of_a_single_load_is_raised() -> None:
    env, _ = surroundings()
    script(
        many(env, "b"),
        (Batch, (Seen(None),)),
        (Join, Flight("b", object(), 0)),
        (Look("b"), Seen(None)),
        (Join, lead),
        (LookAndLease, Seen(filling(1, "b"))),
        (Load, Raised(OSError(), 5.0)),
        (Commit, STORED),
        LANDED,
    ).raises(OSError)


def test_entries_whose_tags_are_dead_are_replaced_and_loaded_in_one_call() -> None:
    env, _ = surroundings()
    dead_a, dead_b = (stored("old", key=key, tags=[Tag("t", token(60))]) for key in "ab")
    script(
        many(env),
        LOOKED,
        LED,
        LED,
        (Batch, (Seen(dead_a), Seen(dead_b))),
        (ReadTags(("t",)), (None,)),
        (Commit("a", dead_a, filling(3, "a"), LEASE_MS, WAY), STORED),
        (ReadTags(("t",)), (None,)),
        (Commit("b", dead_b, filling(4, "b"), LEASE_MS, WAY), STORED),
        (Load, Loaded({"a": "va", "b": "vb"}, 5.0)),
        (Commit("a", filling(3, "a"), stored("va", 5, key="a", load_ms=5), 60_000, WAY), STORED),
        (Commit("b", filling(4, "b"), stored("vb", 6, key="b", load_ms=5), 60_000, WAY), STORED),
        LANDED,
        LANDED,
    ).returns({"a": "va", "b": "vb"})


def test_a_caller_who_is_interrupted_while_replacing_gives_back_what_he_had_taken() -> None:
    env, _ = surroundings()
    dead = stored("old", key="a", tags=[Tag("t", token(60))])
    script(
        many(env, "abc"),
        (Batch, (Seen(None),) * 3),
        LED,
        LED,
        LED,
        (Batch, (Seen(dead), Seen(b"foreign"), Seen(filling(3, "c")))),
        (ReadTags, (None,)),
        (Commit("a", dead, filling(4, "a"), LEASE_MS, WAY), STORED),
        (Commit("b", b"foreign", filling(5, "b"), LEASE_MS, WAY), KeyboardInterrupt()),
        (Commit("b", filling(5, "b"), filling(5, "b"), 1, WAY), STORED),
        (Commit("a", filling(4, "a"), filling(4, "a"), 1, WAY), STORED),
        (Commit("b", filling(2, "b"), filling(2, "b"), 1, WAY), CommitReply.REFUSED),
        (Commit("c", filling(3, "c"), filling(3, "c"), 1, WAY), STORED),
        LANDED,
        LANDED,
        LANDED,
    ).raises(KeyboardInterrupt)


def test_a_server_that_takes_no_writes_leaves_one_call_of_the_loader() -> None:
    env, events = surroundings()
    script(
        many(env),
        LOOKED,
        LED,
        LED,
        (Batch, (Seen(None, refusal="OOM"), Seen(None, refusal="OOM"))),
        (Load, Loaded({"a": "va", "b": "vb"}, 5.0)),
        LANDED,
        LANDED,
    ).returns({"a": "va", "b": "vb"})
    assert events.count(StoresStopped(reason="OOM")) == 1


def test_a_key_whose_tags_cannot_be_read_is_loaded_with_the_others_and_not_stored() -> None:
    env, _ = surroundings()
    tagged = stored("old", key="a", tags=[Tag("t", token(60))])
    script(
        many(env),
        LOOKED,
        LED,
        LED,
        (Batch, (Seen(tagged), Seen(filling(2, "b")))),
        (ReadTags, slow()),
        (Load, Loaded({"a": "va", "b": "vb"}, 5.0)),
        (Commit("b", filling(2, "b"), stored("vb", 3, key="b", load_ms=5), 60_000, WAY), STORED),
        LANDED,
        LANDED,
    ).returns({"a": "va", "b": "vb"})


def test_a_stale_entry_is_loaded_by_itself_so_that_it_can_stand_in() -> None:
    env, _ = surroundings()
    stale = stored("old", key="a", fresh_ms=100, created_ms=NOW_MS - 500)
    script(
        many(env, "a"),
        (Batch, (Seen(stale),)),
        LED,
        (Batch, (Seen(stale),)),
        LANDED,
        (Look("a"), Seen(stale)),
        LED,
        (LookAndLease, Seen(stale)),
        (TryLease, True),
        (Load, Raised(OSError(), 5.0)),
        (Commit, STORED),
        LANDED,
    ).returns({"a": "old"})
