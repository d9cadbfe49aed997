from __future__ import annotations

from typing import Any, NoReturn

import pytest

from dualcache.core.entry import UNKNOWN_TAG_ID, Tag, ValueCodec
from dualcache.core.events import Loaded as LoadedEvent
from dualcache.core.events import NotStored, Unusable
from dualcache.core.flight import Load
from dualcache.core.ops import (
    FOR_EVER,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    Loaded,
    LookAndLease,
    MakeTags,
    NewTag,
    ProlongTag,
    RawRead,
    ReadTags,
)
from dualcache.engine.cut_keys import LARGE_BYTES, over_a_limit
from dualcache.engine.load import get_or_load
from dualcache.errors import UnencodableValue, UsageError
from tests.engine.conversation import (
    DAY_MS,
    KEY,
    LANDED,
    LEASED,
    LED,
    NEW,
    STORED_NEW,
    cold,
    copy,
    cut,
    filling,
    refused,
    script,
    slow,
    stored,
    surroundings,
    token,
    unpack,
)

STORED = CommitReply.STORED
MINE = RawRead(filling(1))
GIVEN_BACK = (Commit(KEY, filling(1), filling(1), 1, CommitWay.IFEQ), STORED)


def unencodable(value: Any) -> NoReturn:
    raise UnencodableValue("a lock", code="DC300", help="cache something else")


def test_the_value_of_a_revoked_load_is_returned_and_not_stored() -> None:
    env, events = surroundings()
    outcome = script(
        get_or_load(cold(), env), *LEASED, NEW, (Commit, CommitReply.REFUSED), LANDED
    ).ends()
    assert outcome.value == "new"
    assert events[-1] == LoadedEvent("k", 5.0, "refused")


def test_the_value_of_a_load_whose_commit_does_not_arrive_is_returned() -> None:
    env, events = surroundings()
    outcome = script(get_or_load(cold(), env), *LEASED, NEW, (Commit, slow()), LANDED).ends()
    assert outcome.value == "new"
    assert events[-1] == LoadedEvent("k", 5.0, "backend_down")


def test_a_commit_is_sent_again_where_its_connection_was_cut() -> None:
    env, _ = surroundings()
    error = refused()
    error.was_connected = True
    script(get_or_load(cold(), env), *LEASED, NEW, (Commit, error), (Commit, STORED), LANDED).ends()


def test_a_value_that_the_condition_turns_down_is_returned_and_not_stored() -> None:
    env, events = surroundings()
    outcome = script(
        get_or_load(cold(condition=lambda value: value != "new"), env),
        *LEASED,
        NEW,
        GIVEN_BACK,
        LANDED,
    ).ends()
    assert outcome.value == "new"
    assert events[-1] == LoadedEvent("k", 5.0, "not_stored")


def test_an_exception_of_the_condition_is_the_users() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(cold(condition=lambda _: 1 // 0), env), *LEASED, NEW, GIVEN_BACK, LANDED
    ).ends()
    assert type(outcome.error) is ZeroDivisionError


def test_a_value_whose_ttl_is_invalid_is_reported_and_returned() -> None:
    env, events = surroundings()

    def wrong(_: object) -> int:
        raise UsageError("ttl is no duration", code="DC130", help="return seconds")

    outcome = script(get_or_load(cold(ttl_of=wrong), env), *LEASED, NEW, GIVEN_BACK, LANDED).ends()
    assert (outcome.value, outcome.error) == ("new", None)
    assert events[-2:] == [
        NotStored("k", "ttl is no duration", "return seconds"),
        LoadedEvent("k", 5.0, "not_stored"),
    ]


def test_a_value_that_cuts_the_connection_is_returned_and_its_lease_given_back() -> None:
    env, events = surroundings()
    large = "x" * (LARGE_BYTES + 1)
    outcome = script(
        get_or_load(cold(), env),
        *LEASED,
        (Load, Loaded(large, 5.0)),
        (Commit, cut()),
        GIVEN_BACK,
        LANDED,
    ).ends()
    assert outcome.value == large
    assert events[-2:] == [
        NotStored("k", over_a_limit().what, over_a_limit().help),
        LoadedEvent("k", 5.0, "not_stored"),
    ]


def test_a_value_as_large_as_one_that_cut_the_connection_is_not_sent() -> None:
    env, _ = surroundings()
    env.health.cut_keys.note_write(KEY, LARGE_BYTES + 1, 0)
    outcome = script(
        get_or_load(cold(), env),
        *LEASED,
        (Load, Loaded("x" * (LARGE_BYTES + 1), 5.0)),
        GIVEN_BACK,
        LANDED,
    ).ends()
    assert outcome.error is None


def test_a_value_that_no_codec_keeps_is_returned_and_reported_once() -> None:
    env, events = surroundings()
    asked = cold(value_codec=ValueCodec(unencodable, unpack, copy))
    for number in (1, 2):
        marker = filling(number, load_ms=5 if number > 1 else 0)
        outcome = script(
            get_or_load(asked, env),
            LED,
            (LookAndLease, RawRead(marker)),
            NEW,
            (Commit(KEY, marker, marker, 1, CommitWay.IFEQ), STORED),
            LANDED,
        ).ends()
        assert outcome.value == "new"
    assert [type(event) for event in events].count(NotStored) == 1
    assert events[-1] == LoadedEvent("k", 5.0, "unencodable")
    assert asked.policy.counters.unstored == 2


def test_a_tag_of_the_call_is_made_with_the_lease_and_stored_as_it_was_then() -> None:
    env, _ = surroundings()
    blob = stored("new", 3, tags=[Tag("~t:a", token(1))], load_ms=5)
    script(
        get_or_load(cold("~t:a"), env),
        LED,
        (
            LookAndLease(KEY, filling(2), 10_000, (NewTag("~t:a", token(1), DAY_MS),)),
            RawRead(filling(2), (token(1),), None, (DAY_MS,)),
        ),
        NEW,
        (Commit(KEY, filling(2), blob, 60_000, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()


def test_a_tag_that_would_die_before_its_entry_is_prolonged() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold("~t:a"), env),
        LED,
        (LookAndLease, RawRead(filling(2), (b"its life",), None, (1_000,))),
        (ProlongTag("~t:a", DAY_MS), None),
        *STORED_NEW,
    ).ends()


def test_a_foreign_key_in_place_of_a_tag_is_replaced_before_the_load() -> None:
    env, events = surroundings()
    tags = [Tag("~t:a", b"its life"), Tag("~t:b", token(4))]
    script(
        get_or_load(cold("~t:a", "~t:b"), env),
        LED,
        (LookAndLease, RawRead(filling(3), (b"its life", b"foreign"), None, (DAY_MS, FOR_EVER))),
        (Delete(("~t:b",)), 1),
        (MakeTags((NewTag("~t:b", token(4), DAY_MS),)), (token(4),)),
        NEW,
        (
            Commit(KEY, filling(3), stored("new", 5, tags=tags, load_ms=5), 60_000, CommitWay.IFEQ),
            STORED,
        ),
        LANDED,
    ).ends()
    assert Unusable("k", "foreign") in events


def test_a_tag_beside_one_that_is_replaced_is_prolonged_all_the_same() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold("~t:a", "~t:b"), env),
        LED,
        (LookAndLease, RawRead(filling(3), (b"its life", b"foreign"), None, (1_000, FOR_EVER))),
        (Delete(("~t:b",)), 1),
        (MakeTags, (token(4),)),
        (ProlongTag("~t:a", DAY_MS), None),
        *STORED_NEW,
    ).ends()


def test_a_caller_who_is_interrupted_while_tags_are_prolonged_gives_the_lease_back() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold("~t:a"), env),
        LED,
        (LookAndLease, RawRead(filling(2), (b"its life",), None, (1_000,))),
        (ProlongTag, KeyboardInterrupt()),
        (Commit(KEY, filling(2), filling(2), 1, CommitWay.IFEQ), STORED),
        LANDED,
    ).raises(KeyboardInterrupt)


def test_an_interrupted_caller_gives_back_a_lease_that_may_have_arrived() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env), LED, (LookAndLease, KeyboardInterrupt()), GIVEN_BACK, LANDED
    ).raises(KeyboardInterrupt)


def test_a_lease_that_cannot_be_given_back_is_left_to_expire() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(), env), *LEASED, (Load, KeyboardInterrupt()), (Commit, slow()), LANDED
    ).raises(KeyboardInterrupt)


def test_a_lease_whose_connection_was_cut_is_asked_for_again_with_another_token() -> None:
    env, _ = surroundings()
    error = refused()
    error.was_connected = True
    script(
        get_or_load(cold(), env),
        LED,
        (LookAndLease(KEY, filling(1), 10_000), error),
        (LookAndLease(KEY, filling(2), 10_000), RawRead(filling(2))),
        *STORED_NEW,
    ).ends()


def test_an_entry_whose_tag_comes_with_its_result_is_served_from_the_second_load_on() -> None:
    env, _ = surroundings()
    asked = cold(tags_of=lambda _: ("~t:late",))
    first = stored("new", 2, tags=[Tag("~t:late", UNKNOWN_TAG_ID)], load_ms=5)
    script(
        get_or_load(asked, env),
        *LEASED,
        NEW,
        (Commit(KEY, filling(1), first, 60_000, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()
    second = stored("new", 6, tags=[Tag("~t:late", token(5))], load_ms=5)
    script(
        get_or_load(asked, env),
        LED,
        (LookAndLease, RawRead(first)),
        (ReadTags(("~t:late",)), (None,)),
        (Commit(KEY, first, filling(4, load_ms=5), 2_000, CommitWay.IFEQ), STORED),
        (MakeTags((NewTag("~t:late", token(5), DAY_MS),)), (token(5),)),
        NEW,
        (Commit(KEY, filling(4, load_ms=5), second, 60_000, CommitWay.IFEQ), STORED),
        LANDED,
    ).ends()


@pytest.mark.parametrize(("tag_id", "made"), [(b"its life", False), (None, True)])
def test_tags_of_the_previous_entry_are_made_only_where_they_are_absent(
    tag_id: bytes | None, made: bool
) -> None:
    env, _ = surroundings()
    dead = stored("old", tags=[Tag("~t:a", token(60))])
    made_tag = [(MakeTags, slow())] if made else []
    script(
        get_or_load(cold(tags_of=lambda _: ()), env),
        LED,
        (LookAndLease, RawRead(dead)),
        (ReadTags(("~t:a",)), (tag_id,)),
        (Commit, STORED),
        *made_tag,
        *STORED_NEW,
    ).ends()
