from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.memory import MemoryStore
from dualcache.core.entry import Packed, Tag
from dualcache.core.envelope import seal_tombstone
from dualcache.core.events import Loaded as LoadedEvent
from dualcache.core.flight import EndFlight, Join, Load, Outcome
from dualcache.core.ops import (
    WRONG_TYPE,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    Loaded,
    Look,
    LookAndLease,
    Raised,
    RawRead,
    ReadTags,
    TryLease,
)
from dualcache.engine.acquire import MOST_ROUNDS
from dualcache.engine.health import PendingDeletion
from dualcache.engine.load import get_or_load, refresh
from dualcache.engine.read import get
from dualcache.engine.refresh_lease import is_lease
from dualcache.errors import UnencodableValue
from tests.engine.conversation import (
    KEY,
    LEASE_MS,
    NOW_MS,
    RECIPE,
    call,
    filling,
    lead,
    pack,
    refused,
    script,
    slow,
    stored,
    surroundings,
    token,
)

if TYPE_CHECKING:
    from dualcache.core.ops import Flow

LOOK = Look(KEY, (), with_ttl=True)
OLD = stored("old")
RESEALED = stored("old", 1)
STORED = CommitReply.STORED


def pack_some(value: Any) -> Packed:
    if value == "unencodable":
        raise UnencodableValue("no form keeps it", code="DC300")
    return pack(value)


CHOOSY = RECIPE._replace(pack=pack_some)


def until_load(flow: Flow[Any], store: MemoryStore) -> None:
    """Perform what a flow asks for on a store, until it asks for its load."""
    op = next(flow)
    while type(op) is not Load:
        op = flow.send(lead(op) if type(op) is Join else store.perform(op))


def loaded(flow: Flow[Any], store: MemoryStore, value: str) -> Any:
    """Let a flow's load return, and perform the rest."""
    op = flow.send(Loaded(value, 5.0))
    try:
        while True:
            op = flow.send(None if type(op) is EndFlight else store.perform(op))
    except StopIteration as end:
        return end.value


def test_a_refresh_seals_a_usable_entry_anew_and_commits_over_that() -> None:
    env, events = surroundings()
    outcome = script(
        refresh(call(), env),
        (LOOK, RawRead(OLD, (), 30_000)),
        (Commit(KEY, OLD, RESEALED, 30_000, CommitWay.IFEQ), STORED),
        (Load, Loaded("new", 5.0)),
        (Commit(KEY, RESEALED, stored("new", 2, load_ms=5), 60_000, CommitWay.IFEQ), STORED),
    ).ends()
    assert outcome == Outcome("new", None, 2, pack("new"))
    assert events == [LoadedEvent("k", 5.0, "stored")]


def test_an_entry_that_is_sealed_anew_keeps_its_tags_its_times_and_its_lifetime() -> None:
    env, _ = surroundings()
    tags = [Tag("~t:a", token(50))]
    before = stored("old", tags=tags, fresh_ms=100, created_ms=NOW_MS - 500, load_ms=7)
    after = stored("old", 1, tags=tags, fresh_ms=100, created_ms=NOW_MS - 500, load_ms=7)
    script(
        refresh(call(), env),
        (LOOK, RawRead(before)),
        (ReadTags(("~t:a",)), (token(50),)),
        (Commit(KEY, before, after, None, CommitWay.IFEQ), STORED),
        (Load, Raised(OSError(), 5.0)),
    ).ends()


def test_the_time_that_the_look_took_is_taken_from_what_the_entry_has_left() -> None:
    env, _ = surroundings(elapsed_ms=count(0, 40).__next__)
    script(
        refresh(call(), env),
        (LOOK, RawRead(OLD, (), 30_000)),
        (Commit(KEY, OLD, RESEALED, 29_960, CommitWay.IFEQ), slow()),
        (Load, Loaded("new", 5.0)),
    ).ends()


def test_a_refresh_claims_an_entry_that_changed_since_it_was_read() -> None:
    env, _ = surroundings()
    script(
        refresh(call(), env),
        (LOOK, RawRead(OLD, (), 30_000)),
        (Commit, CommitReply.REFUSED),
        (LookAndLease(KEY, filling(2), LEASE_MS), RawRead(filling(2))),
        (Load, Loaded("new", 5.0)),
        (Commit(KEY, filling(2), stored("new", 3, load_ms=5), 60_000, CommitWay.IFEQ), STORED),
    ).ends()


def test_a_refresh_of_an_absent_key_claims_it() -> None:
    env, _ = surroundings()
    script(
        refresh(call(), env),
        (LOOK, RawRead(None)),
        (LookAndLease(KEY, filling(1), LEASE_MS), RawRead(filling(1))),
        (Load, Loaded("new", 5.0)),
        (Commit, STORED),
    ).ends()


def test_a_refresh_that_fails_leaves_the_entry_and_the_lease_of_another_alone() -> None:
    env, _ = surroundings()
    error = OSError()
    outcome = script(
        refresh(call(), env),
        (LOOK, RawRead(OLD, (), 30_000)),
        (Commit, STORED),
        (Load, Raised(error, 5.0)),
    ).ends()
    assert outcome.error is error


def test_a_refresh_whose_backend_fails_loads_without_storing() -> None:
    env, events = surroundings()
    outcome = script(
        refresh(call(), env),
        (LOOK, refused()),
        (Load, Loaded("new", 5.0)),
    ).ends()
    assert outcome.value == "new"
    assert events[-1] == LoadedEvent("k", 5.0, "not_stored")


def test_a_refresh_revokes_the_older_load_of_a_stale_entry_in_another_process() -> None:
    store = MemoryStore(lambda: 0.0)
    here, _ = surroundings()
    there, _ = surroundings(50)
    stale = stored("older", fresh_ms=100, created_ms=NOW_MS - 500)
    store.perform(LookAndLease(KEY, stale, 60_000))
    usual = call(stale_if_error_ms=60_000)
    early = get_or_load(usual, there)
    late = refresh(usual, here)
    until_load(early, store)
    until_load(late, store)
    assert loaded(early, store, "v0").value == "v0"
    assert loaded(late, store, "v1").value == "v1"
    assert loaded_value(store) == "v1"


def test_a_refresh_leaves_the_refresh_lease_of_another_process_to_it() -> None:
    store = MemoryStore(lambda: 0.0)
    here, _ = surroundings()
    there, _ = surroundings(50)
    usual = call(stale_if_error_ms=60_000)
    store.perform(LookAndLease(KEY, stored("old", fresh_ms=100, created_ms=NOW_MS - 500), 60_000))
    early = get_or_load(usual, there)
    until_load(early, store)
    held = store.perform(Look("~r:k"))
    late = refresh(usual, here)
    until_load(late, store)
    loaded(late, store, "v1")
    assert held.raw is not None
    assert store.perform(Look("~r:k")) == held
    loaded(early, store, "v0")
    assert store.perform(Look("~r:k")).raw is None


def loaded_value(store: MemoryStore) -> Any:
    env, _ = surroundings()
    return script(get(call(), env), (Look(KEY), store.perform)).ends()


def test_a_lease_that_ran_out_and_was_taken_by_another_is_not_given_back() -> None:
    store = MemoryStore(lambda: 0.0)
    there, _ = surroundings(50)
    store.perform(LookAndLease(KEY, stored("old", fresh_ms=100, created_ms=NOW_MS - 500), 60_000))
    early = get_or_load(call(stale_if_error_ms=60_000), there)
    until_load(early, store)
    store.perform(Delete(("~r:k",)))
    store.perform(LookAndLease("~r:k", token(1), 60_000))
    loaded(early, store, "v0")
    assert store.perform(Look("~r:k")).raw == token(1)


HELD = seal_tombstone(KEY, token=token(70), created_ms=NOW_MS)


def test_a_hold_that_comes_after_the_look_is_left_alone() -> None:
    env, _ = surroundings()
    outcome = script(
        refresh(call(), env),
        (LOOK, RawRead(None)),
        (LookAndLease, RawRead(HELD, (), 5_000)),
        (Load, Loaded("new", 5.0)),
    ).ends()
    assert outcome.value == "new"


def test_a_refresh_takes_the_place_of_another_load_under_a_compare() -> None:
    env, _ = surroundings()
    theirs = filling(70)
    script(
        refresh(call(), env),
        (LOOK, RawRead(theirs, (), 9_000)),
        (LookAndLease, RawRead(theirs, (), 9_000)),
        (Commit(KEY, theirs, filling(2), LEASE_MS, CommitWay.IFEQ), CommitReply.REFUSED),
        (LookAndLease, RawRead(WRONG_TYPE, (), 9_000)),
        (Delete((KEY,)), 1),
        (LookAndLease(KEY, filling(4), LEASE_MS), RawRead(None)),
        (LookAndLease(KEY, filling(5), LEASE_MS), RawRead(filling(5))),
        (Load, Loaded("new", 5.0)),
        (Commit(KEY, filling(5), stored("new", 6, load_ms=5), 60_000, CommitWay.IFEQ), STORED),
    ).ends()


def test_a_refresh_of_a_key_that_never_rests_or_of_a_full_server_stores_nothing() -> None:
    env, _ = surroundings()
    script(
        refresh(call(), env),
        (LOOK, RawRead(None)),
        *[(LookAndLease, RawRead(None))] * MOST_ROUNDS,
        (Load, Loaded("new", 5.0)),
    ).ends()
    env, _ = surroundings()
    script(
        refresh(call(), env),
        (LOOK, RawRead(None)),
        (LookAndLease, RawRead(None, refusal="OOM")),
        (Load, Loaded("new", 5.0)),
    ).ends()


def test_a_refresh_whose_claim_does_not_arrive_is_loaded_and_not_stored() -> None:
    env, _ = surroundings()
    outcome = script(
        refresh(call(), env),
        (LOOK, RawRead(None)),
        (LookAndLease, slow()),
        (Load, Loaded("new", 5.0)),
    ).ends()
    assert outcome.value == "new"


def test_a_refresh_that_is_interrupted_at_its_claim_gives_it_back() -> None:
    env, _ = surroundings()
    script(
        refresh(call(), env),
        (LOOK, RawRead(None)),
        (LookAndLease, KeyboardInterrupt()),
        (Commit(KEY, filling(1), filling(1), 1, CommitWay.IFEQ), STORED),
    ).raises(KeyboardInterrupt)


WITHDRAWN = Commit(KEY, RESEALED, filling(2, load_ms=5), 1, CommitWay.IFEQ)


@pytest.mark.parametrize("value", ["odd", "unencodable"])
def test_a_refresh_whose_result_is_not_stored_takes_away_just_the_entry_it_started_from(
    value: str,
) -> None:
    env, _ = surroundings()
    outcome = script(
        refresh(call(condition=lambda value: value != "odd", value_codec=CHOOSY), env),
        (LOOK, RawRead(OLD, (), 30_000)),
        (Commit(KEY, OLD, RESEALED, 30_000, CommitWay.IFEQ), STORED),
        (Load, Loaded(value, 5.0)),
        (WITHDRAWN, CommitReply.REFUSED),
    ).ends()
    assert outcome.value == value
    assert env.health.is_clear


def test_an_entry_that_could_not_be_taken_away_is_pending() -> None:
    env, _ = surroundings()
    script(
        refresh(call(ttl_ms=0), env),
        (LOOK, RawRead(OLD, (), 30_000)),
        (Commit, STORED),
        (Load, Loaded("new", 5.0)),
        (WITHDRAWN, slow()),
    ).ends()
    assert list(env.health.pending.values()) == [PendingDeletion((KEY,))]


def test_an_entry_whose_refresh_is_interrupted_at_its_end_is_pending() -> None:
    env, _ = surroundings()
    script(
        refresh(call(ttl_ms=0), env),
        (LOOK, RawRead(OLD, (), 30_000)),
        (Commit, STORED),
        (Load, Loaded("new", 5.0)),
        (WITHDRAWN, KeyboardInterrupt()),
    ).raises(KeyboardInterrupt)
    assert list(env.health.pending.values()) == [PendingDeletion((KEY,))]


def test_a_refresh_whose_commit_may_not_have_arrived_has_its_deletion_pending() -> None:
    env, _ = surroundings()
    outcome = script(
        refresh(call(), env),
        (LOOK, RawRead(OLD, (), 30_000)),
        (Commit, STORED),
        (Load, Loaded("new", 5.0)),
        (Commit, slow()),
    ).ends()
    assert outcome.value == "new"
    assert list(env.health.pending.values()) == [PendingDeletion((KEY,))]


def test_a_refresh_whose_callable_raises_leaves_the_entry() -> None:
    env, _ = surroundings()

    def raising(_: object) -> bool:
        raise OSError

    outcome = script(
        refresh(call(condition=raising), env),
        (LOOK, RawRead(OLD, (), 30_000)),
        (Commit, STORED),
        (Load, Loaded("new", 5.0)),
    ).ends()
    assert isinstance(outcome.error, OSError)


def test_a_load_of_a_stale_entry_whose_result_is_not_stored_leaves_it_to_stand_in() -> None:
    env, _ = surroundings()
    stale = stored("old", fresh_ms=100, created_ms=NOW_MS - 500)
    script(
        get_or_load(call(stale_if_error_ms=60_000, condition=lambda _: False), env),
        (Look, RawRead(stale)),
        (Join, lead),
        (LookAndLease, RawRead(stale)),
        (TryLease, True),
        (Load, Loaded("new", 5.0)),
        (Commit("~r:k", token(2), token(2), 1, CommitWay.IFEQ), STORED),
        (EndFlight, None),
    ).ends()


def test_a_refresh_of_a_stale_entry_that_fails_gives_the_stale_value_and_makes_no_pause() -> None:
    env, _ = surroundings()
    before = stored("old", fresh_ms=100, created_ms=NOW_MS - 500)
    outcome = script(
        refresh(call(stale_if_error_ms=60_000), env),
        (LOOK, RawRead(before, (), 30_000)),
        (Commit, STORED),
        (Load, Raised(OSError(), 5.0)),
    ).ends()
    assert outcome.value == "old"


@pytest.mark.parametrize(
    ("key", "content", "is_one"),
    [
        (KEY, filling(1), True),
        (KEY, OLD, False),
        (KEY, seal_tombstone(KEY, token=token(1), created_ms=NOW_MS), False),
        (KEY, b"foreign", False),
        (f"shop:~r:{KEY}", token(1), True),
        (f"shop:~r:{KEY}", b"pause" + token(1)[5:], False),
        (f"shop:~t:{KEY}", token(1), False),
    ],
)
def test_a_lease_is_told_from_what_else_is_stored(key: str, content: bytes, is_one: bool) -> None:
    env, _ = surroundings()
    assert is_lease(key.replace("shop:", env.prefix), content, env) is is_one
