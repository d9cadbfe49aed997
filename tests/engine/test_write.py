from __future__ import annotations

import pytest

from dualcache.core.entry import Packed, Tag
from dualcache.core.events import Invalidated
from dualcache.core.flight import CloseFlights
from dualcache.core.ops import (
    Batch,
    Claim,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    Look,
    NewTag,
    RawRead,
)
from dualcache.core.policy import Call
from dualcache.engine.health import PendingDeletion
from dualcache.engine.pipelines import MOST_AT_ONCE, MOST_BYTES_AT_ONCE
from dualcache.engine.storing import Storable
from dualcache.engine.write import Put, set_many, set_value, size_of
from tests.engine.conversation import (
    DAY_MS,
    KEY,
    LEASE_MS,
    call,
    cut,
    filling,
    policy,
    refused,
    script,
    slow,
    stored,
    surroundings,
    token,
)


def test_a_set_claims_the_key_and_commits_over_its_claim() -> None:
    env, _ = surroundings()
    script(
        set_value(call(), "v", env),
        (Claim(KEY, filling(1), LEASE_MS), RawRead(filling(1))),
        (Commit(KEY, filling(1), stored("v", 2), 60_000, CommitWay.IFEQ), CommitReply.STORED),
        (CloseFlights((KEY,)), None),
    ).returns(True)


def test_a_set_whose_first_reply_was_lost_is_found_to_be_there() -> None:
    env, _ = surroundings()
    stored_now = stored("v", 2)
    script(
        set_value(call(), "v", env),
        (Claim, RawRead(filling(1))),
        (Commit, cut()),
        (Commit, CommitReply.REFUSED),
        (Look(KEY), RawRead(stored_now)),
        (CloseFlights, None),
    ).returns(True)


def test_a_set_that_was_overtaken_returns_false() -> None:
    env, _ = surroundings()
    script(
        set_value(call(), "v", env),
        (Claim, RawRead(filling(1))),
        (Commit, CommitReply.REFUSED),
        (CloseFlights, None),
    ).returns(False)


def test_a_set_makes_the_tags_that_are_known_from_its_value() -> None:
    env, _ = surroundings()
    blob = stored("v", 4, tags=[Tag("~t:a", token(1)), Tag("~t:v", b"its life")])
    script(
        set_value(call("~t:a", tags_of=lambda value: (f"~t:{value}",)), "v", env),
        (
            Claim(
                KEY,
                filling(3),
                LEASE_MS,
                (NewTag("~t:a", token(1), DAY_MS), NewTag("~t:v", token(2), DAY_MS)),
            ),
            RawRead(filling(3), (token(1), b"its life"), None, (DAY_MS, DAY_MS)),
        ),
        (Commit(KEY, filling(3), blob, 60_000, CommitWay.IFEQ), CommitReply.STORED),
        (CloseFlights((KEY,)), None),
    ).returns(True)


def test_a_set_of_a_value_that_is_not_worth_storing_deletes_what_was_there() -> None:
    env, _ = surroundings()
    script(
        set_value(call(ttl_ms=0), "v", env),
        (Delete((KEY,)), 1),
        (CloseFlights((KEY,)), None),
    ).returns(False)


def test_a_set_that_the_server_turns_down_deletes_what_was_there() -> None:
    env, _ = surroundings()
    script(
        set_value(call(), "v", env),
        (Claim, RawRead(None, (), None, (), "OOM")),
        (Delete((KEY,)), 1),
        (CloseFlights((KEY,)), None),
    ).returns(False)
    assert env.health.are_stores_stopped


def test_a_set_that_does_not_arrive_keeps_the_deletion_pending_of_what_was_there() -> None:
    env, _ = surroundings()
    script(
        set_value(call(), "v", env),
        (Claim, slow()),
        (Delete((KEY,)), refused()),
        (CloseFlights((KEY,)), None),
    ).returns(False)
    assert list(env.health.pending.values()) == [PendingDeletion((KEY,))]


def test_a_set_that_is_interrupted_keeps_the_deletion_pending_of_what_was_there() -> None:
    env, _ = surroundings()
    script(
        set_value(call(), "v", env),
        (Claim, RawRead(filling(1))),
        (Commit, KeyboardInterrupt()),
    ).raises(KeyboardInterrupt)
    assert list(env.health.pending.values()) == [PendingDeletion((KEY,))]


def test_tags_that_cannot_be_made_raise_before_anything_is_changed() -> None:
    env, _ = surroundings()
    with pytest.raises(ZeroDivisionError):
        script(set_value(call(tags_of=lambda _: 1 // 0), "v", env)).ends()
    assert env.health.is_clear


WAY = CommitWay.IFEQ


def test_several_values_are_claimed_in_one_trip_and_committed_in_another() -> None:
    env, _ = surroundings()
    tags = (NewTag("~t:a", token(1), DAY_MS), NewTag("~t:b", token(2), DAY_MS))
    first = stored("va", 5, key="a", tags=[Tag("~t:a", token(1))])
    second = stored("vb", 6, key="b", tags=[Tag("~t:b", b"its life"), Tag("~t:a", token(1))])
    script(
        set_many(
            [
                (Call("a", policy(), ("~t:a",)), "va"),
                (Call("b", policy(), ("~t:b", "~t:a")), "vb"),
            ],
            env,
        ),
        (
            Batch(
                (
                    Claim("a", filling(3, "a"), LEASE_MS, tags),
                    Claim("b", filling(4, "b"), LEASE_MS),
                )
            ),
            (
                RawRead(filling(3, "a"), (token(1), b"its life"), None, (DAY_MS, DAY_MS)),
                RawRead(filling(4, "b")),
            ),
        ),
        (
            Batch(
                (
                    Commit("a", filling(3, "a"), first, 60_000, WAY),
                    Commit("b", filling(4, "b"), second, 60_000, WAY),
                )
            ),
            (CommitReply.STORED, CommitReply.REFUSED),
        ),
        (CloseFlights(("a", "b")), None),
    ).returns([True, False])


def test_a_set_of_no_values_makes_no_trip() -> None:
    env, _ = surroundings()
    script(set_many([], env)).returns([])


def test_values_that_cannot_be_stored_are_deleted_together() -> None:
    env, events = surroundings()
    unworthy = policy(condition=lambda value: value != "no")
    pairs = [("a", "va"), ("b", "no"), ("c", "vc")]
    script(
        set_many([(Call(key, unworthy), value) for key, value in pairs], env),
        (Batch, (RawRead(filling(1, "a")), RawRead(None, refusal="OOM"))),
        (Commit("a", filling(1, "a"), stored("va", 3, key="a"), 60_000, WAY), CommitReply.STORED),
        (CloseFlights(("a",)), None),
        (Delete(("b", "c")), 1),
        (CloseFlights(("b", "c")), None),
    ).returns([True, False, False])
    assert Invalidated(keys=2, removed=1) in events


def test_no_value_is_set_where_one_cannot_be_encoded() -> None:
    env, _ = surroundings()
    hasty = policy(tags_of=lambda value: (value.missing,))
    script(set_many([(Call(key, hasty), key) for key in "ab"], env)).raises(AttributeError)
    assert env.health.is_clear


def claimed(op: Batch) -> tuple[RawRead, ...]:
    claims = [each for each in op.ops if isinstance(each, Claim)]
    assert len(claims) == len(op.ops)
    return tuple([RawRead(each.filling) for each in claims])


def committed(op: Batch) -> tuple[CommitReply, ...]:
    assert all(isinstance(each, Commit) for each in op.ops)
    return (CommitReply.STORED,) * len(op.ops)


MANY = [(Call(f"k{number}", policy()), "v") for number in range(MOST_AT_ONCE + 2)]
CLOSED = (CloseFlights, None)


def test_a_big_job_is_claimed_and_committed_part_by_part() -> None:
    env, _ = surroundings()
    script(
        set_many(MANY, env),
        (Batch, claimed),
        (Batch, committed),
        CLOSED,
        (Batch, claimed),
        (Batch, committed),
        (CloseFlights((f"k{MOST_AT_ONCE}", f"k{MOST_AT_ONCE + 1}")), None),
    ).returns([True] * len(MANY))


def test_large_values_are_claimed_in_parts_by_their_size() -> None:
    env, _ = surroundings()
    large = "x" * (MOST_BYTES_AT_ONCE // 2 + 1)
    several = [(Call(key, policy()), large) for key in "ab"]
    script(
        set_many(several, env),
        (Claim, lambda op: RawRead(op.filling)),
        (Commit, CommitReply.STORED),
        (CloseFlights(("a",)), None),
        (Claim, lambda op: RawRead(op.filling)),
        (Commit, CommitReply.STORED),
        (CloseFlights(("b",)), None),
    ).returns([True, True])


def test_of_a_big_job_only_the_part_that_fails_is_deleted() -> None:
    env, _ = surroundings()
    script(
        set_many(MANY, env),
        (Batch, claimed),
        (Batch, committed),
        CLOSED,
        (Batch, claimed),
        (Batch, slow()),
        (Delete((f"k{MOST_AT_ONCE}", f"k{MOST_AT_ONCE + 1}")), 0),
        CLOSED,
    ).returns([True] * MOST_AT_ONCE + [False, False])


def test_a_big_job_that_is_interrupted_keeps_the_rest_pending() -> None:
    env, _ = surroundings()
    script(
        set_many(MANY, env),
        (Batch, claimed),
        (Batch, committed),
        CLOSED,
        (Batch, KeyboardInterrupt()),
    ).raises(KeyboardInterrupt)
    left = (f"k{MOST_AT_ONCE}", f"k{MOST_AT_ONCE + 1}")
    assert list(env.health.pending.values()) == [PendingDeletion(left)]


def test_an_object_stored_by_reference_has_no_size() -> None:
    assert size_of(Put(call(), None, Storable(Packed(8, 0, object()), None, None))) == 0
    assert size_of(Put(call(), None, Storable(Packed(1, 0, b"1234"), None, None))) == 4
    assert size_of(Put(call(), None, None)) == 0
