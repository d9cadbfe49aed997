"""`touch` as conversations: what is put back, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from dualcache.core.entry import Tag
from dualcache.core.envelope import seal
from dualcache.core.flight import CloseFlights
from dualcache.core.ops import (
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    Look,
    ProlongTag,
    RawRead,
    ReadTags,
)
from dualcache.core.revocation import Revocation
from dualcache.engine.touch import touch_many
from tests.engine.conversation import (
    DAY_MS,
    KEY,
    NOW_MS,
    call,
    filling,
    pack,
    refused,
    script,
    slow,
    stored,
    surroundings,
    token,
)

LOOK = Look(KEY, (), with_ttl=True)
STORED, REFUSED = CommitReply.STORED, CommitReply.REFUSED
IFEQ = CommitWay.IFEQ
TAG = Tag("~t:a", b"id of it")


def entry(**options: Any) -> bytes:
    return stored("v", created_ms=NOW_MS - 300, load_ms=7, **options)


def test_an_entry_whose_expiry_alone_decides_is_put_back_as_it_is() -> None:
    env, _ = surroundings()
    raw = entry()
    script(
        touch_many((call(),), env),
        (LOOK, RawRead(raw, (), 5)),
        (Commit(KEY, raw, raw, 60_000, IFEQ), STORED),
    ).returns([True])


@pytest.mark.parametrize(
    ("ttl_ms", "fresh_ms", "life_ms"), [(60_000, 60_300, 69_800), (None, None, None)]
)
def test_an_entry_keeps_its_age_its_version_and_its_stale_window(
    ttl_ms: int | None, fresh_ms: int | None, life_ms: int | None
) -> None:
    env, _ = surroundings()
    before, after = entry(fresh_ms=500), entry(fresh_ms=fresh_ms)
    script(
        touch_many((call(ttl_ms=ttl_ms),), env),
        (LOOK, RawRead(before, (), 10_000)),  # 200 ms of it fresh
        (Commit(KEY, before, after, life_ms, IFEQ), STORED),
    ).returns([True])


def test_where_the_time_left_may_not_be_asked_no_stale_window_is_kept() -> None:
    env, _ = surroundings()
    before, after = entry(fresh_ms=500), entry(fresh_ms=60_300)
    script(
        touch_many((call(),), env),
        (LOOK, RawRead(before, (), None, refusal="NOPERM")),
        (Commit(KEY, before, after, 60_000, IFEQ), STORED),
    ).returns([True])


@pytest.mark.parametrize(
    "found",
    [
        RawRead(None),
        RawRead(filling(9)),
        RawRead(b"foreign"),
        RawRead(entry(fresh_ms=100), (), 5_000),
        RawRead(
            seal(
                KEY,
                pack("v"),
                version=token(9),
                created_ms=NOW_MS,
                fresh_ms=9_000,
                load_ms=0,
                is_expired=True,
            ),
            (),
            5_000,
        ),
    ],
    ids=["nothing", "a load", "foreign", "stale", "expired"],
)
def test_what_is_not_fresh_is_left_as_it_is(found: RawRead) -> None:
    env, _ = surroundings()
    script(touch_many((call(),), env), (LOOK, found)).returns([False])


def test_tags_are_read_and_prolonged_where_they_would_die_first() -> None:
    env, _ = surroundings()
    raw = entry(tags=(TAG,))
    touched = call(ttl_ms=2 * DAY_MS)
    opening = ((LOOK, RawRead(raw, (), 5_000)), (ReadTags((TAG.name,)), (TAG.id,)))
    put = (Commit(KEY, raw, raw, 2 * DAY_MS, IFEQ), STORED)
    look = Look(TAG.name, (), with_ttl=True)
    script(
        touch_many((touched,), env),
        *opening,
        (look, RawRead(TAG.id, (), DAY_MS)),
        (ProlongTag(TAG.name, 4 * DAY_MS), None),
        put,
    ).returns([True])
    for left_ms in (None, 3 * DAY_MS):
        script(
            touch_many((touched,), env), *opening, (look, RawRead(TAG.id, (), left_ms)), put
        ).returns([True])


def test_an_entry_whose_tag_is_dead_is_not_there() -> None:
    env, _ = surroundings()
    script(
        touch_many((call(),), env),
        (LOOK, RawRead(entry(tags=(TAG,)), (), 5_000)),
        (ReadTags((TAG.name,)), (None,)),
    ).returns([False])


def test_an_entry_that_changes_is_looked_at_again_and_then_left_to_others() -> None:
    env, _ = surroundings()
    look, lost = (LOOK, RawRead(entry(), (), 5_000)), (Commit, REFUSED)
    script(touch_many((call(),), env), look, lost, look, (Commit, STORED)).returns([True])
    script(touch_many((call(),), env), look, lost, look, lost, look, lost).returns([False])


@pytest.mark.parametrize("error", [refused(), slow()])
def test_where_the_backend_fails_nothing_is_known_to_be_touched(error: Exception) -> None:
    env, _ = surroundings()
    script(touch_many((call(),), env), (LOOK, error)).returns([False])


def test_where_nothing_can_be_compared_nothing_is_touched() -> None:
    env, _ = surroundings(ways=())
    script(touch_many((call(),), env)).returns([False])


def test_no_keys_ask_nothing() -> None:
    env, _ = surroundings()
    script(touch_many((), env)).returns([])


def test_a_ttl_of_nothing_deletes() -> None:
    env, _ = surroundings()
    script(
        touch_many((call(ttl_ms=0),), env),
        (Delete((KEY,)), 1),
        (CloseFlights((KEY,)), None),
    ).returns([False])


def test_others_are_told_since_the_new_life_may_be_shorter() -> None:
    env, _ = surroundings(channel="~c")
    raw = entry()
    script(
        touch_many((call(),), env),
        (LOOK, RawRead(raw, (), 5)),
        (Commit(KEY, raw, raw, 60_000, IFEQ, Revocation("~c", (KEY,))), STORED),
    ).returns([True])
