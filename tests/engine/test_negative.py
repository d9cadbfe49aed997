"""Negative entries, as conversations: exceptions that are stored, and raised by hits."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from dualcache.core.background import Spawn, SpawnReply
from dualcache.core.codec_ids import CodecId, negative
from dualcache.core.entry import MISSING, Packed, Tag
from dualcache.core.envelope import open_envelope, seal, seal_filling
from dualcache.core.events import Differed, Hit, LoadFailed, Miss, NotStored, StaleHit
from dualcache.core.flight import CloseFlights, Load, Outcome
from dualcache.core.ops import (
    AwaitChange,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    Loaded,
    Look,
    LookAndLease,
    Pause,
    Raised,
    RawRead,
    ReadTags,
    TryLease,
)
from dualcache.engine.add import add
from dualcache.engine.expiry import expire
from dualcache.engine.incr import incr
from dualcache.engine.load import get_or_load, get_or_run, refresh
from dualcache.engine.peek import contains, peek, ttl
from dualcache.engine.read import get
from dualcache.engine.touch import touch_many
from dualcache.errors import UnencodableValue
from tests.engine.conversation import (
    KEY,
    LANDED,
    LEASED,
    LED,
    NOW_MS,
    RECIPE,
    call,
    cold,
    filling,
    script,
    slow,
    stored,
    surroundings,
    token,
    unpack,
)
from tests.engine.test_load import beside, taken_over

STORED, REFUSED = CommitReply.STORED, CommitReply.REFUSED


class NoSuchRow(Exception):
    def __eq__(self, other: object) -> bool:
        return type(other) is NoSuchRow and other.args == self.args

    def __hash__(self) -> int:
        return hash(self.args)


def pack_error(error: Exception) -> Packed | None:
    if error.args == ("odd",):
        raise UnencodableValue("odd", code="DC427", help="fix it")
    text = str(error).encode()
    return Packed(CodecId.NEGATIVE, 0, text) if type(error) is NoSuchRow else None


def unpack_any(key: str, entry: Any) -> Any:
    if entry.is_negative:
        text = bytes(entry.payload).decode()
        raise negative(lambda: NoSuchRow(text))
    return unpack(key, entry)


def glance(_: str, entry: Any) -> None:
    if entry.is_negative:
        raise negative()


CODEC = RECIPE._replace(
    unpack=unpack_any, lists=lambda error: type(error) is NoSuchRow, pack_error=pack_error
)
GLANCE = RECIPE._replace(unpack=glance)
OPTIONS: dict[str, Any] = {"value_codec": CODEC, "negative_ttl_ms": 5_000}
RAISED = Raised(NoSuchRow("new"), 5.0)


def gone(text: str = "old", number: int = 99, **fields: Any) -> bytes:
    usual: dict[str, Any] = {"created_ms": NOW_MS, "fresh_ms": None, "load_ms": 0}
    packed = Packed(CodecId.NEGATIVE, 0, text.encode())
    return seal(KEY, packed, version=token(number), **{**usual, **fields})


GONE = RawRead(gone())


def outcome_of(flow: Any, *exchanges: Any) -> Outcome:
    found = script(flow, *exchanges).ends()
    assert isinstance(found, Outcome)
    return found


# A hit


def test_a_hit_raises_what_is_stored() -> None:
    env, events = surroundings(hits_are_heard=True)
    asked = call(**OPTIONS)
    ended = outcome_of(get_or_load(asked, env), (Look, GONE))
    assert (ended.value, ended.error) == (None, NoSuchRow("old"))
    counters = asked.policy.counters
    assert (counters.hits, counters.negative_hits, counters.misses) == (1, 1, 0)
    assert events == [Hit("k", "redis", negative=True)]


def test_each_hit_gets_an_exception_of_its_own_and_tells_nobody_who_does_not_listen() -> None:
    env, events = surroundings()
    one, other = (outcome_of(get_or_load(call(**OPTIONS), env), (Look, GONE)) for _ in range(2))
    assert one.error is not other.error
    assert events == []


def test_who_asks_for_the_lease_finds_it_too() -> None:
    env, _ = surroundings()
    asked = get_or_load(cold(**OPTIONS), env)
    ended = outcome_of(asked, LED, (LookAndLease, GONE), LANDED)
    assert ended.error == NoSuchRow("old")


def test_who_waits_for_another_process_gets_its_answer() -> None:
    env, _ = surroundings()
    ended = outcome_of(
        get_or_load(cold(**OPTIONS), env),
        LED,
        (LookAndLease, RawRead(filling(50))),
        (AwaitChange, None),
        (Look, GONE),
        LANDED,
    )
    assert ended.error == NoSuchRow("old")


def test_where_nothing_can_be_stored_it_is_served_all_the_same() -> None:
    env, _ = surroundings(ways=())
    ended = outcome_of(get_or_load(cold(**OPTIONS), env), LED, (Look, GONE), LANDED)
    assert ended.error == NoSuchRow("old")


@pytest.mark.parametrize("raw", [gone(fresh_ms=0), gone(is_expired=True, fresh_ms=10)])
def test_one_that_another_release_has_expired_is_not_served(raw: bytes) -> None:
    env, _ = surroundings(now_ms=lambda: NOW_MS + 20)
    ended = outcome_of(
        get_or_load(cold(**OPTIONS), env),
        LED,
        (LookAndLease, RawRead(raw)),
        (Commit(KEY, raw, filling_at(2), 10_000, CommitWay.IFEQ), STORED),
        (Load, Loaded("new", 5.0)),
        (Commit, STORED),
        LANDED,
    )
    assert ended.value == "new"


def filling_at(number: int) -> bytes:
    return seal_filling(KEY, token=token(number), created_ms=NOW_MS + 20, load_ms=0)


def test_one_whose_tag_has_died_is_not_served() -> None:
    env, _ = surroundings()
    raw = gone(tags=[Tag("~t:a", token(50))])
    ended = outcome_of(
        get_or_load(cold("~t:a", **OPTIONS), env),
        LED,
        (LookAndLease, RawRead(raw, (token(51),))),
        (Commit, STORED),
        (Load, Loaded("new", 5.0)),
        (Commit, STORED),
        LANDED,
    )
    assert ended.value == "new"


# A load


def test_an_answer_is_stored_over_the_marker_and_raised() -> None:
    env, events = surroundings()
    blob = gone("new", 2, load_ms=5)
    asked = cold(**OPTIONS)
    ended = outcome_of(
        get_or_load(asked, env),
        *LEASED,
        (Load, RAISED),
        (Commit(KEY, filling(1), blob, 5_000, CommitWay.IFEQ), STORED),
        LANDED,
    )
    assert ended.error is RAISED.error
    assert asked.policy.counters.load_ms == 5.0
    assert events == [Miss("k", "absent"), LoadFailed("k", "NoSuchRow", negative=True)]


def test_its_tags_are_those_of_the_call_and_no_callable_is_asked() -> None:
    def never(*_: object) -> Any:
        raise AssertionError

    env, _ = surroundings(draw=lambda: 0.5)
    options = {"ttl_of": never, "tags_of": never, "condition": never, "jitter": 0.5}
    asked = cold("~t:a", **OPTIONS, **options)
    blobs: list[Any] = []

    def keep(op: Commit) -> CommitReply:
        blobs.append((op.ttl_ms, open_envelope(KEY, op.blob).tags))
        return STORED

    outcome_of(
        get_or_load(asked, env),
        LED,
        (LookAndLease, lambda op: RawRead(op.filling, (token(50),), tag_left_ms=(10**12,))),
        (Load, RAISED),
        (Commit, keep),
        LANDED,
    )
    assert blobs == [(3_750, (Tag("~t:a", token(50)),))]


def test_a_successor_commits_its_answer_over_the_lease_of_the_leader() -> None:
    env, _ = surroundings()
    flight, asked = beside()
    asked = replace(asked, policy=replace(asked.policy, **OPTIONS))
    ended = outcome_of(
        get_or_load(asked, env),
        *taken_over(flight),
        (Load, RAISED),
        (Commit(KEY, filling(50), gone("new", 1, load_ms=5), 5_000, CommitWay.IFEQ), STORED),
        LANDED,
    )
    assert ended.error is RAISED.error


@pytest.mark.parametrize("reply", [REFUSED, slow()], ids=["overtaken", "lost"])
def test_an_answer_that_is_not_stored_is_raised_all_the_same(reply: Any) -> None:
    env, _ = surroundings()
    exchanges = [(Commit, reply)] * (1 if reply is REFUSED else 2)
    ended = outcome_of(
        get_or_load(cold(**OPTIONS), env), *LEASED, (Load, RAISED), *exchanges[:1], LANDED
    )
    assert ended.error is RAISED.error


@pytest.mark.parametrize(
    ("error", "options", "is_told"),
    [
        (OSError(), OPTIONS, False),
        (NoSuchRow("odd"), OPTIONS, True),
        (NoSuchRow("new"), {**OPTIONS, "negative_ttl_ms": 0}, False),
        (NoSuchRow("new"), {**OPTIONS, "negative_ttl_ms": None}, False),
    ],
)
def test_what_is_not_remembered_gives_the_lease_back(
    error: Exception, options: dict[str, Any], is_told: bool
) -> None:
    env, events = surroundings()
    ended = outcome_of(
        get_or_load(cold(**options), env),
        *LEASED,
        (Load, Raised(error, 5.0)),
        (Commit(KEY, filling(1), filling(1), 1, CommitWay.IFEQ), STORED),
        LANDED,
    )
    assert ended.error is error
    assert [event for event in events if isinstance(event, NotStored)] == [
        NotStored("k", "odd", "fix it")
    ] * is_told


STALE = stored("old", fresh_ms=60_000, created_ms=NOW_MS - 70_000)
KEPT: dict[str, Any] = {"stale_if_error_ms": 60_000, **OPTIONS}


def test_an_answer_takes_the_place_of_a_stale_value() -> None:
    env, events = surroundings()
    ended = outcome_of(
        get_or_load(cold(**KEPT), env),
        LED,
        (LookAndLease, RawRead(STALE)),
        (TryLease, True),
        (Load, RAISED),
        (Commit(KEY, STALE, gone("new", 3, load_ms=5), 5_000, CommitWay.IFEQ), STORED),
        (Commit("~r:k", token(2), token(2), 1, CommitWay.IFEQ), STORED),
        LANDED,
    )
    assert ended.error is RAISED.error
    assert not [event for event in events if isinstance(event, StaleHit)]


@pytest.mark.parametrize("rule", [(NoSuchRow,), lambda error: error.args == ("new",)])
def test_where_stale_on_counts_it_the_stale_value_stands_in(rule: Any) -> None:
    env, _ = surroundings()
    ended = outcome_of(
        get_or_load(cold(stale_on=rule, **KEPT), env),
        LED,
        (LookAndLease, RawRead(STALE)),
        (TryLease, True),
        (Load, RAISED),
        (Commit, STORED),  # the pause
        LANDED,
    )
    assert (ended.value, ended.error) == ("old", None)


def test_where_stale_on_does_not_count_it_it_is_an_answer() -> None:
    env, _ = surroundings()
    ended = outcome_of(
        get_or_load(cold(stale_on=(OSError,), **KEPT), env),
        LED,
        (LookAndLease, RawRead(STALE)),
        (TryLease, True),
        (Load, RAISED),
        (Commit(KEY, STALE, gone("new", 3, load_ms=5), 5_000, CommitWay.IFEQ), STORED),
        (Commit("~r:k", token(2), token(2), 1, CommitWay.IFEQ), STORED),
        LANDED,
    )
    assert ended.error is RAISED.error


def test_a_refresh_starts_from_it_and_puts_a_value_in_its_place() -> None:
    env, _ = surroundings()
    again = gone(number=1)
    ended = outcome_of(
        refresh(call(**OPTIONS), env),
        (Look(KEY, (), with_ttl=True), RawRead(gone(), left_ms=4_000)),
        (Commit(KEY, gone(), again, 4_000, CommitWay.IFEQ), STORED),
        (Load, Loaded("new", 5.0)),
        (Commit(KEY, again, stored("new", 2, load_ms=5), 60_000, CommitWay.IFEQ), STORED),
    )
    assert ended.value == "new"


# Without a load


def test_a_head_request_raises_it_and_a_plain_read_finds_no_value() -> None:
    env, _ = surroundings()
    ended = outcome_of(get_or_run(call(**OPTIONS), env), (Look, GONE))
    assert ended.error == NoSuchRow("old")
    asked = call(**OPTIONS)
    script(get(asked, env), (Look, GONE)).returns(MISSING)
    assert asked.policy.counters.misses == 1
    ended = outcome_of(get_or_run(call(**OPTIONS), env), (Look, RawRead(stored("v"))))
    assert ended.value == "v"


def test_a_peek_shows_it() -> None:
    env, _ = surroundings()
    entry = script(peek(call(**OPTIONS), env), (Look, RawRead(gone(), left_ms=4_000))).ends()
    assert (entry.value, entry.negative, entry.error) == (MISSING, True, NoSuchRow("old"))
    assert (entry.ttl, entry.stale) == (4.0, False)


def test_a_glance_finds_an_entry_without_a_value() -> None:
    env, _ = surroundings()
    at = RawRead(gone(), left_ms=4_000)
    glancing = call(value_codec=GLANCE)
    entry = script(peek(glancing, env), (Look, at)).ends()
    assert (entry.value, entry.negative, entry.error) == (MISSING, True, None)
    script(contains(glancing, env), (Look, at)).returns(False)
    script(ttl(glancing, env), (Look, at)).returns(4.0)
    script(touch_many((glancing,), env), (Look, at)).returns([False])


def test_an_expire_deletes_it() -> None:
    env, _ = surroundings()
    at = RawRead(gone(), left_ms=4_000)
    script(expire((KEY,), env), (Look, at), (Delete, 1), (CloseFlights, None)).ends()


@pytest.mark.parametrize("codec", [GLANCE, CODEC])
def test_an_add_claims_the_key_as_if_nothing_were_there(codec: Any) -> None:
    env, _ = surroundings()
    script(
        add(call(value_codec=codec), "v", env),
        (LookAndLease, GONE),
        (Commit(KEY, gone(), filling(2), 10_000, CommitWay.IFEQ), STORED),
        (Commit(KEY, filling(2), stored("v", 3), 60_000, CommitWay.IFEQ), STORED),
        (CloseFlights, None),
    ).returns(True)


def test_a_counter_begins_anew_over_it() -> None:
    env, _ = surroundings()
    at = RawRead(gone(), left_ms=4_000)
    script(
        incr(call(**OPTIONS), 2, env),
        (Look, at),
        (LookAndLease, GONE),
        (Commit(KEY, gone(), filling(2), 10_000, CommitWay.IFEQ), STORED),
        (Commit(KEY, filling(2), stored("2", 3), 60_000, CommitWay.IFEQ), STORED),
        (CloseFlights, None),
    ).returns(2)


# Checked


def checked(reply: RawRead) -> tuple[Any, list[Any]]:
    """Serve a hit that is checked; return the flow in the background and the events."""
    env, events = surroundings(timeout_ms=250)
    spawned: list[Any] = []

    def start(op: Spawn) -> SpawnReply:
        spawned.append(op.flow)
        return SpawnReply.STARTED

    script(get_or_load(call(verify=1.0, **OPTIONS), env), (Look, reply), (Spawn, start)).ends()
    return spawned.pop(), events


VALUE = RawRead(stored("old"))


@pytest.mark.parametrize(
    ("was", "result"),
    [
        (GONE, Loaded("new", 1.0)),
        (GONE, RAISED),
        (VALUE, RAISED),
    ],
    ids=["a value", "another answer", "an answer"],
)
def test_what_is_another_answer_by_now_and_stays_is_told(was: RawRead, result: Any) -> None:
    flow, events = checked(was)
    script(flow, (Load, result), (Pause(2_000), None), (Look, was)).returns(None)
    assert [type(event) for event in events] == [Differed]


@pytest.mark.parametrize("was", [GONE, VALUE])
@pytest.mark.parametrize("error", [NoSuchRow("old"), OSError()])
def test_the_same_answer_and_a_failure_are_not_told(was: RawRead, error: Exception) -> None:
    if was is VALUE and type(error) is NoSuchRow:
        return
    flow, events = checked(was)
    script(flow, (Load, Raised(error, 1.0))).returns(None)
    assert events == []


def test_it_is_classified_with_the_tags_that_it_alone_names() -> None:
    env, _ = surroundings()
    raw = gone(tags=[Tag("~t:a", token(50))])
    ended = outcome_of(
        get_or_load(call(**OPTIONS), env), (Look, RawRead(raw)), (ReadTags, (token(50),))
    )
    assert ended.error == NoSuchRow("old")
