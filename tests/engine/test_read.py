from __future__ import annotations

import pytest

from dualcache.core.entry import MISSING, Entry, Tag
from dualcache.core.envelope import seal_tombstone
from dualcache.core.events import Hit, Miss, NotRead, Unusable
from dualcache.core.flight import Load, Outcome
from dualcache.core.ops import Batch, DropConnections, Loaded, Look, RawRead, ReadTags
from dualcache.engine.load import get_or_run
from dualcache.engine.peek import contains, peek, ttl
from dualcache.engine.read import UNTYPED_HELP, UNTYPED_REASON, get
from dualcache.engine.read_many import get_many
from tests.engine.conversation import (
    KEY,
    NOW_MS,
    Shelf,
    call,
    filling,
    refused,
    script,
    stored,
    surroundings,
    token,
    unread_by,
)

STALE = stored("old", fresh_ms=100, created_ms=NOW_MS - 500)
UNTYPED = unread_by("untyped")
TAGGED = stored("v", tags=[Tag("~t:a", token(50)), Tag("~t:b", token(51))])


def test_a_fresh_entry_is_a_hit() -> None:
    env, _ = surroundings()
    asked = call()
    script(get(asked, env), (Look(KEY), RawRead(stored("v")))).returns("v")
    assert asked.policy.counters.hits == 1


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "absent"),
        (STALE, "stale"),
        (filling(50), "filling"),
        (seal_tombstone(KEY, token=token(50), created_ms=NOW_MS), "tombstone"),
    ],
)
def test_an_entry_that_is_not_fresh_is_a_miss_with_its_reason(
    raw: bytes | None, reason: str
) -> None:
    env, events = surroundings()
    asked = call()
    script(get(asked, env), (Look, RawRead(raw))).returns(MISSING)
    assert events == [Miss("k", reason)]
    assert asked.policy.counters.misses == 1


@pytest.mark.parametrize("shelf", [None, Shelf(MISSING)])
def test_a_value_of_another_key_may_be_the_reply_to_another_command(shelf: Shelf | None) -> None:
    env, events = surroundings()
    moved = stored("v", key="another")
    script(get(call(front=shelf), env), (Look, RawRead(moved)), (DropConnections, None)).returns(
        MISSING
    )
    assert [type(event) for event in events] == [Unusable, Miss]


@pytest.mark.parametrize("raw", [b"foreign", stored("broken")])
def test_an_entry_that_nobody_can_read_is_a_miss_and_reported(raw: bytes) -> None:
    env, events = surroundings()
    script(get(call(), env), (Look, RawRead(raw))).returns(MISSING)
    assert [type(event) for event in events] == [Unusable, Miss]


def test_an_entry_that_reads_only_with_its_type_is_a_miss_and_its_remedy_told_once() -> None:
    env, events = surroundings()
    asked = call(value_codec=UNTYPED)
    for _ in range(2):
        script(get(asked, env), (Look, RawRead(stored("v")))).returns(MISSING)
    miss = Miss("k", "untyped")
    assert events == [miss, NotRead("k", UNTYPED_REASON, UNTYPED_HELP), miss]
    assert (asked.policy.counters.misses, asked.policy.counters.unread) == (2, 2)


def test_an_entry_of_a_type_that_is_still_to_be_learned_is_a_plain_miss() -> None:
    env, events = surroundings()
    asked = call(value_codec=unread_by("unknown_type"))
    script(get(asked, env), (Look, RawRead(stored("v")))).returns(MISSING)
    assert events == [Miss("k", "unknown_type")]
    assert asked.policy.counters.unread == 0


def test_foreign_keys_that_an_entry_names_as_its_tags_are_not_read() -> None:
    env, events = surroundings(prefix="shop:")
    forged = stored("v", tags=[Tag("shop:~t:a", token(50)), Tag("bank:balance", token(51))])
    script(get(call(), env), (Look, RawRead(forged))).returns(MISSING)
    assert events == [Unusable("k", "foreign"), Miss("k", "unusable")]


def test_a_backend_that_fails_is_a_miss() -> None:
    env, events = surroundings()
    script(get(call(), env), (Look, refused())).returns(MISSING)
    assert events[-1] == Miss("k", "backend_down")


def test_what_the_front_tier_keeps_is_a_hit_without_a_trip() -> None:
    env, events = surroundings(hits_are_heard=True)
    script(get(call(front=Shelf("kept")), env)).returns("kept")
    assert events == [Hit("k", "front")]


def test_an_entry_is_served_only_while_each_of_its_tags_has_the_id_it_was_stored_with() -> None:
    env, _ = surroundings()
    asked = call("~t:a", "~t:b")
    ids = (token(50), token(51))
    script(get(asked, env), (Look(KEY, ("~t:a", "~t:b")), RawRead(TAGGED, ids))).returns("v")
    script(get(asked, env), (Look, RawRead(TAGGED, (token(50), None)))).returns(MISSING)
    script(get(asked, env), (Look, RawRead(TAGGED, (token(51), token(51))))).returns(MISSING)


def test_tags_that_only_the_entry_names_are_read_in_a_second_trip() -> None:
    env, _ = surroundings()
    script(
        get(call("~t:a"), env),
        (Look(KEY, ("~t:a",)), RawRead(TAGGED, (token(50),))),
        (ReadTags(("~t:b",)), (token(51),)),
    ).returns("v")


def test_what_is_read_is_kept_under_a_ticket_for_each_name_taken_before_it_was_read() -> None:
    env, _ = surroundings()
    shelf = Shelf()
    script(
        get(call("~t:a", front=shelf), env),
        (Look(KEY, ("~t:a",), with_ttl=True), RawRead(TAGGED, (token(50),), 1_000, push_epoch=3)),
        (Look("~t:b"), RawRead(token(51), push_epoch=3)),
    ).returns("v")
    [(value, read)] = shelf.installed
    assert (value, read.tickets, read.life_ms, read.push_epoch) == (
        "v",
        ((KEY, "~t:a"), ("~t:b",)),
        1_000,
        3,
    )


def test_a_value_read_on_two_push_streams_depends_on_both() -> None:
    env, _ = surroundings()
    shelf = Shelf()
    script(
        get(call("~t:a", front=shelf), env),
        (Look, RawRead(TAGGED, (token(50),), 1_000, push_epoch=3)),
        (Look("~t:b"), RawRead(token(51), push_epoch=4)),
    ).returns("v")
    assert shelf.installed[0][1].push_epoch == (3, 4)


def test_what_is_not_fresh_is_not_kept() -> None:
    env, _ = surroundings()
    shelf = Shelf()
    script(get(call(front=shelf), env), (Look, RawRead(STALE, (), 1_000))).returns(MISSING)
    assert shelf.installed == []


def test_several_keys_are_read_in_one_trip() -> None:
    env, _ = surroundings()
    script(
        get_many([call(), call("~t:a")], env),
        (
            Batch((Look(KEY), Look(KEY, ("~t:a",)))),
            (RawRead(stored("v")), RawRead(TAGGED, (token(50),))),
        ),
        (ReadTags(("~t:b",)), (None,)),
    ).returns(["v", MISSING])


def test_only_keys_that_the_front_tier_does_not_keep_are_read() -> None:
    env, _ = surroundings()
    kept, unkept = call(front=Shelf("kept")), call(front=Shelf())
    look = Look(KEY, (), with_ttl=True)
    script(get_many([kept, unkept, kept], env), (look, RawRead(stored("v")))).returns(
        ["kept", "v", "kept"]
    )
    script(get_many([kept, kept], env)).returns(["kept", "kept"])
    script(get_many([kept, unkept], env), (Look, refused())).returns(["kept", MISSING])


def test_tags_that_only_the_entries_name_are_read_in_one_trip() -> None:
    env, _ = surroundings()
    first = stored("va", tags=[Tag("~t:a", token(50)), Tag("~t:c", token(60))])
    second = stored("vb", tags=[Tag("~t:b", token(51)), Tag("~t:c", token(60))])
    script(
        get_many([call(), call(), call()], env),
        (Batch, (RawRead(first), RawRead(None), RawRead(second))),
        (ReadTags(("~t:a", "~t:c", "~t:b")), (token(50), token(60), None)),
    ).returns(["va", MISSING, MISSING])


def test_a_value_of_another_key_among_several_makes_the_connections_suspect() -> None:
    env, _ = surroundings()
    moved = stored("v", key="another")
    script(
        get_many([call(), call()], env),
        (Batch, (RawRead(moved), RawRead(stored("v")))),
        (DropConnections, None),
    ).returns([MISSING, "v"])


def test_no_keys_are_read_without_a_trip() -> None:
    env, _ = surroundings()
    script(get_many([], env)).returns([])


def test_several_keys_are_all_missing_where_the_backend_fails() -> None:
    env, events = surroundings()
    script(get_many([call(), call()], env), (Batch, refused())).returns([MISSING, MISSING])
    assert events[-2:] == [Miss("k", "backend_down")] * 2


def test_a_peek_tells_what_is_stored_and_counts_nothing() -> None:
    env, events = surroundings()
    asked = call("~t:a", "~t:b")
    script(
        peek(asked, env),
        (
            Look(KEY, ("~t:a", "~t:b"), with_ttl=True),
            RawRead(TAGGED, (token(50), token(51)), 1_500),
        ),
    ).returns(Entry("v", 0.0, 1.5, "redis", False, ("a", "b")))
    assert (asked.policy.counters.hits, events) == (0, [])


def test_a_peek_shows_a_stale_entry_as_such() -> None:
    env, _ = surroundings()
    script(peek(call(), env), (Look, RawRead(STALE))).returns(
        Entry("old", 0.5, None, "redis", True, ())
    )


@pytest.mark.parametrize("is_stale", [False, True])
def test_a_peek_shows_an_entry_of_unknown_type_without_its_value_and_tells_once(
    is_stale: bool,
) -> None:
    env, events = surroundings()
    asked = call(value_codec=UNTYPED)
    raw = STALE if is_stale else stored("v")
    age = 0.5 if is_stale else 0.0
    for _ in range(2):
        script(peek(asked, env), (Look, RawRead(raw))).returns(
            Entry(MISSING, age, None, "redis", is_stale, ())
        )
    assert events == [NotRead("k", UNTYPED_REASON, UNTYPED_HELP)]
    assert asked.policy.counters.unread == 2


def test_a_peek_tells_that_the_front_tier_would_answer() -> None:
    env, _ = surroundings()
    entry = script(peek(call(front=Shelf("v")), env), (Look, RawRead(stored("v")))).ends()
    assert entry.tier == "front"


def test_a_peek_finds_nothing_where_nothing_is_usable() -> None:
    env, _ = surroundings()
    script(peek(call(), env), (Look, RawRead(None))).returns(None)
    script(peek(call(), env), (Look, RawRead(filling(50)))).returns(None)
    script(peek(call(), env), (Look, refused())).returns(None)


def test_only_a_fresh_entry_is_contained_and_any_entry_has_seconds_left() -> None:
    env, _ = surroundings()
    for raw, is_contained, seconds in [(stored("v"), True, 1.5), (STALE, False, 1.5)]:
        script(contains(call(), env), (Look, RawRead(raw))).returns(is_contained)
        script(ttl(call(), env), (Look, RawRead(raw, left_ms=1_500))).returns(seconds)
    script(contains(call(), env), (Look, RawRead(None))).returns(False)
    script(ttl(call(), env), (Look, RawRead(None))).returns(None)


def test_a_head_request_is_served_a_fresh_entry() -> None:
    env, _ = surroundings()
    script(get_or_run(call(), env), (Look, RawRead(stored("v")))).returns(Outcome("v", None, 1))


def test_a_head_request_loads_without_storing() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_run(call(), env), (Look, RawRead(None)), (Load, Loaded("v", 5.0))
    ).ends()
    assert outcome.value == "v"
