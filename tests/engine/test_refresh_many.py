from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.events import Loaded as LoadedEvent
from dualcache.core.flight import Load
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
)
from dualcache.core.policy import Call
from dualcache.engine.pipelines import MOST_AT_ONCE
from dualcache.engine.read_many import look_many, peek_many
from dualcache.engine.refresh_many import refresh_many
from tests.engine.conversation import (
    LEASE_MS,
    filling,
    policy,
    refused,
    script,
    stored,
    surroundings,
)
from tests.engine.test_beside import Store, asked

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env

STORED = CommitReply.STORED
WAY = CommitWay.IFEQ
OLD = stored("old", key="a")
RESEALED = stored("old", 1, key="a")
ENTRY_AND_CLAIM: tuple[tuple[Any, Any], ...] = (
    (Look("a", (), with_ttl=True), RawRead(OLD, (), 30_000)),
    (Commit("a", OLD, RESEALED, 30_000, WAY), STORED),
    (Look("b", (), with_ttl=True), RawRead(None)),
    (LookAndLease("b", filling(2, "b"), LEASE_MS), RawRead(filling(2, "b"))),
)
"""How both keys begin: an entry that is sealed anew, and a key that is claimed."""


def loader(_: list[str]) -> Any:
    """Stand for the user's loader of many."""


def refreshed(env: Env, **options: Any) -> Flow[dict[str, Any]]:
    usual = policy(**options)
    return refresh_many({name: Call(name, usual) for name in "ab"}, loader, env)


def test_several_keys_are_loaded_in_one_call_and_committed_in_one_trip() -> None:
    env, events = surroundings()
    script(
        refreshed(env),
        *ENTRY_AND_CLAIM,
        (Load, Loaded({"a": "va", "b": "vb"}, 5.0)),
        (
            Batch(
                (
                    Commit("a", RESEALED, stored("va", 3, key="a", load_ms=5), 60_000, WAY),
                    Commit("b", filling(2, "b"), stored("vb", 4, key="b", load_ms=5), 60_000, WAY),
                )
            ),
            (STORED, STORED),
        ),
    ).returns({"a": "va", "b": "vb"})
    assert events == [LoadedEvent("k", 5.0, "stored")] * 2


def test_a_load_that_fails_gives_the_markers_back_and_leaves_the_entries() -> None:
    env, _ = surroundings()
    script(
        refreshed(env),
        *ENTRY_AND_CLAIM,
        (Load, Raised(OSError(), 5.0)),
        (Commit("b", filling(2, "b"), filling(2, "b"), 1, WAY), STORED),
    ).raises(OSError)


def test_the_entry_of_a_key_that_the_loader_does_not_know_goes() -> None:
    env, _ = surroundings()
    script(
        refreshed(env),
        *ENTRY_AND_CLAIM,
        (Load, Loaded({"b": "vb"}, 5.0)),
        (Commit("b", filling(2, "b"), stored("vb", 3, key="b", load_ms=5), 60_000, WAY), STORED),
        (Commit("a", RESEALED, filling(4, "a", 5), 1, WAY), STORED),
    ).returns({"b": "vb"})


def test_an_interrupted_refresh_gives_back_whatever_may_have_been_taken() -> None:
    env, _ = surroundings()
    script(
        refreshed(env),
        *ENTRY_AND_CLAIM,
        (Load, KeyboardInterrupt()),
        (Commit("b", filling(2, "b"), filling(2, "b"), 1, WAY), STORED),
    ).raises(KeyboardInterrupt)


def test_what_cannot_be_begun_is_loaded_all_the_same() -> None:
    env, _ = surroundings()
    script(
        refreshed(env),
        (Look, refused()),
        (Load, Loaded({"a": "va", "b": "vb"}, 5.0)),
    ).returns({"a": "va", "b": "vb"})


@pytest.mark.parametrize("reply", [None, refused()])
def test_where_nothing_can_be_stored_the_old_entries_go(reply: Any) -> None:
    env, _ = surroundings(ways=())
    script(
        refreshed(env),
        (Load, Loaded({"a": "va"}, 5.0)),
        (Delete(("a", "b")), reply),
    ).returns({"a": "va"})


def test_a_release_refreshes_its_own_entry_beside_that_of_another() -> None:
    store, (env, _) = Store(), surroundings()
    for number in (1, 2):
        call = asked(number)
        for value in ("v", "w"):
            found = store.run(refresh_many({"k": call}, loader, env), {"k": f"{value}{number}"})
            assert found == {"k": f"{value}{number}"}
    entries = store.run(peek_many([asked(1), asked(2), asked(3)], env))
    assert [entry and entry.value for entry in entries] == ["w1", "w2", None]


def test_several_keys_are_peeked_at_in_one_trip() -> None:
    env, events = surroundings()
    usual = policy()
    calls = [Call(name, usual) for name in "abc"]
    looks = Batch(tuple([Look(name, (), with_ttl=True) for name in "abc"]))
    replies = (RawRead(OLD, (), 30_000), RawRead(None), RawRead(filling(7, "c")))
    first, *others = script(peek_many(calls, env), (looks, replies)).ends()
    assert (first.value, first.ttl) == ("old", 30.0)
    assert others == [None, None]
    assert events == []
    script(peek_many(calls, env), (Batch, refused())).returns([None, None, None])


@pytest.mark.parametrize("read", [peek_many, look_many])
def test_more_keys_than_a_trip_has_room_for_are_read_in_several(read: Any) -> None:
    env, _ = surroundings()
    calls = [Call(str(number), policy()) for number in range(MOST_AT_ONCE + 1)]
    found = script(
        read(calls, env),
        (Batch, (RawRead(None),) * MOST_AT_ONCE),
        (Look, RawRead(None)),
    ).ends()
    assert len(found) == len(calls)
