"""Values over a limit of the server: not sent again, not read again, and no outage."""

from __future__ import annotations

import pytest

from dualcache.core.events import Loaded as LoadedEvent
from dualcache.core.events import NotStored
from dualcache.core.flight import CloseFlights, EndFlight, Join, Load
from dualcache.core.ops import (
    Batch,
    Claim,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    Loaded,
    LoadScript,
    Look,
    LookAndLease,
    RawRead,
)
from dualcache.core.policy import Call, Counters
from dualcache.engine import cut_keys
from dualcache.engine.commit import Change
from dualcache.engine.cut_keys import LARGE_BYTES, LEFT_ALONE_MS, CutKeys, over_a_limit
from dualcache.engine.leases import RELEASED_MS, release_unfilled
from dualcache.engine.load import get_or_load
from dualcache.engine.recovery import ask
from dualcache.engine.write import set_value
from dualcache.errors import BackendTimeout, BackendUnavailable
from tests.engine.conversation import (
    KEY,
    call,
    commit_one,
    cut,
    filling,
    lead,
    policy,
    refused,
    script,
    slow,
    surroundings,
)

LOOK = Look(KEY)
LARGE = b"x" * (LARGE_BYTES + 1)
TEXT = "x" * (LARGE_BYTES + 1)


def too_slow() -> BackendTimeout:
    error = BackendTimeout("slow", code="DC215")
    error.is_outage = False
    return error


def test_a_value_of_a_size_that_cut_the_connection_is_not_sent_for_a_while() -> None:
    known = CutKeys()
    known.note_write(KEY, 100, now_ms=0)
    assert not known.may_write(KEY, 100, 0)
    assert known.may_write(KEY, 99, 0)
    assert known.may_write("other", 100, 0)
    assert known.may_write(KEY, 100, LEFT_ALONE_MS)


def test_a_key_is_not_read_for_a_while_when_reading_it_cuts_two_connections() -> None:
    known = CutKeys()
    assert known.may_read(KEY, 0)
    assert not known.is_cut_again(KEY, 0)
    assert not known.is_cut_again("other", 0)
    assert known.is_cut_again("other", 0)
    assert not known.may_read("other", 0)
    assert known.may_read("other", LEFT_ALONE_MS)
    assert not known.reads


def test_the_oldest_of_too_many_keys_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut_keys, "MOST_KEYS", 2)
    known = CutKeys()
    for key in ("a", "b", "c"):
        known.note_write(key, 1, 0)
    assert list(known.writes) == ["b", "c"]


def test_a_read_that_cuts_two_connections_is_not_repeated_and_opens_no_breaker() -> None:
    now_ms = [0]
    env, events = surroundings(elapsed_ms=lambda: now_ms[0])
    script(ask(LOOK, env), (LOOK, cut()), (LOOK, cut())).raises(BackendUnavailable)
    script(ask(LOOK, env)).raises(BackendUnavailable)
    other = Look("other")
    script(ask(other, env), (other, RawRead(None))).returns(RawRead(None))
    assert events == []
    assert env.health.breaker.is_closed
    now_ms[0] = LEFT_ALONE_MS
    script(ask(LOOK, env), (LOOK, RawRead(None))).returns(RawRead(None))
    assert env.health.is_clear


def test_an_answer_between_two_cuts_clears_the_key() -> None:
    env, _ = surroundings()
    for _ in range(3):
        script(ask(LOOK, env), (LOOK, cut()), (LOOK, RawRead(None))).returns(RawRead(None))
    assert env.health.is_clear


@pytest.mark.parametrize("error", [cut(), too_slow()])
def test_a_large_value_that_cuts_the_connection_is_sent_once(error: Exception) -> None:
    env, _ = surroundings()
    sent = Commit(KEY, b"m", LARGE, None, CommitWay.IFEQ)
    too_large = CommitReply.TOO_LARGE
    script(commit_one(KEY, b"m", LARGE, None, env), (sent, error)).returns(too_large)
    script(commit_one(KEY, b"m", LARGE, None, env)).returns(too_large)
    assert env.health.breaker.is_closed


@pytest.mark.parametrize("error", [refused(), slow()])
def test_a_large_value_that_nobody_listens_to_is_an_outage(error: Exception) -> None:
    env, _ = surroundings()
    script(commit_one(KEY, b"m", LARGE, None, env), (Commit, error)).raises(type(error))
    assert env.health.cut_keys.writes == {}


def test_a_large_value_is_sent_with_the_script_ahead() -> None:
    env, _ = surroundings(ways=(CommitWay.IFEQ, CommitWay.SCRIPT))
    sent = Commit(KEY, b"m", LARGE, None, CommitWay.SCRIPT)
    script(
        commit_one(KEY, b"m", LARGE, None, env),
        (Commit, CommitReply.UNSUPPORTED),
        (Batch((LoadScript(), sent)), (None, CommitReply.STORED)),
    ).returns(CommitReply.STORED)
    assert env.health.ways[0] is CommitWay.SCRIPT


def test_a_large_value_is_stored_by_watch_where_no_script_can_be_given() -> None:
    env, _ = surroundings(ways=(CommitWay.SCRIPT, CommitWay.WATCH))
    script(
        commit_one(KEY, b"m", LARGE, None, env),
        (Batch, (None, CommitReply.NO_SCRIPT)),
        (Commit(KEY, b"m", LARGE, None, CommitWay.WATCH), CommitReply.STORED),
    ).returns(CommitReply.STORED)


def test_a_set_of_a_too_large_value_is_reported_once_and_deletes_the_old_one() -> None:
    env, events = surroundings()
    one = call()
    at_last = ((Delete, 1), (CloseFlights, None))
    script(
        set_value(one, TEXT, env), (Claim, RawRead(filling(1))), (Commit, cut()), *at_last
    ).returns(False)
    script(set_value(one, TEXT, env), (Claim, RawRead(filling(3))), *at_last).returns(False)
    (told,) = [event for event in events if isinstance(event, NotStored)]
    assert told.help == over_a_limit().help


def test_a_load_that_is_too_large_gives_its_lease_back() -> None:
    env, events = surroundings()
    counters = Counters()
    counters.recent_hits = 0.0
    outcome = script(
        get_or_load(Call(KEY, policy(counters=counters), ()), env),
        (Join, lead),
        (LookAndLease, RawRead(filling(1))),
        (Load, Loaded(TEXT, 5.0)),
        (Commit, cut()),
        (Commit(KEY, filling(1), filling(1), RELEASED_MS, CommitWay.IFEQ), CommitReply.STORED),
        (EndFlight, None),
    ).ends()
    assert outcome.value == TEXT
    assert [event.outcome for event in events if isinstance(event, LoadedEvent)] == ["not_stored"]
    assert [event for event in events if isinstance(event, NotStored)]


def test_in_a_batch_the_value_that_is_too_large_gives_its_lease_back() -> None:
    env, _ = surroundings()
    marker = filling(1)
    changes = [Change("a", b"other", b"v", None), Change(KEY, marker, LARGE, None)]
    replies = [CommitReply.STORED, CommitReply.TOO_LARGE]
    script(
        release_unfilled(changes, replies, {marker: KEY}, env),
        (Commit(KEY, marker, marker, RELEASED_MS, CommitWay.IFEQ), CommitReply.STORED),
    ).returns(None)
    script(release_unfilled(changes[:1], replies[:1], {marker: KEY}, env)).returns(None)
