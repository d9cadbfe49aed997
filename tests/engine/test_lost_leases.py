"""Leases whose reply was lost: they are given back before the next one is taken."""

from __future__ import annotations

import pytest

from dualcache.core.ops import (
    Commit,
    CommitReply,
    CommitWay,
    LookAndLease,
    RawRead,
    TryLease,
)
from dualcache.engine.commit import Change
from dualcache.engine.freshness import ReadResult, State
from dualcache.engine.leases import release_lost, release_unfilled
from dualcache.engine.load import get_or_load
from dualcache.engine.lost_leases import MOST_LOST, LostLeases
from dualcache.engine.refresh_lease import take_refresh
from dualcache.engine.tags import NO_IDS
from tests.engine.conversation import (
    KEY,
    LANDED,
    LEASED,
    LED,
    NEW,
    NOW_MS,
    cold,
    filling,
    refused,
    script,
    slow,
    stored,
    surroundings,
    token,
)

STORED = CommitReply.STORED
STALE = stored("old", fresh_ms=100, created_ms=NOW_MS - 500)


def given_back(number: int) -> Commit:
    return Commit(KEY, filling(number), filling(number), 1, CommitWay.IFEQ)


def test_a_lease_whose_reply_was_late_is_given_back_before_the_next_is_taken() -> None:
    env, _ = surroundings()
    script(get_or_load(cold(), env), LED, (LookAndLease, slow()), NEW, LANDED).ends()
    script(
        get_or_load(cold(), env),
        LED,
        (given_back(1), STORED),
        (LookAndLease, RawRead(filling(2))),
        NEW,
        (Commit, STORED),
        LANDED,
    ).ends()
    assert not env.health.lost_leases


def test_a_lease_whose_commit_got_no_reply_is_given_back() -> None:
    env, _ = surroundings()
    script(get_or_load(cold(), env), *LEASED, NEW, (Commit, slow()), LANDED).ends()
    script(release_lost(env), (given_back(1), CommitReply.REFUSED)).returns(None)
    assert not env.health.lost_leases


def test_one_that_cannot_be_given_back_is_tried_again_until_it_has_ended() -> None:
    moment = [0]
    env, _ = surroundings(elapsed_ms=lambda: moment[0])
    script(get_or_load(cold(), env), LED, (LookAndLease, slow()), NEW, LANDED).ends()
    script(release_lost(env), (given_back(1), refused())).returns(None)
    env.health.breaker.succeeded()
    env.health.settle()
    assert env.health.lost_leases.living(29_999) == {filling(1): KEY}
    moment[0] = 60_000
    script(release_lost(env)).returns(None)
    assert not env.health.lost_leases


def test_the_lease_of_a_stale_entry_is_given_back_too() -> None:
    env, _ = surroundings()
    call = cold(stale_if_error_ms=60_000)
    script(
        get_or_load(call, env),
        LED,
        (LookAndLease, RawRead(STALE)),
        (TryLease("~r:k", token(2), 10_000), slow()),
        NEW,
        LANDED,
    ).ends()
    assert env.health.lost_leases.living(0) == {token(2): "~r:k"}
    back = Commit("~r:k", token(2), token(2), 1, CommitWay.IFEQ)
    script(
        get_or_load(call, env),
        LED,
        (back, STORED),
        (LookAndLease, RawRead(STALE)),
        (TryLease, slow()),
        NEW,
        LANDED,
    ).ends()


def test_an_entry_whose_replacement_got_no_reply_stays() -> None:
    env, _ = surroundings()
    changes = [Change(KEY, STALE, b"new", 1), Change("l", filling(1, "l"), b"new", 1)]
    script(release_unfilled(changes, [None, None], {filling(1, "l"): "l"}, env)).returns(None)
    assert env.health.lost_leases.living(0) == {filling(1, "l"): "l"}


def test_it_is_given_back_before_the_lease_of_another_stale_entry() -> None:
    env, _ = surroundings()
    env.health.lost_leases.keep({token(90): "~r:k"}, 1)
    back = Commit("~r:k", token(90), token(90), 1, CommitWay.IFEQ)
    read = ReadResult(State.STALE, 1, STALE, None, None, NO_IDS)
    asked = TryLease("~r:k", token(1), 10_000)
    start = script(take_refresh(cold(), read, {}, env), (back, STORED), (asked, True)).ends()
    assert start.token == token(1)


def test_the_oldest_of_too_many_are_forgotten() -> None:
    lost = LostLeases()
    lost.keep({b"%d" % number: "k" for number in range(MOST_LOST + 1)}, 1)
    living = lost.living(0)
    assert len(living) == MOST_LOST
    assert b"0" not in living


class Unread(LostLeases):
    """Lost leases that nobody may look through."""

    __slots__ = ()

    def living(self, now_ms: int) -> dict[bytes, str]:
        raise AssertionError(f"looked through at {now_ms}")


def test_while_the_breaker_is_open_no_call_looks_through_the_leases_that_were_lost() -> None:
    moment = [0]
    env, _ = surroundings(elapsed_ms=lambda: moment[0])
    env.health.lost_leases = Unread()
    env.health.lost_leases.keep({filling(1): KEY}, 60_000)
    pause_ms = env.health.breaker.failed(0, since=0, is_certain=True)
    moment[0] = pause_ms - 1
    script(release_lost(env)).returns(None)
    moment[0] = pause_ms
    with pytest.raises(AssertionError, match="looked through"):
        next(release_lost(env))


def test_what_the_breaker_did_not_let_through_is_not_given_back() -> None:
    env, _ = surroundings()
    env.health.breaker.failed(0, since=0, is_certain=True)
    env.health.settle()
    script(get_or_load(cold(), env), LED, NEW, LANDED).ends()
    assert not env.health.lost_leases
