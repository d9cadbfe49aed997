from __future__ import annotations

import pytest

from dualcache.core.entry import Tag
from dualcache.core.ops import (
    Claim,
    CloseFlights,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    NewTag,
    Seen,
)
from dualcache.engine.recovery import Owed
from dualcache.engine.write import set_value
from tests.engine.conversation import (
    DAY_MS,
    KEY,
    LEASE_MS,
    call,
    filling,
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
        (Claim(KEY, filling(1), LEASE_MS), Seen(filling(1))),
        (Commit(KEY, filling(1), stored("v", 2), 60_000, CommitWay.IFEQ), CommitReply.STORED),
        (CloseFlights((KEY,)), None),
    ).returns(True)


def test_a_set_that_was_overtaken_says_so() -> None:
    env, _ = surroundings()
    script(
        set_value(call(), "v", env),
        (Claim, Seen(filling(1))),
        (Commit, CommitReply.REFUSED),
        (CloseFlights, None),
    ).returns(False)


def test_a_set_makes_the_tags_that_are_known_from_its_value() -> None:
    env, _ = surroundings()
    blob = stored("v", 4, tags=[Tag("~t:a", token(2)), Tag("~t:v", b"its life")])
    script(
        set_value(call("~t:a", tags_of=lambda value: (f"~t:{value}",)), "v", env),
        (
            Claim(
                KEY,
                filling(1),
                LEASE_MS,
                (NewTag("~t:a", token(2), DAY_MS), NewTag("~t:v", token(3), DAY_MS)),
            ),
            Seen(filling(1), (token(2), b"its life"), None, (DAY_MS, DAY_MS)),
        ),
        (Commit(KEY, filling(1), blob, 60_000, CommitWay.IFEQ), CommitReply.STORED),
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
        (Claim, Seen(None, (), None, (), "OOM")),
        (Delete((KEY,)), 1),
        (CloseFlights((KEY,)), None),
    ).returns(False)
    assert env.health.are_stores_stopped


def test_a_set_that_does_not_arrive_owes_the_deletion_of_what_was_there() -> None:
    env, _ = surroundings()
    script(
        set_value(call(), "v", env),
        (Claim, slow()),
        (Delete((KEY,)), refused()),
        (CloseFlights((KEY,)), None),
    ).returns(False)
    assert list(env.health.owed.values()) == [Owed((KEY,))]


def test_a_set_that_is_interrupted_owes_the_deletion_of_what_was_there() -> None:
    env, _ = surroundings()
    script(
        set_value(call(), "v", env),
        (Claim, Seen(filling(1))),
        (Commit, KeyboardInterrupt()),
    ).raises(KeyboardInterrupt)
    assert list(env.health.owed.values()) == [Owed((KEY,))]


def test_tags_that_cannot_be_made_raise_before_anything_is_changed() -> None:
    env, _ = surroundings()
    with pytest.raises(ZeroDivisionError):
        script(set_value(call(tags_of=lambda _: 1 // 0), "v", env)).ends()
    assert env.health.is_clear
